// SPDX-License-Identifier: MIT
// Slots: held, renewed, released, lost; of workers that die; while the store is away.
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { describe, test } = require('node:test')
const { connect, ClosedError, ConfigError } = require('tidegate')
const { FakeClock } = require('tidegate/testing')
const { delay, freePort, run, startServer, until } = require('./support.js')

const free = async (limiter, key = 'k') => (await limiter.peek(key)).remaining

// The clock goes on in steps, and what awakes has the time to ask.
async function pass(clock, ms, step = 1000) {
  for (let at = 0; at < ms; at += step) {
    clock.advance(step)
    await new Promise(setImmediate)
  }
}

describe('embedded, by a clock of its own', () => {
  const clock = new FakeClock()
  const gate = connect('memory://', { clock })

  test('as many as there are, until they are released', async () => {
    const limiter = gate.limiter('3 at once', { name: 'three', lease: '30s' })
    const one = await limiter.slot('k')
    const two = await limiter.slot('k', { cost: 2 })
    assert.deepEqual([one.allowed, two.allowed, one.id.length], [true, true, 16])
    const three = await limiter.slot('k')
    assert.deepEqual([three.allowed, three.decision.retryAfterMs, three.id], [false, 30_000, null])
    await three.release()
    await two.release()
    await two.release()
    assert.equal(await free(limiter), 2)
    await one[Symbol.asyncDispose]()
    assert.equal(await free(limiter), 3)
    assert.equal((await limiter.slot('k', { cost: 4, timeoutMs: 1000 })).allowed, false)
  })

  test('renewed beyond the lease while held, and no longer', async () => {
    const limiter = gate.limiter('1 at once', { name: 'one', lease: 30_000 })
    assert.deepEqual([limiter.leaseMs, limiter.rates[0].algorithm], [30_000, 'concurrency'])
    const slot = await limiter.slot('k')
    await pass(clock, 95_000)
    assert.deepEqual([slot.lost, await free(limiter)], [false, 0])
    await slot.release()
    await pass(clock, 95_000)
    assert.equal(await free(limiter), 1)
  })

  test('lost: taken anew, or by somebody else', async () => {
    const limiter = gate.limiter('1 at once', { name: 'lost' })
    const told = []
    const anew = await limiter.slot('a', { onLost: () => told.push('a') })
    const gone = await limiter.slot('b', { onLost: () => told.push('b') })
    await limiter.reset('a')
    await limiter.reset('b')
    assert.equal((await limiter.acquire('b', 'thief')).allowed, true)
    assert.deepEqual([anew.lost, gone.lost], [false, false])
    await pass(clock, 11_000)
    assert.deepEqual([anew.lost, gone.lost, told.sort()], [true, true, ['a', 'b']])
    assert.equal(await free(limiter, 'a'), 0, 'it is held again')
    await gone.release()
    assert.equal(await free(limiter, 'b'), 0, 'the thief is not thrown out')
    await anew.release()
    assert.equal(await free(limiter, 'a'), 1)
  })

  test('a number that is lowered throws nobody out', async () => {
    const limiter = gate.limiter('2 at once', { name: 'lowered' })
    const slots = [await limiter.slot('k'), await limiter.slot('k')]
    limiter.change('1 at once')
    await pass(clock, 60_000)
    assert.deepEqual(
      slots.map((slot) => slot.lost),
      [false, false],
    )
    await slots[0].release()
    assert.equal((await limiter.slot('k')).allowed, false)
    await slots[1].release()
    assert.equal((await limiter.slot('k')).allowed, true)
  })

  test('another lease is another state', async () => {
    const limiter = gate.limiter('1 at once', { name: 'leases' })
    const slot = await limiter.slot('k')
    limiter.change(undefined, { lease: '9s' })
    assert.equal(limiter.leaseMs, 9000)
    await pass(clock, 11_000)
    assert.deepEqual([slot.lost, await free(limiter)], [true, 0])
    await slot.release()
  })

  test('slots that are changed to a rate are lost, and charge nothing there', async () => {
    const limiter = gate.limiter('1 at once', { name: 'changed' })
    const slot = await limiter.slot('k')
    limiter.change('5/hour', { algorithm: 'token_bucket' })
    await pass(clock, 60_000)
    assert.deepEqual([slot.lost, await free(limiter)], [true, 5])
    await slot.release()
  })

  test('ids in parts, beside a rate, all or nothing', async () => {
    const limiter = gate.limiter('1 at once', { name: 'parts' })
    const api = gate.limiter('100/minute', { name: 'rate' })
    const ask = (id) =>
      gate.consume([
        [api, 'k', 10],
        [limiter, 'k', 1, id],
      ])
    assert.equal((await ask('mine')).parts[1].renewed, false)
    assert.equal((await ask('yours')).allowed, false)
    assert.equal((await ask(Buffer.from('mine'))).parts[1].renewed, true)
    assert.equal(await free(api), 80)
    assert.equal((await limiter.renew('k', 'mine')).parts[0].renewed, true)
    await limiter.release('k', 'yours')
    assert.equal(await free(limiter), 0, 'nobody releases what is not his')
    await limiter.release('k', 'mine')
    await limiter.release('k', 'mine')
    assert.equal(await free(limiter), 1)
  })

  test('shadow and off: held or not, nothing is lost', async () => {
    const shadow = gate.limiter('1 at once', { name: 'shadow', mode: 'shadow' })
    const off = gate.limiter('1 at once', { name: 'off', mode: 'off' })
    const slots = [await shadow.slot('k'), await shadow.slot('k'), await off.slot('k')]
    await pass(clock, 60_000)
    assert.deepEqual(
      slots.map((slot) => [slot.allowed, slot.lost]),
      Array(3).fill([true, false]),
    )
    for (const slot of slots) await slot.release()
    assert.equal(await free(shadow), 1)
  })
})

describe('misuse', () => {
  const gate = connect('memory://')
  const limiter = gate.limiter('2 at once', { name: 'slots' })
  const api = gate.limiter('1/s', { name: 'rate' })
  const cases = {
    'no id': [() => limiter.consume('k'), ConfigError, 'TG_EID', /under an id/],
    'no id in one': [() => gate.consume([[limiter, 'k']]), ConfigError, 'TG_EID', /under an id/],
    'no acquired id': [() => limiter.acquire('k'), TypeError, 'ERR_INVALID_ARG_TYPE', /^id/],
    'an id of 17': [() => limiter.acquire('k', 'x'.repeat(17)), ConfigError, 'TG_EID', /not 17/],
    'an id of 0': [() => limiter.release('k', ''), ConfigError, 'TG_EID', /1 to 16/],
    'an id of zeros': [() => limiter.renew('k', Buffer.alloc(3)), ConfigError, 'TG_EID', /not 0/],
    'an id of a number': [() => limiter.acquire('k', 5), TypeError, 'ERR_INVALID_ARG_TYPE', /id/],
    'a lone surrogate': [() => limiter.acquire('k', '\ud800'), TypeError, undefined, /^id/],
    'slots of a rate': [() => api.slot('k'), ConfigError, 'TG_EINVAL', /at once/],
    'a cost of 0': [() => limiter.slot('k', { cost: 0 }), ConfigError, 'TG_ECOST', /cost 0/],
    'lease 0': [() => gate.limiter('3 at once', { lease: 0 }), ConfigError, 'TG_ERATE', /"0ms"/],
    'a lease below 0': [() => gate.limiter('3 at once', { lease: -5 }), ConfigError, 'TG_ERATE'],
    'a lease of a rate': [() => gate.limiter('3/s', { lease: '1s' }), ConfigError, 'TG_ERATE'],
    'a lease that is none': [() => gate.limiter('3 at once', { lease: {} }), TypeError],
    'half a microsecond': [() => gate.limiter('3 at once', { lease: 1.0005 }), ConfigError],
    'a callback that is none': [() => limiter.slot('k', { onLost: 5 }), TypeError],
    'a signal that is none': [() => limiter.slot('k', { signal: {} }), TypeError],
    'a time below 0': [() => limiter.slot('k', { timeoutMs: -1 }), TypeError],
  }
  for (const [title, [act, type, code, message = /./]] of Object.entries(cases))
    test(title, () =>
      assert.rejects(
        async () => act(),
        (error) => {
          assert.ok(error instanceof type, error.stack)
          if (code) assert.equal(error.code, code, error.stack)
          assert.match(error.message, message)
          return true
        },
      ))
})

describe('waiting', () => {
  const gate = connect('memory://')
  const limiter = gate.limiter('1 at once', { name: 'waiting' })

  test('until one is released', async () => {
    const first = await limiter.slot('a')
    const waiting = limiter.slot('a', { timeoutMs: 10_000 })
    await delay(100)
    await first.release()
    const second = await waiting
    assert.equal(second.allowed, true)
    await second.release()
  })

  test('no longer than the timeout', async () => {
    const first = await limiter.slot('b')
    const started = performance.now()
    const second = await limiter.slot('b', { timeoutMs: 200 })
    const took = performance.now() - started
    assert.equal(second.allowed, false)
    assert.ok(took >= 199 && took < 2000, `${took}`)
    await first.release()
  })

  test('no longer than it is wanted', async () => {
    const first = await limiter.slot('c')
    const stop = new AbortController()
    const waiting = limiter.slot('c', { timeoutMs: 10_000, signal: stop.signal })
    await delay(30)
    stop.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
    await assert.rejects(limiter.slot('c', { signal: stop.signal }), /enough/)
    await first.release()
    assert.equal(await free(limiter, 'c'), 1)
  })

  test('nor than the gate is open', async () => {
    const own = connect('memory://')
    const one = own.limiter('1 at once')
    const held = await one.slot('d')
    const waiting = one.slot('d', { timeoutMs: 10_000 })
    await delay(30)
    await own.close()
    await assert.rejects(waiting, ClosedError)
    await until('it is lost', () => held.lost)
    await assert.rejects(held.release(), ClosedError)
    await held[Symbol.asyncDispose]()
  })
})

describe('on a server', () => {
  const started = startServer()
  const url = async () => (await started).url
  test.after(async () => (await started).stop())

  test('cancelled while the check is out: nothing is held', async () => {
    const gate = connect(await url(), { timeoutMs: 5000 })
    const limiter = gate.limiter('1 at once', { name: 'cancelled' })
    await gate.ping()
    const stop = new AbortController()
    const waiting = limiter.slot('k', { signal: stop.signal })
    stop.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
    await until('it is free', async () => (await free(limiter)) === 1)
    await gate.close()
  })

  test('a worker that is killed: free after the lease, not before', async (t) => {
    const LEASE = 1500
    const gate = connect(await url(), { timeoutMs: 5000 })
    const limiter = gate.limiter('2 at once', { name: 'killed', lease: LEASE })
    const program = `
      const gate = require('tidegate').connect(${JSON.stringify(await url())}, { timeoutMs: 5000 })
      const limiter = gate.limiter('2 at once', { name: 'killed', lease: ${LEASE} })
      setInterval(() => {}, 1000)
      Promise.all([limiter.slot('k'), limiter.slot('k')]).then((slots) => {
        globalThis.kept = slots // what nobody has any more is released
        process.stdout.write(slots.map(({ allowed }) => allowed).join() + '\\n')
      })`
    const child = spawn(process.execPath, ['-e', program], {
      cwd: __dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    const said = await new Promise((resolve) => child.stdout.once('data', resolve))
    assert.equal(String(said), 'true,true\n')
    await delay(2 * LEASE)
    assert.equal(await free(limiter), 0, 'it renews')
    child.kill('SIGKILL')
    const killed = performance.now()
    await new Promise((resolve) => child.once('exit', resolve))
    let at = 0
    await until('the lease is over', async () => {
      at = performance.now() - killed
      return (await limiter.slot('k', { cost: 2 })).allowed
    })
    // The last renewal was up to a third of the lease ago.
    assert.ok(at > (LEASE * 2) / 3 - 250 && at < LEASE + 500, `free after ${at} ms`)
    await gate.close()
  })

  test('a process that ends with slots held does not hang', async () => {
    for (const store of ['memory://', await url()]) {
      const { code, out, ms } = await run(`
        const { connect } = require('tidegate')
        const limiter = connect('${store}', { timeoutMs: 5000 })
          .limiter('1 at once', { name: 'ends', lease: '10s' })
        limiter.slot('k').then((slot) => {
          globalThis.kept = slot
          console.log(slot.allowed)
        })`)
      assert.deepEqual([code, out], [0, 'true\n'])
      assert.ok(ms < 8000, `${ms}`)
    }
  })

  test('what nobody has any more is released', async () => {
    const source = `
      const limiter = require('tidegate').connect('memory://').limiter('1 at once')
      const take = async () => (await limiter.slot('k')).allowed
      const main = async () => {
        console.log(await take())
        for (let i = 0; i < 200; ++i) {
          gc()
          await new Promise((resolve) => setTimeout(resolve, 10))
          if ((await limiter.peek('k')).remaining === 1) return console.log('collected')
        }
      }
      main()`
    const { out } = await run(source, { args: ['--expose-gc', '-e', source] })
    assert.equal(out, 'true\ncollected\n')
  })
})

describe('while the store is away', () => {
  test('held by this process, renewed and released there', async () => {
    const gate = connect(`redis://127.0.0.1:${await freePort()}`, { connectTimeoutMs: 200 })
    const limiter = gate.limiter('1 at once', { name: 'away', lease: 600 })
    const slot = await limiter.slot('k')
    assert.deepEqual([slot.allowed, slot.decision.source], [true, 'fallback'])
    await delay(1500)
    assert.equal(slot.lost, false)
    assert.equal((await limiter.slot('k')).allowed, false)
    await slot.release()
    assert.equal((await limiter.slot('k')).allowed, true)
    await gate.close()
  })

  test('let pass without being held', async () => {
    const gate = connect(`redis://127.0.0.1:${await freePort()}`, { onFailure: 'open' })
    const slot = await gate.limiter('1 at once', { name: 'open', lease: 90 }).slot('k')
    assert.deepEqual([slot.allowed, slot.decision.source], [true, 'fail_open'])
    await delay(300)
    assert.equal(slot.lost, false)
    await slot.release()
    await gate.close()
  })

  test('what the store gave is lost when the lease is over, not before', async () => {
    const server = await startServer()
    const gate = connect(server.url, { timeoutMs: 50 })
    try {
      const lost = []
      const LEASE = 1500
      const limiter = gate.limiter('1 at once', { name: 'frozen', lease: LEASE })
      await until('the store answers', async () => (await limiter.peek('k')).source === 'store')
      const slot = await limiter.slot('k', { onLost: () => lost.push(performance.now()) })
      assert.equal(slot.decision.source, 'store')
      server.pause()
      const frozen = performance.now()
      await delay(LEASE / 2)
      assert.equal(slot.lost, false)
      await until('it is lost', () => slot.lost)
      const took = lost[0] - frozen
      assert.ok(took > (LEASE * 2) / 3 - 250 && took < LEASE * 1.5 + 500, `${took}`)
      server.resume()
      await slot[Symbol.asyncDispose]()
    } finally {
      await gate.close()
      await server.stop()
    }
  })

  test('the store is back: it takes over', async () => {
    const port = await freePort()
    const gate = connect(`redis://127.0.0.1:${port}`, { connectTimeoutMs: 200, timeoutMs: 1000 })
    const limiter = gate.limiter('1 at once', { name: 'back', lease: 600 })
    const slot = await limiter.slot('k')
    assert.equal(slot.decision.source, 'fallback')
    const server = await startServer({ port })
    const other = connect(server.url)
    const stored = other.limiter('1 at once', { name: 'back', lease: 600 })
    try {
      await until('it is held there', async () => (await free(stored)) === 0, 40_000)
      await delay(1000)
      assert.deepEqual([slot.lost, await free(stored)], [false, 0])
      await slot.release()
      assert.equal(await free(stored), 1)
    } finally {
      await Promise.all([gate.close(), other.close()])
      await server.stop()
    }
  })
})
