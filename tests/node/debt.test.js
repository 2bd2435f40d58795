// SPDX-License-Identifier: MIT
// Debits, and reservations that are settled: embedded, on a server, and while it is away.
'use strict'

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { connect, ConfigError, SettleError, StoreError } = require('tidegate')
const { FakeClock } = require('tidegate/testing')
const { freePort, startServer } = require('./support.js')

const left = async (limiter, key) => (await limiter.peek(key)).remaining
const rejectsWith = (promise, type, code) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, error.stack)
    assert.equal(error.code, code)
    return true
  })

describe('debit', () => {
  const clock = new FakeClock()
  const gate = connect('memory://', { clock })

  test('is never denied, owes down to the overdraft, and says what did not fit', async () => {
    const api = gate.limiter('60/minute overdraft 30', { name: 'debit' })
    assert.equal(api.rates[0].overdraft, 30)
    const first = await api.debit('k', 80)
    assert.deepEqual([first.allowed, first.remaining, first.parts[0].shortfall], [true, 0, 0])
    const second = await api.debit('k', { cost: 25 })
    assert.deepEqual([second.allowed, second.parts[0].shortfall], [true, 15])
    assert.equal(JSON.parse(JSON.stringify(second)).parts[0].shortfall, 15)
    assert.equal((await api.consume('k')).retryAfterMs, 31_000)
    clock.advance(31_000)
    assert.equal((await api.consume('k')).allowed, true)
  })

  test('refund and reset of several parts, each for itself', async () => {
    const a = gate.limiter('10/minute overdraft 5', { name: 'a' })
    const b = gate.limiter('3/minute', { name: 'b' })
    const parts = [
      [a, 'k', 12],
      [b, 'k', 5],
    ]
    const decision = await gate.debit(parts)
    assert.deepEqual(
      decision.parts.map(({ name, shortfall }) => [name, shortfall]),
      [
        ['a', 0],
        ['b', 2],
      ],
    )
    await gate.refund([
      [a, 'k', 4],
      [b, 'k', 3],
    ])
    assert.deepEqual([await left(a, 'k'), await left(b, 'k')], [2, 3])
    await gate.reset([
      [a, 'k'],
      [b, 'k'],
    ])
    assert.deepEqual([await left(a, 'k'), await left(b, 'k')], [10, 3])
  })

  test('misuse', async () => {
    const api = gate.limiter('1/s', { name: 'misuse' })
    await rejectsWith(api.debit('k', 2 ** 52), ConfigError, 'TG_ECOST')
    await rejectsWith(api.debit('k', -1), ConfigError, 'TG_ECOST')
    await rejectsWith(api.debit('k', { source: 'moon' }), ConfigError, 'TG_EINVAL')
    assert.throws(() => gate.limiter('3/7us overdraft 1000000000001'), { code: 'TG_ERATE' })
  })
})

describe('reserve', () => {
  const gate = connect('memory://', { clock: new FakeClock() })
  const api = gate.limiter('1000/hour overdraft 500', { name: 'tokens' })

  test('settle gives back what was not used', async () => {
    const reservation = await api.reserve('less', 800)
    assert.deepEqual([reservation.allowed, await left(api, 'less')], [true, 200])
    const done = await reservation.settle(300)
    assert.deepEqual(done, { charged: true, givenBack: 500, debited: 0, decision: null })
    assert.equal(await left(api, 'less'), 700)
  })

  test('or charges what was used beyond it', async () => {
    const reservation = await api.reserve('more', 800)
    const { givenBack, debited, decision } = await reservation.settle(1600)
    assert.deepEqual([givenBack, debited, decision.parts[0].shortfall], [0, 800, 100])
    assert.equal((await api.consume('more')).allowed, false)
  })

  test('or nothing, where the estimate was right; once, whatever is asked then', async () => {
    const reservation = await api.reserve('exact', 10)
    for (const wrong of [-1, 1.5, 2 ** 52])
      await rejectsWith(reservation.settle(wrong), ConfigError, 'TG_ECOST')
    for (const wrong of [undefined, '10', [1, 2]])
      await rejectsWith(reservation.settle(wrong), TypeError, 'ERR_INVALID_ARG_TYPE')
    assert.equal(reservation.settled, false, 'what was refused is no settlement')
    const [first, again] = await Promise.allSettled([reservation.settle(10), reservation.settle(0)])
    assert.equal(first.value.charged, true)
    assert.ok(again.reason instanceof SettleError && /settled already/.test(again.reason.message))
    await reservation[Symbol.asyncDispose]()
    assert.equal(await left(api, 'exact'), 990)
  })

  test('left without settle all is given back', async () => {
    const reservation = await api.reserve('left', 400)
    await reservation[Symbol.asyncDispose]()
    await reservation[Symbol.asyncDispose]()
    assert.equal(await left(api, 'left'), 1000)
    await rejectsWith(reservation.settle(1), SettleError, 'ERR_TIDEGATE_SETTLE')
  })

  test('a denied one cannot be settled, and gives nothing back', async () => {
    await api.consume('denied', 700)
    const reservation = await api.reserve('denied', 400)
    assert.deepEqual([reservation.allowed, reservation.decision.status], [false, 429])
    await rejectsWith(reservation.settle(0), SettleError, 'ERR_TIDEGATE_SETTLE')
    await reservation[Symbol.asyncDispose]()
    assert.equal(await left(api, 'denied'), 300)
  })

  test('several parts: one number for all, or one for each', async () => {
    const daily = gate.limiter('5000/day; 9000/week', { name: 'daily' })
    const requests = gate.limiter('10/minute', { name: 'requests' })
    const parts = [
      [api, 'p', 100],
      [daily, 'p', 100],
      [requests, 'p'],
    ]
    const reservation = await gate.reserve(parts)
    parts[0][1] = 'another' // is none of the reservation's business
    const { givenBack, debited } = await reservation.settle([40, 150, 1])
    assert.deepEqual([givenBack, debited], [60, 50])
    const now = await Promise.all([left(api, 'p'), left(daily, 'p'), left(requests, 'p')])
    assert.deepEqual(now, [960, 4850, 9])
    const same = await gate.reserve([
      [api, 'q', 100],
      [daily, 'q', 100],
    ])
    await same.settle(70)
    assert.deepEqual([await left(api, 'q'), await left(daily, 'q')], [930, 4930])
  })

  test('a shadow limit that took nothing gets nothing back, and hears of the use', async () => {
    const shadow = gate.limiter('100/hour', { name: 'shadow', mode: 'shadow' })
    await shadow.consume('k', 80)
    const reservation = await gate.reserve([
      [api, 's', 50],
      [shadow, 'k', 50],
    ])
    assert.equal(reservation.decision.wouldDeny, true)
    await reservation.settle(5)
    assert.deepEqual([await left(api, 's'), await left(shadow, 'k')], [995, 15])
  })

  test('bytes of a key that change are those that were reserved', async () => {
    const key = Buffer.from('bytes')
    const reservation = await api.reserve(key, 100)
    key.fill('x')
    await reservation.settle(0)
    assert.equal(await left(api, 'bytes'), 1000)
  })

  test('misuse', async () => {
    const slots = gate.limiter('2 at once', { name: 'slots' })
    await rejectsWith(gate.reserve([[slots, 'k', 1, 'id']]), ConfigError, 'TG_EINVAL')
    await rejectsWith(slots.reserve('k', 1), ConfigError, 'TG_EID')
    await rejectsWith(api.reserve('k'), TypeError, 'ERR_INVALID_ARG_TYPE')
    await rejectsWith(gate.reserve('k'), TypeError, 'ERR_INVALID_ARG_TYPE')
  })
})

test('while the store is away: the reservation is settled where it was made', async () => {
  const port = await freePort()
  const gate = connect(`redis://127.0.0.1:${port}`, { timeoutMs: 1000, connectTimeoutMs: 200 })
  const api = gate.limiter('100/hour overdraft 50', { name: 'away' })
  const reservation = await api.reserve('k', 60)
  assert.equal(reservation.decision.source, 'fallback')
  const server = await startServer({ port })
  const other = connect(server.url)
  try {
    const { decision } = await reservation.settle(90)
    assert.equal(decision.source, 'fallback')
    assert.equal(decision.remaining, 10)
    const stored = other.limiter('100/hour overdraft 50', { name: 'away' })
    assert.equal(await left(stored, 'k'), 100, 'the store hears nothing of it')
  } finally {
    await Promise.all([gate.close(), other.close()])
    await server.stop()
  }
})

test('what the store decided is settled there, or not at all; and not twice', async () => {
  const server = await startServer()
  const gate = connect(server.url, { timeoutMs: 2000, connectTimeoutMs: 300 })
  try {
    const api = gate.limiter('100/hour overdraft 50', { name: 'stored' })
    const [settled, more, disposed] = await Promise.all([
      api.reserve('a', 60),
      api.reserve('b', 60),
      api.reserve('c', 60),
    ])
    assert.equal(settled.decision.source, 'store')
    await settled.settle(20)
    assert.equal(await left(api, 'a'), 80)
    await server.stop()
    await assert.rejects(more.settle(90), StoreError)
    await rejectsWith(more.settle(90), SettleError, 'ERR_TIDEGATE_SETTLE')
    await disposed[Symbol.asyncDispose]()
    assert.equal((await api.debit('d', 10)).source, 'fallback')
    const closed = gate.limiter('100/hour', { name: 'closed', onFailure: 'closed' })
    await assert.rejects(closed.debit('d', 10), StoreError)
    const open = gate.limiter('100/hour', { name: 'open', onFailure: 'open' })
    const free = await open.reserve('d', 10)
    assert.equal(free.decision.source, 'fail_open')
    const nothing = { charged: false, givenBack: 0, debited: 0, decision: null }
    assert.deepEqual(await free.settle(90), nothing)
  } finally {
    await gate.close()
    await server.stop()
  }
})
