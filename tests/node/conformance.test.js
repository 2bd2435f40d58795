// SPDX-License-Identifier: MIT
// The model's scenarios and HTTP cases through the Node API: embedded, and on every server there
// is.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { connect } = require('tidegate')
const { FakeClock } = require('tidegate/testing')
const { ROOT, SERVERS, startServer, command } = require('./support.js')

const lines = (name) =>
  fs
    .readFileSync(path.join(ROOT, 'tests/conformance', name), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
const scenarios = ['vectors', 'slots'].flatMap((file) =>
  lines(`${file}.jsonl`).map((scenario) => ({ ...scenario, id: `${file}-${scenario.id}` })),
)
const httpCases = lines('http.jsonl')
const lib = path.join(path.dirname(require.resolve('tidegate')))

const SLOTS = 'concurrency'
const rateOf = ({ algorithm, limit, window_us: us, burst, overdraft }) =>
  algorithm === SLOTS
    ? `${limit} at once`
    : `${limit}/${us}us${burst === null ? '' : ` burst ${burst}`}` +
      (overdraft ? ` overdraft ${overdraft}` : '')
const settingsOf = ({ algorithm, shadow, window_us: us }) => ({
  algorithm,
  mode: shadow ? 'shadow' : 'enforce',
  ...(algorithm === SLOTS && { lease: `${us}us` }),
})
const ms = (us) => (us === -1 ? Infinity : Math.ceil(us / 1000))

function seen(decision) {
  const parts = decision.parts
  return {
    allowed: decision.allowed,
    remaining: decision.remaining,
    parts: parts.map((part) => ({
      allowed: part.allowed,
      remaining: part.remaining,
      retryAfterMs: part.retryAfterMs,
      nextAfterMs: part.nextAfterMs,
      resetAfterMs: part.resetAfterMs,
      shortfall: part.shortfall,
    })),
  }
}

function wanted(expect) {
  return {
    allowed: expect.allowed,
    remaining: expect.parts[expect.binding].remaining,
    parts: expect.parts.map((part) => ({
      allowed: part.allowed,
      remaining: part.remaining,
      retryAfterMs: ms(part.retry_after_us),
      nextAfterMs: ms(part.next_us),
      resetAfterMs: ms(part.reset_after_us),
      shortfall: part.short ?? 0,
    })),
  }
}

async function play(gate, clock, scenario, single) {
  const limiters = scenario.limits.map((spec, i) =>
    gate.limiter(rateOf(spec), { name: `${scenario.id}-${i}`, ...settingsOf(spec) }),
  )
  for (const step of scenario.steps) {
    clock.nowUs = step.at
    if (step.op === 'change') {
      limiters[step.limit].change(rateOf(step.to), settingsOf(step.to))
      continue
    }
    const parts = step.parts.map(({ limit, key, cost, id }) => [limiters[limit], key, cost, id])
    const answer =
      parts.length > 1 ? await gate[step.op](parts) : await playOne(gate, step.op, parts[0], single)
    if (step.expect) assert.deepEqual(seen(answer), wanted(step.expect), JSON.stringify(step))
  }
}

// One part, by the limiter's own functions where it has one.
function playOne(gate, op, part, single) {
  const [limiter, key, cost, id] = part
  if (id !== undefined && op === 'consume') return limiter.acquire(key, id, { cost })
  if (id !== undefined && op === 'refund') return limiter.release(key, id)
  if (id !== undefined) return gate[op]([part])
  if (single && op === 'consume') return limiter.consumeSync(key, { cost })
  return limiter[op](key, op === 'reset' ? {} : { cost })
}

test('every scenario, embedded', async () => {
  const clock = new FakeClock()
  const gate = connect('memory://', { clock })
  for (const scenario of scenarios) await play(gate, clock, scenario, true)
  assert.equal(scenarios.length, 600)
  await gate.close()
})

for (const { name, program } of SERVERS) {
  test(`every scenario on ${name}, and how its states are named`, async () => {
    const server = await startServer({ program })
    const clock = new FakeClock()
    const gate = connect(server.url, { clock, testing: 1, namespace: 'conf', timeoutMs: 5000 })
    try {
      for (const scenario of scenarios) await play(gate, clock, scenario, false)
      assert.equal(gate.stats().byStore, gate.stats().allowed + gate.stats().denied)
      await checkNames(server)
    } finally {
      await gate.close()
      await server.stop()
    }
  })
}

async function checkNames(server) {
  for (const { state_key: given, expect } of httpCases.filter((line) => line.state_key)) {
    await command(server, 'FLUSHALL')
    // A clock of one's own: states are kept, however short their window.
    const gate = connect(server.url, {
      timeoutMs: 5000,
      namespace: given.namespace,
      testing: 1,
      clock: new FakeClock(),
    })
    const limiter = gate.limiter(rateOf(given.limit), {
      name: given.name,
      ...settingsOf(given.limit),
    })
    assert.equal((await limiter.consume(given.key)).source, 'store')
    assert.match(await command(server, 'EXISTS', expect), /^:1/, expect)
    await gate.close()
  }
}

test('every header and body of the model', async () => {
  const { Decision, styleFlags } = require(path.join(lib, 'decision.js'))
  const SOURCES = ['', 'memory', 'store', 'fallback', 'fail_open', 'fail_closed']
  let played = 0
  for (const { headers: given, expect } of httpCases.filter((line) => line.headers)) {
    const gate = connect('memory://')
    const figures = [(given.allowed ? 1 : 0) | (SOURCES.indexOf(given.source) << 8), given.binding]
    given.policies.forEach((policy, i) => {
      const limiter = gate.limiter(rateOf(policy), { name: policy.name, ...settingsOf(policy) })
      const answer = given.answers[i]
      figures.push(
        limiter.number,
        0,
        (answer.allowed ? 1 : 0) | (policy.shadow ? 4 : 0),
        policy.limit,
        answer.remaining,
        answer.retry_after_us,
        answer.next_us,
        answer.reset_after_us,
        policy.window_us,
        policy.algorithm === 'token_bucket' ? (policy.burst ?? policy.limit) : policy.limit,
        0,
      )
    })
    const decision = new Decision(gate, figures)
    assert.deepEqual(decision.headerPairs(styleFlags(given.style), given.wall_us), expect.headers)
    assert.equal(decision.status, expect.status)
    if (!given.allowed) assert.equal(decision.problem(), expect.body)
    await gate.close()
    ++played
  }
  assert.equal(played, 150)
})

test('every caller of the model', () => {
  const native = require(path.join(lib, 'native.js'))
  let played = 0
  for (const { caller, expect } of httpCases.filter((line) => line.caller)) {
    const keyOf = native.callerKeys([
      'trusted_proxies',
      [].concat(caller.trusted).join(','),
      'ipv6_prefix',
      String(caller.ipv6_prefix),
    ])
    const forwarded = caller.forwarded_for.length ? caller.forwarded_for.join(',') : undefined
    assert.equal(
      keyOf(caller.peer, forwarded, caller.identity ?? ''),
      expect.key,
      JSON.stringify(caller),
    )
    ++played
  }
  assert.equal(played, 120)
})
