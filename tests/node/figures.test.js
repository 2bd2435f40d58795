// SPDX-License-Identifier: MIT
// report, top, limitedNow, lookUp, events, metrics: embedded and on a server.
'use strict'

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { connect, ClosedError } = require('tidegate')
const { FakeClock } = require('tidegate/testing')
const { startServer } = require('./support.js')

function busy() {
  const gate = connect('memory://', { clock: new FakeClock(), labels: 'clear' })
  const api = gate.limiter('5/minute', { name: 'api' })
  gate.limiter('2 at once', { name: 'slots' })
  for (let i = 0; i < 4; ++i) for (let n = 0; n < 6 + i; ++n) api.consumeSync(`user:${i}`)
  return gate
}

describe('figures', () => {
  test('a report has the limiters, and the series that were asked for', () => {
    const gate = busy()
    const report = gate.report()
    assert.equal(report.series, undefined)
    assert.equal(report.limiters.api.denied, 1 + 2 + 3 + 4)
    assert.equal(report.limiters.api.cost, 20)
    const { series } = gate.report({ period: '10m', step: '1m', limiter: 'api' })
    assert.equal(series.allowed.length, 10)
    assert.equal(series.allowed.at(-1), 20)
    assert.throws(() => gate.report({ period: '1h', step: '7s' }), /10 s/)
    assert.throws(() => gate.report({ steps: '7s' }), /step/)
  })

  test('callers are shown as the option labels says', () => {
    const gate = busy()
    assert.deepEqual(gate.top('api', { n: 2 }), [
      { caller: 'user:3', denied: 4 },
      { caller: 'user:2', denied: 3 },
    ])
    assert.deepEqual(Object.keys(gate.top('api', { by: 'cost' })[0]), ['caller', 'cost'])
    assert.deepEqual(
      gate.limitedNow('api').map((one) => one.denied),
      [4, 3, 2, 1],
    )
    const masked = connect('memory://')
    const api = masked.limiter('1/day', { name: 'api' })
    for (let i = 0; i < 3; ++i) api.consumeSync('user:42')
    assert.ok(masked.top('api')[0].caller.startsWith('use~'))
    assert.doesNotMatch(
      JSON.stringify([masked.report(), masked.events(), masked.metrics()]),
      /user:42/,
    )
    assert.throws(() => masked.top('nobody'), { code: 'TG_EHANDLE', message: /"nobody"/ })
    assert.throws(() => masked.top('api', { by: 'weight' }), /TG_BY_COST/)
    assert.throws(() => masked.top('api', { n: 1.5 }), TypeError)
  })

  test('a caller is looked up by any key', async () => {
    const gate = busy()
    const { limiters } = await gate.lookUp('user:3')
    assert.equal(limiters.api.allowed, false)
    assert.equal(limiters.slots.rates[0].remaining, 2)
    assert.equal((await gate.lookUp(42)).limiters.api.allowed, true)
    assert.equal((await gate.lookUp(Uint8Array.of(255))).caller, '\ufffd')
    await assert.rejects(gate.lookUp(''), { code: 'TG_EKEY' })
    const late = gate.lookUp('user:3')
    await gate.close()
    await late.catch((error) => assert.ok(error instanceof ClosedError))
    await assert.rejects(gate.lookUp('user:3'), ClosedError)
    assert.equal(gate.report().denied, 10, 'figures are still to be had')
  })

  test('events go on behind an id', () => {
    const gate = busy()
    const events = gate.events()
    assert.deepEqual(
      events.map((event) => event.kind),
      Array(4).fill('denied'),
    )
    assert.deepEqual(gate.events({ after: events[1].id }), events.slice(2))
    assert.deepEqual(gate.events({ limit: 1 }), events.slice(3))
  })

  test('metrics in both formats', () => {
    const gate = busy()
    const line = 'tidegate_decisions_total{limiter="api",outcome="denied",source="memory"} 10\n'
    assert.ok(gate.metrics().includes(line))
    assert.ok(gate.metrics({ openmetrics: true }).endsWith('# EOF\n'))
  })

  test('a server is asked beside the loop, and its time is measured', async () => {
    const server = await startServer()
    try {
      const gate = connect(server.url, { timeoutMs: 5000 })
      const api = gate.limiter('1/day', { name: 'api' })
      assert.ok((await api.consume('user:42')).allowed)
      assert.ok(!(await api.consume('user:42')).allowed)
      const its = (await gate.lookUp('user:42')).limiters.api
      assert.deepEqual([its.allowed, its.source], [false, 'store'])
      const { limiters, durations } = gate.report()
      assert.equal(limiters.api.decisions.store.denied, 1)
      assert.equal(durations.decisions.count, 2)
      assert.ok(durations.round_trips.p50_us > 0)
      await gate.close()
    } finally {
      await server.stop()
    }
  })
})
