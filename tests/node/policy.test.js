// SPDX-License-Identifier: MIT
// Policies through the Node API: the model's vectors, checks, what is said live, and settling.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { describe, test } = require('node:test')
const { ConfigError, connect, ignoredOfLive, resolvePolicy, validatePolicy } = require('tidegate')
const { FakeClock } = require('tidegate/testing')
const { ROOT, SERVERS, command, run, startServer, until } = require('./support.js')

// A member of a line as it is written there: JSON.parse makes 1 of 1.0. The newline says that it is
// no path.
function written(line, name) {
  const at = line.indexOf(`"${name}":`)
  if (at < 0) return undefined
  const from = at + name.length + 3
  let depth = 0
  for (const { 0: token, index } of line.slice(from).matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/g)) {
    if (token === '[' || token === '{') ++depth
    else if (depth === 0 && !token.startsWith('"')) return `${line.slice(from, from + index)}\n`
    else if (token === ']' || token === '}') --depth
  }
  return undefined
}

const vectors = fs
  .readFileSync(path.join(ROOT, 'tests/conformance/policy.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => ({
    ...JSON.parse(line),
    policy: written(line, 'policy'),
    live: written(line, 'live'),
  }))

const POLICY = {
  version: 1,
  limiters: {
    basic: '3/minute',
    pro: '100/minute',
    images: { rate: '10/minute', mode: 'shadow' },
    logins: '5/minute',
    tokens: '1000/minute overdraft 1000',
    jobs: { rate: '1 at once', lease: '10s' },
  },
  tiers: { basic: ['basic'], pro: ['pro'] },
  default_tier: 'basic',
  rules: [
    { when: { path: '/health' }, exempt: true },
    { when: { path: '/v1/images/*' }, limit: 'images', cost: '{images}' },
    { when: { path: '/login' }, limit: 'logins', count: 'failed' },
    { when: { path: '/chat' }, limit: 'tokens', cost: 100, settle: '{used}' },
    { when: { path: '/job' }, limit: 'jobs' },
    { when: { path: ['/', '/v1/**'] }, limit: 'tier' },
  ],
  callers: {
    k_pro: { tier: 'pro' },
    k_evil: { ban: true, reason: 'scraping' },
    k_soon: { ban: true, until: '2023-11-14T22:14:20Z' },
  },
}

const memory = (options) => {
  const clock = new FakeClock()
  return { clock, gate: connect('memory://', { clock, policy: POLICY, ...options }) }
}

describe("the model's vectors", () => {
  for (const { id, policy, live, cases, ignored, ...faulty } of vectors)
    test(id, () => {
      const { error_path: fault, live_error_path: liveFault } = faulty
      const faults = validatePolicy(policy)
      assert.deepEqual(
        faults.map((one) => one.path),
        fault === undefined ? [] : [fault],
      )
      if (fault !== undefined || liveFault !== undefined)
        assert.throws(
          () => resolvePolicy(policy, {}, { live }),
          (error) => {
            assert.ok(error instanceof ConfigError)
            assert.equal(error.code, 'TG_EPOLICY')
            const where = (fault ?? liveFault).slice(0, 100) // a message has 256 bytes at most
            assert.ok(error.message.includes(where), error.message)
            return true
          },
        )
      if (ignored) assert.deepEqual(ignoredOfLive(policy, live), ignored)
      for (const { request, now_us: nowUs, expect } of cases ?? [])
        assert.deepEqual(resolvePolicy(policy, request, { live, nowUs }), expect)
    })
})

function everywhere(title, work) {
  test(`${title}: embedded`, () => {
    const { clock, gate } = memory()
    return work(gate, clock)
  })
  for (const { name, program } of SERVERS)
    test(`${title}: ${name}`, async () => {
      const server = await startServer({ program })
      const clock = new FakeClock()
      const options = { clock, testing: true, timeoutMs: 5000, policy: POLICY }
      const gate = connect(server.url, options)
      try {
        await work(gate, clock, server)
      } finally {
        await gate.close()
        await server.stop()
      }
    })
}

everywhere('a check is a decision with what HTTP says of it', async (gate, clock) => {
  for (const remaining of [2, 1, 0]) {
    const passed = await gate.check({ method: 'GET', path: '/', identity: 'k_1' })
    assert.equal(passed.allowed, true)
    assert.deepEqual(
      [passed.status, passed.verdict, passed.caller, passed.remaining, passed.name],
      [200, 'limits', 'k_1', remaining, 'basic'],
    )
    assert.equal(passed.fields.RateLimit, `"basic";r=${remaining};t=20`)
    assert.deepEqual(passed.headers(), passed.fields)
    assert.deepEqual(passed.headers('standard'), {
      'RateLimit-Policy': '"basic";q=3;w=60',
      RateLimit: `"basic";r=${remaining};t=20`,
    })
  }
  const denied = await gate.check({ method: 'GET', path: '/', identity: 'k_1' })
  assert.deepEqual([denied.allowed, denied.status, denied.retryAfterMs], [false, 429, 20_000])
  assert.equal(denied.fields['Retry-After'], '20')
  assert.deepEqual(JSON.parse(denied.problem())['violated-policies'], ['basic'])

  const evil = await gate.check({ path: '/', identity: 'k_evil' })
  assert.deepEqual(
    [evil.status, evil.verdict, evil.reason, evil.source, evil.retryAfterMs, evil.parts],
    [403, 'banned', 'scraping', 'policy', Infinity, []],
  )
  assert.equal(JSON.parse(evil.problem()).detail, 'This caller is banned.')
  const soon = await gate.check({ path: '/', identity: 'k_soon' })
  assert.deepEqual([soon.retryAfterMs, soon.fields['Retry-After']], [60_000, '60'])
  const health = await gate.check({ path: '/health', identity: 'k_1' })
  assert.deepEqual([health.status, health.verdict, health.fields], [200, 'exempt', {}])
  clock.advance(60_000)
  assert.equal((await gate.check({ path: '/', identity: 'k_soon' })).status, 200)
})

everywhere('an attribute is a text, a whole number or a boolean', async (gate) => {
  const images = await gate.check({ path: '/v1/images/x', identity: 'k', images: 4n, hd: true })
  assert.deepEqual(
    images.parts.map(({ name, remaining }) => [name, remaining]),
    [
      ['images', 6],
      ['basic', 2],
    ],
  )
  for (const [attributes, code] of [
    [{ path: ['/'] }, 'ERR_INVALID_ARG_TYPE'],
    [{ images: 1.5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ '@limit': '1/s' }, 'TG_EATTRIBUTE'],
    [{ identity: 'a\0tier\0pro' }, 'TG_EATTRIBUTE'],
    [{ identity: '\ud800' }, 'TG_EATTRIBUTE'],
    [{ path: '/v1/images/x' }, 'TG_EATTRIBUTE'], // no cost
    [{ path: '/', tier: 'gold' }, 'TG_EATTRIBUTE'],
    [undefined, 'ERR_INVALID_ARG_TYPE'],
  ])
    await assert.rejects(gate.check(attributes), { code }, JSON.stringify(attributes))
})

everywhere('checks of one request charge once, and a denial gives back', async (gate) => {
  const asked = { path: '/', identity: 'k_1' }
  const outer = await gate.check(asked)
  const inner = await gate.check({ ...asked, path: '/v1/images/x', images: 11 }, { after: outer })
  assert.equal(inner.allowed, true, 'in shadow')
  assert.equal((await gate.check(asked)).remaining, 1, 'basic was charged once')
  const last = await gate.check(asked)
  const denied = await gate.check({ ...asked, path: '/job' }, { after: last })
  assert.equal(denied.allowed, true)
  await denied.finish(200)
  await assert.rejects(gate.check(asked, { after: {} }), { code: 'ERR_INVALID_ARG_TYPE' })
})

everywhere('what the response settles', async (gate) => {
  const identity = 'k'
  for (const [status, remaining] of [
    [200, 4],
    [401, 4],
    [200, 3],
  ]) {
    const login = await gate.check({ path: '/login', identity })
    assert.equal(login.remaining, remaining)
    await login.finish(status)
    await login.finish(status) // once
  }
  const chat = await gate.check({ path: '/chat', identity })
  await chat.finish(200, { used: 350 })
  assert.equal((await gate.check({ path: '/chat', identity })).remaining, 550)
  const job = await gate.check({ path: '/job', identity })
  assert.equal((await gate.check({ path: '/job', identity })).status, 429)
  await job.finish()
  assert.equal((await gate.check({ path: '/job', identity })).status, 200)
})

everywhere('the live document is said over the policy', async (gate, clock, server) => {
  const { policy } = gate
  const status = async (identity) => (await gate.check({ path: '/', identity })).status
  assert.equal(await policy.setCaller('k', { ban: '1h', reason: 'now', by: 'me' }), 1)
  assert.equal(await status('k'), 403)
  const later = new Date(clock.nowUs / 1000 + 3_600_000).toISOString()
  assert.deepEqual(policy.live(), {
    version: 1,
    live: { callers: { k: { ban: true, reason: 'now', until: later } } },
  })
  await policy.clear('k')
  assert.equal(await status('k'), 200)
  await policy.setLimit('basic', '7/minute', { until: 60_000 })
  assert.equal((await gate.check({ path: '/', identity: 'j' })).limit, 7)
  await policy.setLimit('basic', null)
  assert.equal((await gate.check({ path: '/', identity: 'j' })).limit, 3)
  await policy.setTier('basic', ['pro'])
  assert.equal((await gate.check({ path: '/', identity: 'j' })).limit, 100)
  await policy.replace({ callers: { j: { exempt: true } } })
  assert.deepEqual(policy.live().live, { callers: { j: { exempt: true } } })
  assert.equal((await gate.check({ path: '/', identity: 'j' })).verdict, 'exempt')
  await assert.rejects(policy.setLimit('unheard', '7/minute'), { code: 'TG_EPOLICY' })
  await assert.rejects(policy.setLimit('basic', '7/fortnight'), { code: 'TG_EPOLICY' })
  await assert.rejects(policy.setCaller('k', { ban: 'long' }), /ban: expected how long/)
  await assert.rejects(policy.setCaller('k', { bann: true }), /did you mean ban\?/)
  if (!server) return
  const other = connect(server.url, { timeoutMs: 5000, policy: POLICY })
  await until('the other', async () => {
    return (await other.check({ path: '/', identity: 'j' })).verdict === 'exempt'
  })
  await policy.setCaller('x', { ban: true })
  await until(
    'the ban',
    async () => (await other.check({ path: '/', identity: 'x' })).status === 403,
  )
  await other.close()
  assert.match(await command(server, 'XRANGE', 'tg:1:{policy}:audit', '-', '+', 'COUNT', '1'), /me/)
})

everywhere('explain says what a request meets, and charges nothing', async (gate) => {
  const asked = { method: 'GET', path: '/v1/images/x', identity: 'k_1', images: 2 }
  const explained = await gate.policy.explain(asked)
  assert.equal(explained.verdict, 'limits')
  assert.deepEqual(
    explained.states.map(({ limiter, remaining }) => [limiter, remaining]),
    [
      ['images', 10],
      ['basic', 3],
    ],
  )
  assert.deepEqual(await gate.policy.explain(asked), explained)
})

test('a policy is a file, a text, or an object', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-node-policy-'))
  const file = path.join(folder, 'limits.yaml')
  const text = (limit) => `version: 1\nlimiters: {a: ${limit}/minute}\nrules: [{limit: a}]\n`
  fs.writeFileSync(file, text(5))
  for (const policy of [
    file,
    pathToFileURL(file),
    text(5),
    JSON.stringify(JSON.parse('{"version":1,"limiters":{"a":"5/minute"},"rules":[{"limit":"a"}]}')),
  ]) {
    const gate = connect('memory://', { policy })
    assert.equal((await gate.check({ path: '/', identity: 'k' })).limit, 5)
    assert.equal(gate.checkSync({ path: '/', identity: 'k' }).remaining, 3)
    await gate.close()
  }
  const gate = connect({ policy: file })
  fs.writeFileSync(`${file}.new`, text(6))
  fs.renameSync(`${file}.new`, file)
  await until('the new file', () => gate.checkSync({ identity: 'k' }).limit === 6)
  assert.throws(
    () => gate.policy.load('version: 1\nrules: [{limit: b}]'),
    (error) => {
      return error.code === 'TG_EPOLICY' && /line 2.*rules\[0\]\.limit/.test(error.message)
    },
  )
  gate.policy.load(text(7))
  assert.equal(gate.checkSync({ identity: 'k' }).limit, 7)
  assert.deepEqual(gate.policy.validate(text('x'))[0].path, 'limiters.a')
  await gate.close()
  for (const policy of [path.join(folder, 'none.yaml'), folder, 'version: 2\n', {}])
    assert.throws(() => connect('memory://', { policy }), ConfigError, String(policy))
  for (const policy of [5, '', ['a'], new URL('http://localhost/')])
    assert.throws(() => connect('memory://', { policy }), /policy: expected/)
  fs.rmSync(folder, { recursive: true })
})

test('texts of any length come over as they are', async () => {
  const gate = connect('memory://', { policy: POLICY })
  for (const size of [0, 1, ...Array.from({ length: 24 }, (_, i) => 4040 + i), 100_000])
    for (const letter of ['a', '\u00e9', '\u20ac', '\u{1f600}']) {
      const identity = 'k'.repeat(size % 7) + letter.repeat(size)
      const { caller } = await gate.check({ path: '/', identity })
      assert.equal(caller, identity || '@unknown')
    }
  const same = { path: '/', identity: `${'\u20ac'.repeat(40_000)}x` }
  assert.equal((await gate.check(same)).remaining, 2)
  assert.equal((await gate.check({ ...same, path: `/v1/${'a/'.repeat(40_000)}` })).remaining, 1)
  assert.equal((await gate.check({ ...same, identity: `${same.identity}y` })).remaining, 2)
})

test('another policy acts on every guard of the gate, those of middleware too', async () => {
  const gate = connect('memory://', { policy: POLICY })
  const { rateLimit } = require('tidegate/http')
  const guards = [rateLimit({ store: gate }), rateLimit({ store: gate, headers: ['standard'] })]
  const limits = async () => {
    const seen = [gate.checkSync({ path: '/', identity: 'k' }).limit]
    for (const check of guards) {
      const req = { method: 'GET', url: '/', headers: {}, socket: { remoteAddress: '::1' } }
      await check(req, { setHeader() {} })
      seen.push(req.rateLimit.limit)
    }
    return seen
  }
  assert.deepEqual(await limits(), [3, 3, 3])
  gate.policy.load({ ...POLICY, limiters: { ...POLICY.limiters, basic: '8/minute' } })
  assert.deepEqual(await limits(), [8, 8, 8])
  guards.push(rateLimit({ store: gate, headers: false }))
  assert.deepEqual(await limits(), [8, 8, 8, 8])
})

test('a gate without a policy limits nothing, and bans all the same', async () => {
  const gate = connect('memory://')
  assert.equal((await gate.check({ path: '/', identity: 'k' })).status, 200)
  await gate.policy.setCaller('k', { ban: true })
  assert.equal((await gate.check({ path: '/', identity: 'k' })).status, 403)
  await gate.close()
  await assert.rejects(gate.check({ path: '/' }), { code: 'TG_ECLOSED' })
  await assert.rejects(gate.policy.explain({ path: '/' }), { code: 'TG_ECLOSED' })
  assert.throws(() => gate.policy.live(), { code: 'TG_ECLOSED' })
})

test('a worker that ends while the store is asked takes nobody along', async () => {
  const server = await startServer()
  const work = `
    const gate = require('tidegate').connect(process.env.STORE, { policy: { version: 1 } })
    for (let i = 0; i < 20; ++i) {
      gate.policy.explain({ path: '/' })
      gate.lookUp('k')
      gate.check({ path: '/' })
    }
    setImmediate(() => process.exit(0))`
  const done = await run(
    `
    const { Worker } = require('node:worker_threads')
    let n = 0
    const next = () => {
      if (++n > 20) return console.log('all')
      new Worker(${JSON.stringify(work)}, { eval: true }).on('exit', next)
    }
    next()`,
    { env: { STORE: server.url }, timeout: 60_000 },
  )
  assert.deepEqual([done.code, done.signal, done.out.trim()], [0, null, 'all'])
  await server.stop()
})
