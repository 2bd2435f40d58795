// SPDX-License-Identifier: MIT
// What an Express app does with the middleware, on Express 4 and 5, over HTTP.
'use strict'

const assert = require('node:assert/strict')
const http = require('node:http')
const { describe, test } = require('node:test')
const { connect } = require('tidegate')
const { rateLimit } = require('tidegate/express')
const { FakeClock } = require('tidegate/testing')
const { delay, freePort, listen, request, run, startServer, until } = require('./support.js')

const memory = (options = {}) => connect('memory://', { clock: new FakeClock(), ...options })
const statuses = async (port, count, options) => {
  const list = []
  for (let i = 0; i < count; ++i) list.push((await request(port, options)).status)
  return list
}

async function serve(app, work) {
  const served = await listen(app)
  try {
    await work(served.port)
  } finally {
    await served.close()
  }
}

for (const version of ['express4', 'express']) {
  const express = require(version)
  describe(version, () => {
    test('the names that users of other packages bring', async () => {
      const names = {
        'windowMs + limit': { windowMs: 60_000, limit: 2 },
        'windowMs + max': { windowMs: 60_000, max: 2 },
        max: { max: 2 },
        'points + duration': { points: 2, duration: 60 },
        requestsPerMinute: { requestsPerMinute: 2 },
        'requestsPerMinute + capacity': { requestsPerMinute: 1, capacity: 2 },
        limit: { limit: '2/minute' },
        'limit as a function': { limit: () => '2/minute' },
        'limit as a function of a number': { limit: () => 2, windowMs: 60_000 },
      }
      for (const [name, options] of Object.entries(names)) {
        const app = express()
        app.use(rateLimit({ store: memory(), ...options }), (req, res) => res.send('ok'))
        await serve(app, async (port) =>
          assert.deepEqual(await statuses(port, 3), [200, 200, 429], name),
        )
      }
      for (const name of ['key', 'identifier', 'keyGenerator']) {
        const app = express()
        app.use(
          rateLimit({ store: memory(), limit: '1/minute', [name]: (req) => req.get('x-api-key') }),
          (req, res) => res.send('ok'),
        )
        await serve(app, async (port) => {
          const as = (key) => ({ headers: [['x-api-key', key]] })
          assert.deepEqual(
            [...(await statuses(port, 2, as('a'))), ...(await statuses(port, 1, as('b')))],
            [200, 429, 200],
            name,
          )
        })
      }
    })

    test('standardHeaders, legacyHeaders, message, skip, onDenied', async () => {
      const app = express()
      const store = memory()
      const limited = (name, options) =>
        app.get(`/${name}`, rateLimit({ store, limit: '1/minute', name, ...options }), (req, res) =>
          res.send('ok'),
        )
      limited('standard', { standardHeaders: 'draft-8', legacyHeaders: false })
      limited('legacy', { standardHeaders: false })
      limited('none', { headers: false })
      limited('message', { message: (req) => ({ sorry: req.path }) })
      limited('skip', { skip: async (req) => req.query.skip === '1' })
      limited('next', { onDenied: (req, res, next) => next() })
      limited('fails', {
        onDenied: async () => {
          throw new Error('in onDenied')
        },
      })
      app.use((error, req, res, next) => res.status(500).send(error.message)) // eslint-disable-line no-unused-vars
      await serve(app, async (port) => {
        const get = (path) => request(port, { path })
        const standard = (await get('/standard')).headers
        assert.ok(standard.ratelimit && !standard['x-ratelimit-limit'])
        const legacy = (await get('/legacy')).headers
        assert.ok(!legacy.ratelimit && legacy['x-ratelimit-limit'] === '1')
        const none = (await get('/none')).headers
        assert.ok(!none.ratelimit && !none['x-ratelimit-limit'])
        await get('/message')
        assert.equal((await get('/message')).body, '{"sorry":"/message"}')
        assert.deepEqual(
          [
            (await get('/skip?skip=1')).status,
            (await get('/skip')).status,
            (await get('/skip?skip=1')).status,
            (await get('/skip')).status,
          ],
          [200, 200, 200, 429],
        )
        assert.deepEqual([(await get('/next')).status, (await get('/next')).status], [200, 200])
        await get('/fails')
        assert.equal((await get('/fails')).body, 'in onDenied')
      })
    })

    test('handler is called as express-rate-limit calls it, onDenied with the decision', async () => {
      const app = express()
      const store = memory()
      const limited = (name, options) =>
        app.get(`/${name}`, rateLimit({ store, limit: '1/minute', name, ...options }), (req, res) =>
          res.send('ok'),
        )
      const sorry = 'Too many of them'
      // As express-rate-limit documents it, and with what it hands over.
      const handler = (req, res, next, options) =>
        res.status(options.statusCode).send(options.message)
      limited('handler', { handler })
      limited('handler-text', { handler, message: sorry })
      limited('handler-made', { handler, message: async (req) => ({ sorry: req.path }) })
      limited('handler-more', {
        windowMs: 60_000,
        limit: 1,
        handler: (req, res, next, options) =>
          res.status(418).json([options.windowMs, options.limit, req.rateLimit.retryAfterMs]),
      })
      limited('denied', {
        onDenied: (req, res, next, decision) => res.status(418).send(`${decision.retryAfterMs}`),
      })
      await serve(app, async (port) => {
        const get = (path) => request(port, { path })
        for (const [path, status, body] of [
          ['/handler', 429, 'Too many requests, please try again later.'],
          ['/handler-text', 429, sorry],
          ['/handler-made', 429, '{"sorry":"/handler-made"}'],
          ['/handler-more', 418, '[60000,1,60000]'],
          ['/denied', 418, '60000'],
        ]) {
          await get(path)
          const handled = await get(path)
          assert.deepEqual([handled.status, handled.body], [status, body], path)
        }
      })
    })

    test('routers, mounts and templates: a route is one limit, whatever its parameters', async () => {
      const app = express()
      const router = express.Router()
      const gate = memory()
      const route = rateLimit({ store: gate, limit: '2/minute' })
      router.get('/items/:id', route, (req, res) => res.json(req.rateLimit))
      router.post('/items/:id', route, (req, res) => res.json(req.rateLimit))
      app.use('/api', router)
      await serve(app, async (port) => {
        const first = JSON.parse((await request(port, { path: '/api/items/1' })).body)
        assert.equal(first.name, 'api.GET.items-id')
        assert.equal(first.remaining, 1)
        assert.equal((await request(port, { path: '/api/items/2', method: 'HEAD' })).status, 200)
        assert.deepEqual(await statuses(port, 1, { path: '/api/items/2' }), [429], 'HEAD is GET')
        assert.equal(
          (await request(port, { path: '/api/items/1', method: 'POST' })).status,
          200,
          'another method, another limit',
        )
      })
    })

    test('app and route limits: lists in the standard fields, the tightest in the legacy ones', async () => {
      const app = express()
      const gate = memory()
      app.use(rateLimit({ store: gate, limit: '10/minute', name: 'app' }))
      app.get('/', rateLimit({ store: gate, limit: '2/minute', name: 'route' }), (req, res) =>
        res.send('ok'),
      )
      await serve(app, async (port) => {
        const { headers } = await request(port)
        assert.equal(headers['ratelimit-policy'], '"app";q=10;w=60, "route";q=2;w=60')
        assert.equal(headers.ratelimit, '"app";r=9;t=6, "route";r=1;t=30')
        assert.equal(headers['x-ratelimit-remaining'], '1')
      })
    })

    test('declared together they are one atomic request; met twice they are charged once', async () => {
      const app = express()
      const gate = memory()
      const wide = gate.limiter('10/minute', { name: 'wide' })
      app.get(
        '/both',
        rateLimit({ limit: wide, store: gate }, { limit: '1/minute', name: 'narrow' }),
        (req, res) => res.send('ok'),
      )
      app.get(
        '/twice',
        rateLimit({ limit: wide, store: gate }),
        rateLimit([{ limit: wide }]),
        (req, res) => res.send('ok'),
      )
      await serve(app, async (port) => {
        assert.deepEqual(await statuses(port, 3, { path: '/both' }), [200, 429, 429])
        assert.equal(wide.peekSync('@127.0.0.1').remaining, 9, 'the denied cost nothing')
        await request(port, { path: '/twice' })
        assert.equal(wide.peekSync('@127.0.0.1').remaining, 8)
      })
    })

    test('tiers: a function says which rate or limiter', async () => {
      const app = express()
      const gate = memory()
      const gold = gate.limiter('3/minute', { name: 'gold' })
      app.use(
        rateLimit({
          store: gate,
          name: 'tier',
          key: (req) => req.get('x-user'),
          limit: async (req) =>
            req.get('x-tier') === 'gold'
              ? gold
              : req.get('x-tier') === 'silver'
                ? '2/minute'
                : '1/minute',
        }),
        (req, res) => res.send('ok'),
      )
      await serve(app, async (port) => {
        for (const [tier, expected] of [
          ['gold', [200, 200, 200, 429]],
          ['silver', [200, 200, 429]],
          ['none', [200, 429]],
        ])
          assert.deepEqual(
            await statuses(port, expected.length, {
              headers: [
                ['x-tier', tier],
                ['x-user', tier],
              ],
            }),
            expected,
          )
      })
    })

    test("app.set('trust proxy') is respected", async () => {
      const app = express()
      app.set('trust proxy', 1)
      app.use(rateLimit({ store: memory(), limit: '1/minute' }), (req, res) => res.send('ok'))
      await serve(app, async (port) => {
        const via = (hops) => ({ headers: [['x-forwarded-for', hops]] })
        assert.deepEqual(await statuses(port, 1, via('203.0.113.7')), [200])
        assert.deepEqual(
          await statuses(port, 1, via('198.51.100.1, 203.0.113.7')),
          [429],
          'what the caller wrote is not believed',
        )
        assert.deepEqual(await statuses(port, 1, via('203.0.113.8')), [200])
      })
    })

    test('streaming, HEAD, OPTIONS, and an error in the handler stay what they were', async () => {
      const app = express()
      app.use(rateLimit({ store: memory(), limit: '100/minute' }))
      app.get('/stream', (req, res) => {
        res.write('a')
        setTimeout(() => {
          res.write('b')
          res.end('c')
        }, 20)
      })
      app.get('/throws', () => {
        throw new Error('thrown')
      })
      app.get('/plain', (req, res) => res.send('plain'))
      app.use((error, req, res, next) => res.status(501).send(error.message)) // eslint-disable-line no-unused-vars
      await serve(app, async (port) => {
        const stream = await request(port, { path: '/stream' })
        assert.deepEqual([stream.status, stream.body], [200, 'abc'])
        assert.ok(stream.headers.ratelimit)
        const thrown = await request(port, { path: '/throws' })
        assert.deepEqual([thrown.status, thrown.body], [501, 'thrown'])
        const head = await request(port, { path: '/plain', method: 'HEAD' })
        assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '5'])
        assert.equal((await request(port, { path: '/plain', method: 'OPTIONS' })).status, 200)
      })
    })

    test('a caller that goes away while the check runs is no error', async () => {
      const server = await startServer()
      const gate = connect(server.url, { timeoutMs: 300 })
      const errors = []
      let handled = 0
      const app = express()
      app.use(rateLimit({ store: gate, limit: '100/minute' }), (req, res) => {
        ++handled
        res.send('ok')
      })
      app.use((error, req, res, next) => {
        errors.push(error)
        next(error)
      })
      await serve(app, async (port) => {
        assert.equal((await request(port)).status, 200)
        server.pause()
        const req = http.get({ port, host: '127.0.0.1' })
        req.on('error', () => {})
        await delay(50)
        req.destroy()
        await until('the check', () => gate.stats().byFallback > 0)
        await delay(20)
        server.resume()
        assert.equal((await request(port)).status, 200)
        assert.equal(handled, 2, 'nobody handles a request whose caller has gone')
      })
      assert.deepEqual(errors, [])
      await gate.close()
      await server.stop()
    })

    test('programming errors reach the error handler, denials never do', async () => {
      const app = express()
      app.get(
        '/key',
        rateLimit({ store: memory(), limit: '1/minute', key: () => ({}) }),
        (req, res) => res.send('ok'),
      )
      app.get('/limit', rateLimit({ store: memory(), limit: () => '1/parsec' }), (req, res) =>
        res.send('ok'),
      )
      app.get(
        '/throws',
        rateLimit({
          store: memory(),
          limit: '1/minute',
          cost: () => {
            throw new Error('in cost')
          },
        }),
        (req, res) => res.send('ok'),
      )
      app.use((error, req, res, next) =>
        res.status(500).json({ code: error.code, message: error.message }),
      ) // eslint-disable-line no-unused-vars
      await serve(app, async (port) => {
        const code = async (path) => JSON.parse((await request(port, { path })).body)
        assert.equal((await code('/key')).code, 'ERR_INVALID_ARG_TYPE')
        assert.equal((await code('/limit')).code, 'TG_ERATE')
        assert.equal((await code('/throws')).message, 'in cost')
      })
    })

    test('a store that is down: fail_closed answers 503 and claims no quota', async () => {
      const gate = connect(`redis://127.0.0.1:${await freePort()}`, { onFailure: 'closed' })
      const app = express()
      app.use(rateLimit({ store: gate, limit: '5/minute', message: 'of denials' }), (req, res) =>
        res.send('ok'),
      )
      await serve(app, async (port) => {
        const { status, headers, body } = await request(port)
        assert.equal(status, 503)
        assert.equal(headers.ratelimit, undefined)
        assert.equal(JSON.parse(body).status, 503)
      })
      await gate.close()
    })

    test('two apps, one store', async () => {
      const server = await startServer()
      const gates = [
        connect(server.url, { timeoutMs: 5000 }),
        connect(server.url, { timeoutMs: 5000 }),
      ]
      const apps = await Promise.all(
        gates.map((gate) => {
          const app = express()
          app.use(
            rateLimit({ store: gate, limit: '5/hour', key: (req) => req.get('x-api-key') }),
            (req, res) => res.send('ok'),
          )
          return listen(app)
        }),
      )
      const all = []
      for (let i = 0; i < 12; ++i)
        all.push((await request(apps[i % 2].port, { headers: [['x-api-key', 'k']] })).status)
      assert.equal(all.filter((status) => status === 200).length, 5)
      await Promise.all([...apps, ...gates].map((one) => one.close()))
      await server.stop()
    })
  })
}

describe('options', () => {
  const cases = [
    ['none', () => rateLimit(), /an object of options/],
    ['no limit', () => rateLimit({}), /limit: expected one of limit, max, points/],
    ['two limits', () => rateLimit({ limit: '1/s', max: 5 }), /limit and max/],
    ['a rate that does not parse', () => rateLimit({ limit: '5/parsec' }), /5\/parsec/],
    ['a number without a window', () => rateLimit({ limit: 5 }), /windowMs/],
    [
      'an unknown option',
      () => rateLimit({ limit: '1/s', windowMS: 5 }),
      /unknown option "windowMS"/,
    ],
    [
      'two names of the key',
      () => rateLimit({ limit: '1/s', key: () => 'a', keyGenerator: () => 'b' }),
      /key and keyGenerator/,
    ],
    [
      'a key that is no function',
      () => rateLimit({ limit: '1/s', key: 'x' }),
      /key: expected a function/,
    ],
    ['a style there is not', () => rateLimit({ limit: '1/s', headers: ['new'] }), /"new"/],
    [
      'a store that is none',
      () => rateLimit({ limit: '1/s', store: {} }),
      /store: expected a gate/,
    ],
    [
      'proxies that are none',
      () => rateLimit({ limit: '1/s', trustedProxies: 'everybody' }),
      /^trustedProxies "everybody"/,
    ],
    ['a cost below 0', () => rateLimit({ limit: '1/s', cost: -1 }), /cost -1/],
    [
      'a text with a window beside it',
      () => rateLimit({ limit: '5/minute', windowMs: 1000 }),
      /windowMs 1000: expected beside limit or max as a number/,
    ],
    [
      'the same as max',
      () => rateLimit({ max: '5/minute', windowMs: 1000 }),
      /windowMs 1000: expected beside/,
    ],
    [
      'a limiter with a window beside it',
      () => rateLimit({ limit: connect().limiter('1/s'), windowMs: 1000 }),
      /windowMs 1000: expected beside/,
    ],
    [
      'two kinds of a window',
      () => rateLimit({ points: 5, windowMs: 1000 }),
      /windowMs 1000: expected beside/,
    ],
    [
      'a window of minutes',
      () => rateLimit({ requestsPerMinute: 5, windowMs: 1000 }),
      /windowMs 1000: expected beside/,
    ],
    [
      'seconds without points',
      () => rateLimit({ limit: '5/minute', duration: 10 }),
      /duration 10: expected beside points/,
    ],
    ...['draft-6', 'draft-7', 'bogus', 1, null].map((draft) => [
      `standardHeaders ${draft}`,
      () => rateLimit({ limit: '1/s', standardHeaders: draft }),
      new RegExp(`standardHeaders "?${draft}"?: expected true, "draft-8" or "draft-10"`),
    ]),
    [
      'legacyHeaders that are no boolean',
      () => rateLimit({ limit: '1/s', legacyHeaders: 'draft-7' }),
      /legacyHeaders: expected true or false, not "draft-7"/,
    ],
    [
      'an exempt path that none can be',
      () => rateLimit({ limit: '1/s', exempt: [/health/] }),
      /exempt: expected paths such as "\/health"/,
    ],
    ['options that are none', () => rateLimit(new Map([['limit', '1/s']])), /an object of options/],
    [
      'an option that is nearly one',
      () => rateLimit({ limit: '1/s', standardHeader: true }),
      /unknown option "standardHeader": did you mean standardHeaders\?/,
    ],
    [
      'a cost that no engine can count',
      () => rateLimit({ limit: '1/s', cost: 2 ** 52 }),
      /cost 4503599627370496/,
    ],
    [
      'a name that cannot be, of rates to come',
      () => rateLimit({ limit: () => '1/s', name: 'a b' }),
      /a b/,
    ],
    [
      'an algorithm there is not, of rates to come',
      () => rateLimit({ limit: () => '1/s', algorithm: 'magic' }),
      /magic/,
    ],
    [
      'a window that cannot be, of numbers to come',
      () => rateLimit({ limit: () => 5, windowMs: -1 }),
      /windowMs -1/,
    ],
    [
      'a limiter of another gate than the store',
      () => rateLimit({ limit: connect().limiter('1/s', { name: 'x' }), store: connect() }),
      /limit x: expected a limiter of the gate that store/,
    ],
    [
      'limiters of two gates',
      () => rateLimit({ limit: connect().limiter('1/s') }, { limit: connect().limiter('2/s') }),
      /limit 2-per-1s: expected a limiter of the gate/,
    ],
    ['a burst of a rate', () => rateLimit({ limit: '1/s', capacity: 5 }), /capacity 5/],
  ]
  for (const [title, act, message] of cases) {
    test(title, () =>
      assert.throws(act, (error) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError)
        assert.match(error.message, message)
        return typeof error.code === 'string'
      }),
    )
  }
})

test('the drafts that are sent are those that may be asked for', async () => {
  for (const standardHeaders of [true, 'draft-8', 'draft-10', undefined]) {
    const app = require('express')()
    app.use(rateLimit({ store: memory(), limit: '1/minute', standardHeaders }), (req, res) =>
      res.send('ok'),
    )
    await serve(app, async (port) =>
      assert.equal((await request(port)).headers['ratelimit-policy'], '"1-per-60s";q=1;w=60'),
    )
  }
})

const FORWARDED = "[['x-forwarded-for', '203.0.113.7']]"
for (const [title, setup, codes, headers = FORWARDED] of [
  ['X-Forwarded-For and nobody decided', '', ['TIDEGATE_FORWARDED']],
  ["app.set('trust proxy', false) decides", "app.set('trust proxy', false)", []],
  ["app.set('trust proxy', 1) decides", "app.set('trust proxy', 1)", []],
  ['trustedProxies decides', 'options.trustedProxies = 0', []],
  ["app.set('trust proxy', true)", "app.set('trust proxy', true)", ['TIDEGATE_TRUSTS_ALL']],
  ['whoever it is', "app.set('trust proxy', () => true)", ['TIDEGATE_TRUSTS_ALL']],
  [
    'trust proxy: true, but trustedProxies',
    "app.set('trust proxy', true); options.trustedProxies = 1",
    [],
  ],
  ['Forwarded alone', '', ['TIDEGATE_FORWARDED_UNREAD'], "[['forwarded', 'for=203.0.113.7']]"],
  ['a key that is the address', 'options.key = (req) => req.ip', ['TIDEGATE_KEY_ADDRESS'], '[]'],
  ['a key that is none', 'options.key = (req) => req.get("x-api-key")', [], '[]'],
  [
    'a key that is the hop',
    "options.key = (req) => req.get('x-forwarded-for')",
    ['TIDEGATE_KEY_FORWARDED'],
  ],
]) {
  test(`told once: ${title}`, async () => {
    const done = await run(`
      const { rateLimit } = require('tidegate/express')
      const { listen, request } = require('./support.js')
      const app = require('express')()
      const store = require('tidegate').connect('memory://')
      store.on('event', ({ level, code, time, text }) =>
        console.log('EVENT', level, code, time instanceof Date, text.length > 40))
      const options = { limit: '100/minute', store }
      ${setup}
      app.use(rateLimit(options), (req, res) => res.send('ok'))
      listen(app).then(async ({ port, close }) => {
        for (let i = 0; i < 3; ++i) await request(port, { headers: ${headers} })
        await close()
      })`)
    const warnings = [...done.out.matchAll(/\[(TIDEGATE_\w+)\] TidegateWarning/g)]
    assert.deepEqual(
      warnings.map(([, code]) => code),
      codes,
      done.out,
    )
    const events = [...done.out.matchAll(/EVENT warning (\w+) true true/g)]
    assert.deepEqual(
      events.map(([, code]) => code),
      codes,
    )
    assert.equal(done.code, 0)
  })
}
