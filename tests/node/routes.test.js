// SPDX-License-Identifier: MIT
// Where a limit without a name gets one: from what the program registered, never from what a
// caller writes.
'use strict'

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { connect } = require('tidegate')
const { rateLimit } = require('tidegate/express')
const { rateLimit: plugin, routeRateLimit } = require('tidegate/fastify')
const { FakeClock } = require('tidegate/testing')
const { command, listen, request, run, startServer } = require('./support.js')

const memory = () => connect('memory://', { clock: new FakeClock() })
const told = (req, res) => res.json({ name: req.rateLimit.name })

async function serve(app, work) {
  const served = await listen(app)
  try {
    await work(async (path, method) => {
      const { status, body } = await request(served.port, { path, method })
      return status === 200 && body ? JSON.parse(body).name : status
    })
  } finally {
    await served.close()
  }
}

for (const version of ['express4', 'express']) {
  const express = require(version)
  const limited = (limit = '2/minute', store = memory()) => rateLimit({ limit, store })

  describe(version, () => {
    test('mounts match in any case, and are one limit whatever the caller writes', async () => {
      const app = express()
      const router = express.Router()
      router.get('/exp', limited(), told)
      app.use('/api', router)
      await serve(app, async (ask) => {
        assert.equal(await ask('/API/exp', 'HEAD'), 200)
        assert.equal(await ask('/Api/EXP'), 'api.GET.exp')
        for (const path of ['/api/exp', '/API/exp', '/aPi/exp', '/api/exp/'])
          assert.equal(await ask(path), 429, path)
        assert.equal(await ask('/API/exp', 'HEAD'), 429, 'HEAD is GET')
      })
    })

    test('processes agree about the name, whoever asks first', async () => {
      const server = await startServer()
      const gates = [1, 2, 3].map(() => connect(server.url, { timeoutMs: 5000 }))
      const passed = []
      for (const [i, path] of ['/api/exp', '/API/exp', '/aPi/exp'].entries()) {
        const app = express()
        const router = express.Router()
        router.get('/exp', limited('2/hour', gates[i]), told)
        app.use('/api', router)
        await serve(app, async (ask) => {
          for (let n = 0; n < 3; ++n) passed.push(await ask(path))
        })
      }
      assert.deepEqual(
        passed.filter((answer) => answer !== 429),
        ['api.GET.exp', 'api.GET.exp'],
      )
      const keys = await command(server, 'KEYS', '*')
      assert.equal(keys.split('\r\n').filter((line) => line.includes('exp:b')).length, 1, keys)
      await Promise.all(gates.map((gate) => gate.close()))
      await server.stop()
    })

    test('a mount path with parameters is one limit, whatever they are', async () => {
      const app = express()
      const [outer, inner] = [express.Router(), express.Router({ mergeParams: true })]
      inner.get('/pets/:pet', limited(), told)
      outer.use('/:user/of/:house', inner)
      app.use('/users', outer)
      await serve(app, async (ask) => {
        assert.equal(await ask('/users/1/of/a/pets/5'), 'users-user.of-house.GET.pets-pet')
        assert.equal(await ask('/users/2/of/b/pets/6'), 'users-user.of-house.GET.pets-pet')
        assert.equal(await ask('/USERS/3/of/c/pets/7'), 429)
      })
    })

    test('the same with a rate by request: no limiter for every caller', async () => {
      const store = memory()
      const app = express()
      const router = express.Router()
      router.get(
        '/',
        limited(() => '2/minute', store),
        told,
      )
      app.use('/users/:id', router)
      await serve(app, async (ask) => {
        const names = []
        for (const path of ['/users/1', '/users/2', '/Users/3', '/users/4'])
          names.push(await ask(path))
        const name = 'users-id.GET.2-per-60s'
        assert.deepEqual(names, [name, name, 429, 429])
      })
    })

    test('one router at two places is two limits', async () => {
      const app = express()
      const router = express.Router()
      router.get('/items', limited(), told)
      app.use('/v1', router)
      app.use('/v2', router)
      await serve(app, async (ask) => {
        for (const version of ['v1', 'V2'])
          for (const expected of [`${version.toLowerCase()}.GET.items`, 200, 429]) {
            const answer = await ask(`/${version}/items`)
            assert.equal(answer, expected === 200 ? `${version.toLowerCase()}.GET.items` : expected)
          }
      })
    })

    test('mounted applications, lists of paths, expressions and routers at the root', async () => {
      const app = express()
      const [admin, tools] = [express(), express.Router()]
      tools.get('/run', limited(), told)
      admin.use('/tools', tools)
      admin.get('/', limited(), told)
      app.use('/Admin/:tenant', admin)
      const [many, odd, root] = [express.Router(), express.Router(), express.Router()]
      many.get('/x', limited(), told)
      app.use(['/p', '/q/:z'], many)
      odd.get('/x', limited(), told)
      app.use(/\/zz\d+/, odd)
      root.get('/plain', limited(), told)
      app.use(root)
      app.use('/', express.Router().get('/deep', limited(), told))
      await serve(app, async (ask) => {
        assert.equal(await ask('/admin/a/tools/run'), 'Admin-tenant.tools.GET.run')
        assert.equal(await ask('/ADMIN/b/TOOLS/run'), 'Admin-tenant.tools.GET.run')
        assert.equal(await ask('/admin/c'), 'Admin-tenant.GET')
        assert.equal(await ask('/plain'), 'GET.plain')
        assert.equal(await ask('/deep'), 'GET.deep')
        const places = [
          ['/q/1/x', '/q/2/x', '/Q/3/x'],
          ['/zz1/x', '/zz2/x', '/zz3/x'],
        ]
        for (const [first, second, third] of places) {
          const name = await ask(first)
          assert.match(name, /^[A-Za-z0-9_.-]+\.GET\.x[A-Za-z0-9_.-]*$/)
          assert.equal(await ask(second), name)
          assert.equal(await ask(third), 429)
        }
      })
    })

    test('a route that called next() names nothing that stands behind it', async () => {
      const app = express()
      app.get('/a', (req, res, next) => next())
      app.get('/b', (req, res, next) => next())
      app.use(limited())
      app.get(/.*/, told)
      await serve(app, async (ask) => {
        assert.equal(await ask('/a'), '2-per-60s')
        assert.equal(await ask('/b'), '2-per-60s')
        assert.equal(await ask('/c'), 429)
      })
    })

    test('a middleware below a mount is called by it, one at the root by its numbers', async () => {
      const store = memory()
      const app = express()
      const inner = express.Router()
      inner.use(limited('3/minute', store))
      inner.get('/x', told)
      app.use('/Mine/:id', limited('2/minute', store), told)
      app.use('/yours', limited('2/minute', store), told)
      app.use('/inner', inner)
      app.use(limited('2/minute', store), told)
      await serve(app, async (ask) => {
        assert.deepEqual(
          [await ask('/mine/1/x'), await ask('/MINE/2'), await ask('/mine/3')],
          ['Mine-id', 'Mine-id', 429],
        )
        assert.deepEqual([await ask('/yours'), await ask('/YOURS/a')], ['yours', 'yours'])
        assert.equal(await ask('/inner/x'), 'inner')
        assert.equal(await ask('/'), '2-per-60s')
      })
    })

    test('several at one place have their numbers behind it', async () => {
      const app = express()
      const store = memory()
      const both = rateLimit({ store, limit: ['2/minute', '9/minute'] })
      app.get('/x', both, (req, res) => res.json({ name: req.rateLimit.parts.map((p) => p.name) }))
      await serve(app, async (ask) =>
        assert.deepEqual(await ask('/x'), ['GET.x.2-per-60s', 'GET.x.9-per-60s']),
      )
    })

    test('called from a function of the route, it is that route all the same', async () => {
      const app = express()
      const limit = limited()
      app.get('/a', (req, res, next) => limit(req, res, (error) => next(error)), told)
      app.get('/b', (req, res, next) => limit(req, res, next), told)
      await serve(app, async (ask) => {
        assert.deepEqual([await ask('/a'), await ask('/b')], ['GET.a', 'GET.b'])
      })
    })

    test('two limits of one name too long are two limits still', async () => {
      const app = express()
      const store = memory()
      const long = 'x'.repeat(58)
      for (const first of ['a', 'b'])
        app.get(
          `/${first}${long}`,
          limited(() => '1/minute', store),
          told,
        )
      await serve(app, async (ask) => {
        const names = [await ask(`/a${long}`), await ask(`/b${long}`)]
        for (const name of names) assert.match(String(name), /^[A-Za-z0-9_.-]{1,64}$/)
        assert.equal(new Set(names).size, 2, `${names}`)
        assert.ok(!names.includes(429), 'the second has a budget of its own')
      })
    })
  })
}

test('a router that does not tell where it is mounted is `unmatched`', async () => {
  const express = require('express')
  const Router = require('router22') // before routers kept the text of their mounts
  const app = express()
  const [outer, literal, parameter, expression] = [Router(), Router(), Router(), Router()]
  for (const router of [literal, parameter, expression])
    router.get('/x/:id', rateLimit({ limit: '2/minute', store: memory() }), told)
  outer.use('/Lit', literal)
  outer.use('/user/:id', parameter)
  outer.use(/\/zz\d+/, expression)
  app.use(outer)
  await serve(app, async (ask) => {
    assert.equal(await ask('/lit/x/1'), 'lit.GET.x-id')
    assert.equal(await ask('/LIT/x/2'), 'lit.GET.x-id')
    assert.equal(await ask('/user/1/x/1'), 'unmatched.GET.x-id')
    assert.equal(await ask('/user/2/x/1'), 'unmatched.GET.x-id')
    assert.equal(await ask('/user/3/x/1'), 429)
    assert.equal(await ask('/zz1/x/1'), 'unmatched.GET.x-id')
    assert.equal(await ask('/zz2/x/1'), 'unmatched.GET.x-id')
    assert.equal(await ask('/zz3/x/1'), 429)
  })
})

describe('Fastify', () => {
  const start = async (setup) => {
    const app = require('fastify')()
    await setup(app)
    return app
  }
  const name = async (request) => ({ name: request.rateLimit?.name })

  test('the template with its prefix, whatever the parameters', async () => {
    const app = await start((app) =>
      app.register(
        async (app) =>
          app.get(
            '/x/:id',
            { onRequest: routeRateLimit({ limit: '2/minute', store: memory() }) },
            name,
          ),
        { prefix: '/v1/:user' },
      ),
    )
    const ask = async (url, method = 'GET') => app.inject({ url, method })
    assert.equal((await ask('/v1/a/x/1')).json().name, 'GET.v1-user.x-id')
    assert.equal((await ask('/v1/b/x/2', 'HEAD')).statusCode, 200)
    assert.equal((await ask('/v1/c/x/3')).statusCode, 429)
    await app.close()
  })

  test("config.rateLimit, @fastify/rate-limit's only way, is refused with advice", async () => {
    for (const rate of [{ max: 3, timeWindow: '1 minute' }, false]) {
      const app = await start((app) => app.register(plugin, { limit: '9/minute' }))
      assert.throws(
        () => app.get('/x', { config: { rateLimit: rate } }, name),
        (error) => {
          assert.equal(error.code, 'TG_EOPTION')
          return /route GET \/x: config\.rateLimit.*onRequest: routeRateLimit\(/.test(error.message)
        },
      )
      await app.close()
    }
  })

  test('limits and options beside them, or limits that are no list, are refused', async () => {
    for (const [options, message] of [
      [{ limits: [{ limit: '1/s' }], store: memory() }, /store: expected in one of the limits/],
      [{ limits: { limit: '1/s' } }, /limits: expected an array/],
    ]) {
      const app = require('fastify')()
      await assert.rejects(async () => app.register(plugin, options), message)
      await app.close().catch(() => {})
    }
  })

  for (const [trustProxy, codes] of [
    [true, ['TIDEGATE_TRUSTS_ALL']],
    [2, []],
    ['10.0.0.0/8', []],
  ])
    test(`trustProxy: ${trustProxy}`, async () => {
      const done = await run(`
        const app = require('fastify')({ trustProxy: ${JSON.stringify(trustProxy)} })
        const { rateLimit } = require('tidegate/fastify')
        app.register(rateLimit, { limit: '9/minute' })
        app.get('/', async () => 'ok')
        app.inject({ url: '/', headers: { 'x-forwarded-for': '203.0.113.7' } })
          .then(() => app.close())`)
      const warnings = [...done.out.matchAll(/\[(TIDEGATE_\w+)\]/g)].map(([, code]) => code)
      assert.deepEqual([done.code, warnings], [0, codes], done.out)
    })
})
