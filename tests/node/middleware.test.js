// SPDX-License-Identifier: MIT
// What middleware does where something is odd: limits within limits, callers without an identity,
// functions that throw, more checks than may be out.
'use strict'

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { connect } = require('tidegate')
const { rateLimit } = require('tidegate/express')
const { rateLimit: plugin, routeRateLimit } = require('tidegate/fastify')
const { rateLimit: checkHttp, withRateLimit } = require('tidegate/http')
const { FakeClock } = require('tidegate/testing')
const { listen, request, run, startServer, until } = require('./support.js')

const memory = () => connect('memory://', { clock: new FakeClock() })
const ok = (req, res) => res.end('ok')

async function serve(app, work) {
  const served = await listen(app)
  try {
    await work(async (path, options) => request(served.port, { path, ...options }))
  } finally {
    await served.close()
  }
}

for (const version of ['express4', 'express']) {
  const express = require(version)
  describe(version, () => {
    test('a request that its route refuses costs nothing in the limits around it', async () => {
      const app = express()
      const [store, other] = [memory(), memory()]
      const wide = store.limiter('10/minute; 100/hour', { name: 'wide' })
      const elsewhere = other.limiter('10/minute', { name: 'elsewhere' })
      const shade = store.limiter('1/minute', { name: 'shade', mode: 'shadow' })
      const off = store.limiter('1/minute', { name: 'off', mode: 'off' })
      app.use(
        rateLimit({ limit: wide, store, cost: 2 }, { limit: shade }, { limit: off }),
        rateLimit({ limit: elsewhere }),
      )
      app.get('/exp', rateLimit({ store, limit: '1/minute' }), ok)
      app.get('/', ok)
      await serve(app, async (ask) => {
        const answers = []
        for (const path of ['/', '/exp', '/exp', '/exp', '/'])
          answers.push((await ask(path)).status)
        assert.deepEqual(answers, [200, 200, 429, 429, 200])
        const key = '@127.0.0.1'
        const { parts } = wide.peekSync(key)
        assert.deepEqual(
          parts.map(({ remaining }) => remaining),
          [4, 94],
          'three of the five passed',
        )
        assert.equal(elsewhere.peekSync(key).remaining, 7)
        assert.equal(shade.peekSync(key).remaining, 0, 'what took nothing is given nothing')
      })
    })

    test('the same on a server', async () => {
      const server = await startServer()
      const store = connect(server.url, { timeoutMs: 5000 })
      const wide = store.limiter('10/day', { name: 'wide', algorithm: 'fixed_window' })
      const app = express()
      app.use(rateLimit({ limit: wide }))
      app.get('/exp', rateLimit({ store, limit: '1/day' }), ok)
      await serve(app, async (ask) => {
        for (const status of [200, 429, 429]) assert.equal((await ask('/exp')).status, status)
        await until('the refunds', async () => (await wide.peek('@127.0.0.1')).remaining === 9)
      })
      await store.close()
      await server.stop()
    })

    test('an answer of the user: given back where it refuses, kept where it goes on', async () => {
      const app = express()
      const store = memory()
      const wide = store.limiter('10/minute', { name: 'wide' })
      app.use(rateLimit({ limit: wide }))
      const refusing = (name, options) =>
        app.get(`/${name}`, rateLimit({ store, limit: '1/minute', name, ...options }), ok)
      refusing('refuses', { onDenied: (req, res) => res.status(418).end() })
      refusing('handles', {
        handler: (req, res, next, { statusCode }) => res.status(statusCode).end(),
      })
      refusing('fails', { onDenied: (req, res, next) => next(new Error('refused')) })
      refusing('goes-on', { onDenied: (req, res, next) => next() })
      app.use((error, req, res, next) => res.status(500).end(error.message)) // eslint-disable-line no-unused-vars
      await serve(app, async (ask) => {
        let left = 10
        for (const [path, status, cost] of [
          ['/refuses', 418, 0],
          ['/handles', 429, 0],
          ['/fails', 500, 0],
          ['/goes-on', 200, 1],
        ]) {
          assert.equal((await ask(path)).status, 200)
          assert.equal((await ask(path)).status, status)
          left -= 1 + cost
          await until(path, () => wide.peekSync('@127.0.0.1').remaining === left)
        }
      })
    })

    test('whatever is falsy is no identity; a number is its decimal text', async () => {
      const store = memory()
      const limiter = store.limiter('1/minute', { name: 'who' })
      const app = express()
      let identity
      app.use(rateLimit({ limit: limiter, key: () => identity }), ok)
      app.use((error, req, res, next) => res.status(error.status ?? 500).json({ code: error.code })) // eslint-disable-line no-unused-vars
      await serve(app, async (ask) => {
        for (const none of [false, null, undefined, '', 0, 0n, NaN]) {
          identity = none
          assert.equal((await ask('/')).status, 200, String(none))
          assert.equal(limiter.peekSync('@127.0.0.1').remaining, 0, `${none} is the address`)
          await limiter.reset('@127.0.0.1')
        }
        for (const [number, text] of [
          [42, '42'],
          [-1, '-1'],
          [43n, '43'],
        ]) {
          identity = number
          assert.equal((await ask('/')).status, 200)
          assert.equal(limiter.peekSync(text).remaining, 0, text)
        }
        for (const wrong of [true, 1.5, Infinity, {}, ['a'], Symbol('x')]) {
          identity = wrong
          const { status, body } = await ask('/')
          assert.deepEqual([status, JSON.parse(body).code], [500, 'ERR_INVALID_ARG_TYPE'])
        }
      })
    })

    test("an identity that no text can be is the request's fault: 400", async () => {
      const app = express()
      app.use(express.json())
      app.use(rateLimit({ store: memory(), limit: '9/minute', key: (req) => req.query.as }))
      app.use(
        rateLimit({ store: memory(), limit: '9/minute', key: () => JSON.parse('"\\ud800"') }),
        ok,
      )
      app.use((error, req, res, next) => res.status(error.status).end(error.message)) // eslint-disable-line no-unused-vars
      await serve(app, async (ask) => {
        const { status, body } = await ask('/?as=caf%C3%A9')
        assert.equal(status, 400)
        assert.match(body, /^key\(\): expected well-formed Unicode/)
      })
    })

    test('what is thrown never lets a request pass', async () => {
      const app = express()
      const fails = (thrown) => () => {
        throw thrown
      }
      const values = [undefined, null, '', 0, false, 'route', 'router']
      for (const [i, thrown] of values.entries()) {
        app.get(`/key${i}`, rateLimit({ store: memory(), limit: '9/s', key: fails(thrown) }), ok)
        app.get(
          `/denied${i}`,
          rateLimit({ store: memory(), limit: '1/s', cost: 2, onDenied: fails(thrown) }),
          ok,
        )
      }
      app.use((req, res) => res.end('passed'))
      app.use((error, req, res, next) => res.status(500).end(error.message)) // eslint-disable-line no-unused-vars
      await serve(app, async (ask) => {
        for (const i of values.keys())
          for (const path of [`/key${i}`, `/denied${i}`]) {
            const { status, body } = await ask(path)
            assert.deepEqual(
              [status, body],
              [500, 'a function of rateLimit threw what is no Error'],
            )
          }
      })
    })
  })
}

// In a process of its own: the test runner looks at every promise.
test('more checks than may be out are a 503, and none of those that are is lost', async () => {
  const server = await startServer()
  const done = await run(
    `
    const { connect } = require('tidegate')
    const { rateLimit } = require('tidegate/express')
    const { listen, request } = require('./support.js')
    const gate = connect(process.env.STORE, { timeoutMs: 60_000 })
    const limiter = gate.limiter('1000000/hour')
    const app = require('express')()
    app.use(rateLimit({ limit: limiter }), (req, res) => res.end('ok'))
    app.use((error, req, res, next) => res.status(error.status).end(error.code))
    ;(async () => {
      await limiter.consume('k')
      const { port, close } = await listen(app)
      process.kill(process.env.SERVER, 'SIGSTOP')
      const checks = Array.from({ length: 131_072 }, () => limiter.consume('k'))
      const { status, body } = await request(port)
      const code = await limiter.consume('k').catch((error) => error.code)
      process.kill(process.env.SERVER, 'SIGCONT')
      const all = await Promise.all(checks)
      const byStore = all.filter(({ source }) => source === 'store').length
      console.log(status, body, code, byStore, (await request(port)).status)
      await close()
      await gate.close()
    })()`,
    { env: { STORE: server.url, SERVER: String(server.pid) }, timeout: 60_000 },
  )
  assert.equal(done.out.trim(), '503 TG_EFULL TG_EFULL 131072 200')
  await server.stop()
})

test('rates by request: the least used limiters are closed, those in use are not', async () => {
  const store = memory()
  const kept = store.limiter('7/minute', { name: 'kept' })
  const mine = store.limiter('1/minute')
  let rate = '1/minute'
  let held
  let asked = false
  const check = checkHttp({
    store,
    limit: () => rate,
    key: async () => {
      if (rate === '2/minute') {
        asked = true
        await held
      }
      return rate
    },
  })
  const served = await listen(async (req, res) => {
    if (await check(req, res)) res.end(req.rateLimit.name)
  })
  const ask = async () => (await request(served.port)).body
  try {
    assert.equal(await ask(), '1-per-60s')
    let release
    held = new Promise((resolve) => {
      release = resolve
    })
    rate = '2/minute'
    const waiting = ask()
    await until('its key to be asked', () => asked)
    for (let i = 3; i < 1300; ++i) {
      rate = `${i}/minute`
      assert.equal(await ask(), `${i}-per-60s`)
    }
    release()
    assert.equal(await waiting, '2-per-60s', 'its limiter is open still')
    assert.equal(mine.closed, false, 'what the program opened is not closed')
    assert.equal(kept.closed, false)
    rate = '3/minute'
    assert.equal(await ask(), '3-per-60s', 'it is opened anew')
    assert.equal(mine.consumeSync('x').allowed, true)
  } finally {
    await served.close()
  }
})

test('rates by request never fill a gate', async () => {
  const store = memory()
  const check = checkHttp({ store, name: 'tier', limit: (req) => req.rate, message: 'denied' })
  const kept = store.limiter('7/minute', { name: 'kept' })
  const first = kept.consumeSync('k')
  const res = () => ({ setHeader() {}, hasHeader() {} })
  const req = (rate) => ({ method: 'GET', headers: {}, socket: { remoteAddress: '::1' }, rate })
  for (let i = 1; i <= 70_000; ++i) assert.equal(await check(req(`${i}/minute`), res()), true)
  store.limiter('5/minute', { name: 'one-more' })
  const second = kept.consumeSync('k')
  assert.deepEqual([first.name, second.name, second.remaining], ['kept', 'kept', 5])
})

test('a URL object is a store', async () => {
  const server = await startServer()
  const limit = rateLimit({ store: new URL(server.url), limit: '1/minute', name: 'by-url' })
  const app = require('express')()
  app.use(limit, ok)
  const gate = connect(server.url, { timeoutMs: 5000 })
  await serve(app, async (ask) => {
    assert.equal((await ask('/')).status, 200)
    assert.equal(
      (await gate.limiter('1/minute', { name: 'by-url' }).peek('@127.0.0.1')).allowed,
      false,
    )
  })
  await gate.close()
  await server.stop()
})

describe('Fastify', () => {
  test('a request that its route refuses costs nothing in the limits around it', async () => {
    const store = memory()
    const wide = store.limiter('10/minute', { name: 'wide' })
    const app = require('fastify')()
    await app.register(plugin, { limit: wide })
    app.get('/exp', { onRequest: routeRateLimit({ store, limit: '1/minute' }) }, async () => 'ok')
    const handler = (req, reply, next, options) =>
      reply.status(options.statusCode).send(options.message)
    app.get(
      '/handled',
      { onRequest: routeRateLimit({ store, limit: '1/minute', handler, message: 'sorry' }) },
      async () => 'ok',
    )
    for (const [url, status] of [
      ['/exp', 200],
      ['/exp', 429],
      ['/exp', 429],
      ['/handled', 200],
    ])
      assert.equal((await app.inject({ url })).statusCode, status)
    const handled = await app.inject({ url: '/handled' })
    assert.deepEqual([handled.statusCode, handled.body], [429, 'sorry'])
    assert.equal(wide.peekSync('@127.0.0.1').remaining, 8)
    await app.close()
  })

  test('an identity that no text can be is a 400', async () => {
    const app = require('fastify')()
    await app.register(plugin, { store: memory(), limit: '9/minute', key: () => '\udfff' })
    app.get('/', async () => 'ok')
    const { statusCode, body } = await app.inject({ url: '/' })
    assert.equal(statusCode, 400)
    assert.match(JSON.parse(body).message, /well-formed Unicode/)
    await app.close()
  })
})

describe('node:http', () => {
  test('what the listener throws is its own affair; what a key throws is answered', async () => {
    const done = await run(`
      const { withRateLimit } = require('tidegate/http')
      const { listen, request } = require('./support.js')
      const thrown = []
      process.on('unhandledRejection', (error) => thrown.push(String(error)))
      process.on('warning', (warning) => thrown.push('warned of ' + warning.message))
      const options = { limit: '9/s', key: (req) => {
        if (req.url === '/key') throw undefined
        if (req.url === '/bad') return '\\ud800'
        if (req.url === '/wrong') return {}
        return req.url
      } }
      const listener = async (req, res) => {
        res.end('ok')
        if (req.url === '/own') throw undefined
      }
      listen(withRateLimit(options, listener)).then(async ({ port, close }) => {
        const answers = []
        for (const path of ['/', '/own', '/key', '/bad', '/wrong', '/'])
          answers.push((await request(port, { path })).status)
        await new Promise(setImmediate)
        console.log(JSON.stringify([answers, thrown]))
        await close()
      })`)
    const [answers, thrown] = JSON.parse(done.out.split('\n').find((line) => line.startsWith('[[')))
    assert.deepEqual(answers, [200, 200, 500, 400, 500, 200], done.out)
    assert.equal(thrown.length, 3, done.out)
    assert.equal(thrown[0], 'undefined')
    assert.match(thrown[1], /^warned of a function of withRateLimit threw what is no Error/)
    assert.match(thrown[2], /^warned of key\(\): expected a string or a whole number/)
    assert.equal(done.code, 0)
  })

  test('a Request of the web is told apart', async () => {
    await assert.rejects(
      checkHttp({ store: memory(), limit: '9/s' })(new Request('http://localhost/')),
      /request: expected node:http's IncomingMessage and ServerResponse, not an instance of Request/,
    )
    assert.equal(typeof withRateLimit({ store: memory(), limit: '9/s' }, ok), 'function')
  })
})
