// SPDX-License-Identifier: MIT
// What adapters add to the guard: the request as it is routed, the response as it ends, and the
// application's own functions. What the guard says itself is in the table (http_cases.test.js).
'use strict'

const assert = require('node:assert/strict')
const http = require('node:http')
const { describe, test } = require('node:test')
const { connect } = require('tidegate')
const { rateLimit } = require('tidegate/express')
const { rateLimit: plugin, routeRateLimit } = require('tidegate/fastify')
const { rateLimit: checkHttp, withRateLimit } = require('tidegate/http')
const { decisionOf, hono, rateLimit: limitWeb, withRateLimit: withWeb } = require('tidegate/web')
const { FakeClock } = require('tidegate/testing')
const { listen, listenWeb, request, until } = require('./support.js')

const POLICY = {
  version: 1,
  limiters: {
    api: '5/minute',
    logins: '2/minute',
    tokens: '1000/minute overdraft 1000',
    jobs: { rate: '1 at once', lease: '10s' },
  },
  tiers: { none: [], all: ['api'] },
  default_tier: 'all',
  rules: [
    { when: { path: '/health' }, exempt: true },
    { when: { path: '/login' }, limit: 'logins', count: 'failed' },
    { when: { path: '/chat' }, limit: 'tokens', cost: 100, settle: '{used}' },
    { when: { path: '/job' }, limit: 'jobs' },
    { when: { path: '/api/**' }, limit: 'tier' },
    { when: { route: '/routed/{id}' }, limit: 'api' },
  ],
  callers: { k_evil: { ban: true } },
}

function open(options) {
  const clock = new FakeClock()
  return { clock, gate: connect('memory://', { clock, policy: POLICY, ...options }) }
}
const as = (key, ...more) => ({ headers: [['x-api-key', key], ...more] })
const LIMIT = (gate) => ({
  store: gate,
  identity: (req) => req.headers['x-api-key'],
  tier: (req) => req.headers['x-tier'],
  settle: (req, res) => ({ used: res.used }),
})

// An application that answers by its path, in each framework; `limit` are its options.
function listener(req, res) {
  if (req.url.startsWith('/login')) res.statusCode = req.headers['x-password'] ? 200 : 401
  if (req.url.startsWith('/chat')) res.used = 350
  if (!req.url.startsWith('/job')) return res.end('ok')
  res.write('working')
  return req.once('end-job', () => res.end('done'))
}
const jobs = new Set()
function holding(req, res) {
  if (req.url.startsWith('/job')) jobs.add(req)
  return listener(req, res)
}
const endJobs = () => {
  for (const req of jobs) req.emit('end-job')
  jobs.clear()
}

const apps = {
  express: (limit) => listen(require('express')().use(rateLimit(limit), holding)),
  express4: (limit) => listen(require('express4')().use(rateLimit(limit), holding)),
  http: (limit) => listen(withRateLimit(limit, holding)),
  fastify: async (limit) => {
    const app = require('fastify')()
    await app.register(plugin, limit)
    app.all('/*', (req, reply) => {
      reply.hijack()
      holding(req.raw, Object.assign(reply.raw, {}))
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return {
      port: app.server.address().port,
      close: () => app.server.closeAllConnections() ?? app.close(),
    }
  },
}

for (const [name, start] of Object.entries(apps))
  describe(name, () => {
    const serve = async (work, options = {}) => {
      const { gate, clock } = open()
      const settle = (req, res) => ({ used: (res.raw ?? res).used })
      const app = await start({ ...LIMIT(gate), settle, ...options })
      try {
        await work((path, sent) => request(app.port, { path, ...sent }), gate, clock, app.port)
      } finally {
        endJobs()
        await app.close()
      }
    }

    test('tiers, bans and exemptions of a policy', () =>
      serve(async (ask) => {
        const left = async (sent) => (await ask('/api/x', sent)).headers['x-ratelimit-remaining']
        assert.deepEqual([await left(as('k')), await left(as('k'))], ['4', '3'])
        assert.equal(await left(as('k', ['x-tier', 'none'])), undefined)
        const banned = await ask('/', as('k_evil'))
        assert.equal(banned.status, 403)
        assert.equal(banned.headers['content-type'], 'application/problem+json')
        assert.equal(JSON.parse(banned.body).title, 'Forbidden')
        assert.equal((await ask('/health', as('k'))).headers.ratelimit, undefined)
      }))

    test('only what failed counts; an estimate is settled', () =>
      serve(async (ask, gate) => {
        const logins = gate.limiter('2/minute', { name: 'logins' })
        const good = as('k', ['x-password', '1'])
        for (const [sent, status] of [
          [good, 200],
          [good, 200],
          [good, 200],
          [as('k'), 401],
          [as('k'), 401],
          [as('k'), 429],
        ]) {
          assert.equal((await ask('/login', sent)).status, status)
          if (status === 200) await until('it', () => logins.peekSync('k').remaining === 2)
        }
        await ask('/chat', as('k'))
        const tokens = gate.limiter('1000/minute overdraft 1000', { name: 'tokens' })
        await until('the debit', () => tokens.peekSync('k').remaining === 650)
      }))

    test('a slot is held, and renewed, until the response is done', () =>
      serve(async (ask, gate, clock) => {
        const first = ask('/job', as('k'))
        await until('the job', () => jobs.size === 1)
        for (let i = 0; i < 8; ++i) {
          assert.equal((await ask('/job', as('k'))).status, 429, `${i}`)
          clock.advance(4000) // the lease is 10 s
          await new Promise(setImmediate)
        }
        endJobs()
        assert.equal((await first).body, 'workingdone')
        await until('the slot', async () => {
          const next = ask('/job', as('k'))
          await Promise.race([next, until('a job', () => jobs.size > 0).catch(() => {})])
          const got = jobs.size > 0
          endJobs()
          await next
          return got
        })
      }))

    test('a caller that goes away lets go of its slot', () =>
      serve(async (ask, gate, clock, port) => {
        const gone = http.get({ port, path: '/job', headers: { 'x-api-key': 'k' } }, () =>
          gone.destroy(),
        )
        gone.on('error', () => {})
        await until('the job', () => jobs.size === 1)
        await until('the slot', async () => {
          const peeked = await gate.policy.explain({ path: '/job', identity: 'k' })
          return peeked.states[0].remaining === 1
        })
      }))

    test('limits on several keys are one check', () =>
      serve(
        async (ask, gate) => {
          const address = gate.limiter('3/minute', { name: 'per-address' })
          assert.equal((await ask('/', as('a'))).status, 200)
          assert.equal((await ask('/', as('a'))).status, 429)
          assert.equal(address.peekSync('@127.0.0.1').remaining, 2, 'the denied cost nothing')
          assert.equal((await ask('/', as('b'))).status, 200)
        },
        {
          limit: ['3/minute', '1/minute'],
          name: ['per-address', 'per-key'],
          key: [null, (req) => req.headers['x-api-key']],
        },
      ))

    test("the application's functions are not asked of preflights and exempt paths", () => {
      const asked = []
      const key = (req) => {
        asked.push(req.url)
        return 'k'
      }
      return serve(
        async (ask) => {
          const headers = [
            ['origin', 'https://a.example'],
            ['access-control-request-method', 'POST'],
          ]
          for (const path of ['/free', '/free?a=b'])
            assert.equal((await ask(path)).headers.ratelimit, undefined)
          await ask('/x', { method: 'OPTIONS', headers })
          assert.deepEqual(asked, [])
          assert.ok((await ask('/x')).headers.ratelimit)
          assert.deepEqual(asked, ['/x'])
        },
        { limit: '9/minute', key, exempt: ['/free'], identity: undefined },
      )
    })

    test('a target with a host in it is the path that it has', () =>
      serve(async (ask) => {
        const { headers } = await ask('http://localhost/api/x', as('k'))
        assert.equal(headers['x-ratelimit-limit'], '5')
      }))

    test('onError answers what the functions throw, or lets the request go on', async () => {
      const thrown = []
      const fails = {
        tier: () => {
          throw new Error('in tier')
        },
      }
      const send = (res) => {
        const raw = res.raw ?? res
        if (res.hijack) res.hijack()
        raw.statusCode = 418
        raw.end('sorry')
      }
      await serve(
        async (ask) => {
          const { status, body } = await ask('/api/x', as('k'))
          assert.deepEqual([status, body], [418, 'sorry'])
          assert.equal(thrown[0].message, 'in tier')
        },
        { ...fails, onError: (req, res, next, error) => thrown.push(error) && send(res) },
      )
      await serve(async (ask) => assert.equal((await ask('/api/x', as('k'))).body, 'ok'), {
        ...fails,
        onError: (req, res, next) => next(),
      })
      await serve(async (ask) => assert.equal((await ask('/api/x', as('k'))).status, 500), fails)
    })

    test('onDenied lets a request go on where it calls next', () =>
      serve(
        async (ask) => {
          assert.equal((await ask('/x')).body, 'ok')
          assert.equal((await ask('/x')).body, 'ok')
        },
        { limit: '1/minute', onDenied: (req, res, next) => next() },
      ))
  })

describe('Express', () => {
  for (const version of ['express', 'express4']) {
    test(`${version}: the spelling that routes is the spelling that counts`, async () => {
      for (const sensitive of [false, true]) {
        const { gate } = open()
        const app = require(version)()
        app.set('case sensitive routing', sensitive)
        app.use(rateLimit({ store: gate, exempt: ['/Free'] }), (req, res) => res.end('ok'))
        const served = await listen(app)
        const limit = async (path) =>
          (await request(served.port, { path })).headers['x-ratelimit-limit']
        assert.equal(await limit('/api/x'), '5')
        assert.equal(await limit('/API/x'), sensitive ? undefined : '5')
        assert.equal(await limit('//api/./x/'), '5')
        await served.close()
      }
    })

    test(`${version}: a route's template is an attribute`, async () => {
      const { gate } = open()
      const app = require(version)()
      const policy = { ...POLICY, rules: [{ when: { route: '/v1/items/:id' }, limit: 'api' }] }
      const router = require(version).Router()
      router.get('/items/:id', rateLimit({ store: connect(), policy }), (req, res) => res.end('ok'))
      app.use('/v1', router)
      const served = await listen(app)
      const { headers } = await request(served.port, { path: '/V1/items/5' })
      assert.equal(headers['x-ratelimit-limit'], '5')
      await served.close()
      await gate.close()
    })
  }

  test('fields of the application stand with their family, whenever they are set', async () => {
    const app = require('express')()
    const { gate } = open()
    const mine = (req, res, next) => {
      if (req.path === '/before') res.set('X-RateLimit-Used', '7')
      next()
    }
    app.use(mine, rateLimit({ store: gate, limit: '9/minute' }))
    app.get('/before', (req, res) => res.end())
    app.get('/after', (req, res) => res.set('RateLimit', '"mine"').end())
    app.get('/head', (req, res) => res.writeHead(200, { 'x-ratelimit-limit': '3' }).end())
    app.get('/list', (req, res) => res.writeHead(200, ['ratelimit-policy', 'p']).end())
    app.get('/same', (req, res) => res.end())
    const served = await listen(app)
    const ours = async (path) => {
      const { headers } = await request(served.port, { path })
      return Object.keys(headers)
        .filter((name) => name.includes('ratelimit'))
        .sort()
    }
    const [standard, legacy] = [
      ['ratelimit', 'ratelimit-policy'],
      ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'],
    ]
    assert.deepEqual(await ours('/before'), [...standard, 'x-ratelimit-used'])
    assert.deepEqual(await ours('/after'), ['ratelimit', ...legacy])
    assert.deepEqual(await ours('/head'), [...standard, 'x-ratelimit-limit'])
    assert.deepEqual(await ours('/list'), ['ratelimit-policy', ...legacy])
    assert.deepEqual(await ours('/same'), [...standard, ...legacy])
    await served.close()
  })

  test('a gate with a policy needs no limit, one without does', () => {
    const { gate } = open()
    rateLimit({ store: gate })
    rateLimit({ policy: POLICY })
    rateLimit({ limit: () => '5 at once', lease: '10s' })
    for (const options of [{}, { store: connect() }, { store: gate, policy: 5 }])
      assert.throws(() => rateLimit(options), /limit: expected one of|policy: expected/)
    for (const [options, message] of [
      [{ limit: [] }, /limit: expected a list that is not empty/],
      [{ limit: ['1/s', '2/s'], key: [null] }, /key: expected 2 of them/],
      [{ limit: '1/s', tier: 5 }, /tier: expected/],
      [{ limit: '1/s', attributes: { a: [] } }, /attribute a: expected/],
      [{ limit: '1/s', settle: {} }, /settle: expected a function/],
      [{ limit: '1/s', onError: true }, /onError: expected a function/],
      [{ limit: '1/s', policy: 'version: 2\n' }, /version/],
    ])
      assert.throws(() => rateLimit({ store: connect(), ...options }), message)
  })
})

describe('Fastify', () => {
  test('templates are attributes, and prefixes mounts', async () => {
    const { gate } = open()
    const app = require('fastify')()
    const policy = {
      version: 1,
      limiters: { items: '7/minute' },
      rules: [{ when: { route: '/v1/items/:id' }, limit: 'items' }],
    }
    await app.register(
      async (inner) => {
        await inner.register(plugin, { store: gate, limit: '9/minute', policy })
        inner.get('/items/:id', async (req) => req.rateLimit.parts.map(({ name }) => name))
      },
      { prefix: '/v1' },
    )
    assert.deepEqual((await app.inject({ url: '/v1/items/5' })).json(), ['items', 'v1'])
    await app.close()
  })

  test('where the router ignores case, so does the policy', async () => {
    const { gate } = open()
    const app = require('fastify')({ routerOptions: { caseSensitive: false } })
    await app.register(plugin, { store: gate })
    app.get('/api/x', { onRequest: routeRateLimit({ store: gate }) }, async () => 'ok')
    assert.equal((await app.inject({ url: '/API/x' })).headers['x-ratelimit-limit'], '5')
    await app.close()
  })
})

describe('the web', () => {
  const key = (request) => request.headers.get('x-api-key')

  test('a route handler as Next.js has them', async () => {
    const { gate } = open()
    const GET = withWeb(
      { store: gate, limit: '2/minute', name: 'next', key },
      async (request, { params }) => {
        const { id } = await params
        return Response.json({ id, left: decisionOf(request).remaining })
      },
    )
    const ask = () =>
      GET(new Request('http://localhost/items/5', { headers: { 'x-api-key': 'k' } }), {
        params: Promise.resolve({ id: '5' }),
      })
    const first = await ask()
    assert.deepEqual(await first.json(), { id: '5', left: 1 })
    assert.equal(first.headers.get('ratelimit'), '"next";r=1;t=30')
    await ask()
    const denied = await ask()
    assert.equal(denied.status, 429)
    assert.equal(denied.headers.get('content-type'), 'application/problem+json')
    assert.equal(denied.headers.get('retry-after'), '30')
    assert.deepEqual((await denied.json())['violated-policies'], ['next'])
  })

  test('the address: of the server, or of trusted proxies', async () => {
    const { gate } = open()
    const limiter = gate.limiter('9/minute', { name: 'who' })
    const ok = () => new Response('ok')
    const sent = new Request('http://a/', {
      headers: { 'x-forwarded-for': '1.1.1.1, 203.0.113.7' },
    })
    for (const [options, context, who] of [
      [{}, { incoming: { socket: { remoteAddress: '::ffff:198.51.100.1' } } }, '@198.51.100.1'],
      [{}, { remoteAddr: { hostname: '198.51.100.2' } }, '@198.51.100.2'],
      [{}, { requestIP: () => ({ address: '198.51.100.3' }) }, '@198.51.100.3'],
      [{ address: () => '198.51.100.4' }, undefined, '@198.51.100.4'],
      [{ trustedProxies: 1 }, undefined, '@203.0.113.7'],
    ]) {
      await withWeb({ limit: limiter, ...options }, ok)(sent.clone(), context)
      assert.equal(limiter.peekSync(who).remaining, 8, who)
    }
  })

  test('responses whose fields cannot be changed, streams, and errors', async () => {
    const { gate } = open()
    const limit = limitWeb({ store: gate, identity: key })
    const ask = (path, make) =>
      limit(new Request(`http://a${path}`, { headers: { 'x-api-key': 'k' } }), make)
    const redirect = await ask('/api/x', () => Response.redirect('http://a/there'))
    assert.deepEqual(
      [
        redirect.status,
        redirect.headers.get('location'),
        redirect.headers.get('x-ratelimit-limit'),
      ],
      [302, 'http://a/there', '5'],
    )
    const left = async () =>
      (await gate.policy.explain({ path: '/job', identity: 'k' })).states[0].remaining
    let push
    const body = new ReadableStream({ start: (controller) => (push = controller) })
    const job = await ask('/job', () => new Response(body))
    assert.equal(await left(), 0)
    push.enqueue(new TextEncoder().encode('done'))
    push.close()
    assert.equal(await job.text(), 'done')
    await until('the slot', async () => (await left()) === 1)
    const head = new Request('http://a/job', { method: 'HEAD', headers: { 'x-api-key': 'k' } })
    await limit(head, () => new Response('nobody reads it'))
    await until('the slot', async () => (await left()) === 1)
    const canceled = await ask('/job', () => new Response(new ReadableStream()))
    assert.equal(await left(), 0)
    await canceled.body.cancel()
    await until('the slot', async () => (await left()) === 1)
    await assert.rejects(
      ask('/job', () => Promise.reject(new Error('thrown'))),
      /thrown/,
    )
    await until('the slot', async () => (await left()) === 1)
    await assert.rejects(
      limit({ headers: {} }, () => new Response()),
      /a Request of the web standard/,
    )
  })

  test('onDenied and onError answer', async () => {
    const { gate } = open()
    const ask = (options, thrown) =>
      withWeb(
        {
          store: gate,
          limit: '1/minute',
          cost: 2,
          key: () => {
            if (thrown) throw thrown
          },
          ...options,
        },
        () => new Response('ok'),
      )(new Request('http://a/'))
    const text = async (response) => [(await response).status, await (await response).text()]
    assert.deepEqual(await text(ask({ onDenied: () => new Response('no', { status: 418 }) })), [
      418,
      'no',
    ])
    assert.deepEqual(await text(ask({ onDenied: (req, next) => next() })), [200, 'ok'])
    assert.equal((await ask({ onDenied: () => {} })).status, 429)
    const wrong = new Error('wrong')
    await assert.rejects(ask({}, wrong), wrong)
    await assert.rejects(ask({ onError: () => {} }, wrong), wrong)
    assert.deepEqual(await text(ask({ onError: (req, next) => next() }, wrong)), [200, 'ok'])
    assert.throws(() => withWeb({ limit: '1/s', handler: () => {} }), /handler: expected onDenied/)
  })

  test('Hono: names, nesting, routes, and the decision', async () => {
    const { Hono } = await import('hono')
    const { gate } = open()
    const app = new Hono()
    const told = (c) => c.json(c.get('rateLimit')?.parts.map(({ name }) => name) ?? null)
    app.use('/v1/*', hono({ store: gate, limit: '9/minute' }))
    app.get('/v1/items/:id', hono({ store: gate, limit: '2/minute' }), told)
    app.get('/plain', told)
    const served = await listenWeb((request, env) => app.fetch(request, env))
    const ask = (path) => request(served.port, { path })
    const first = await ask('/v1/items/1')
    assert.deepEqual(JSON.parse(first.body), ['GET.v1.items-id'])
    assert.equal(first.headers['ratelimit-policy'], '"v1";q=9;w=60, "GET.v1.items-id";q=2;w=60')
    await ask('/v1/items/2')
    const denied = await ask('/v1/items/3')
    assert.equal(denied.status, 429)
    assert.equal(JSON.parse(denied.body).status, 429)
    assert.equal(
      (await ask('/v1/items/4')).headers['ratelimit'],
      '"v1";r=6;t=7, "GET.v1.items-id";r=0;t=30',
    )
    assert.equal((await ask('/plain')).body, 'null')
    await served.close()
  })
})

test('no text of a request adds attributes to it', async () => {
  const { gate } = open()
  const ask = (options, url = '/') => {
    const req = { method: 'GET', url, headers: {}, socket: { remoteAddress: '::1' } }
    return checkHttp({ store: gate, ...options })(req, { setHeader() {} })
  }
  const code = 'TG_EATTRIBUTE'
  await assert.rejects(ask({}, '/api/x\0tier\0none'), { code })
  await assert.rejects(ask({ identity: () => 'k\0tier\0none' }), { code, status: 400 })
  await assert.rejects(ask({ tier: () => 'all\0path\0/health' }), { code })
  await assert.rejects(ask({ attributes: () => ({ '@exempt': '/' }) }), { code })
  assert.equal(await ask({}, '/api/x'), true)
})

test('node:http: next() of onError goes on', async () => {
  const check = checkHttp({
    store: connect(),
    limit: '1/s',
    key: () => {
      throw new Error('wrong')
    },
    onError: (req, res, next, error) => next(req.url === '/fails' ? error : undefined),
  })
  const served = await listen(async (req, res) => {
    const passes = await check(req, res).catch((error) => error.message)
    res.end(String(passes))
  })
  assert.equal((await request(served.port)).body, 'true')
  assert.equal((await request(served.port, { path: '/fails' })).body, 'wrong')
  await served.close()
})
