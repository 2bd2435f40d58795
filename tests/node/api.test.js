// SPDX-License-Identifier: MIT
// The names and shapes of the API on the embedded store.
'use strict'

const assert = require('node:assert/strict')
const { inspect } = require('node:util')
const { describe, test } = require('node:test')
const tidegate = require('tidegate')
const { connect, callerKey } = tidegate
const { FakeClock } = require('tidegate/testing')

function fake(options = {}) {
  const clock = new FakeClock()
  return { clock, gate: connect('memory://', { clock, ...options }) }
}

describe('decisions', () => {
  test('a token bucket, from the first token to the denial and back', async () => {
    const { clock, gate } = fake()
    const api = gate.limiter('2/minute burst 3', { name: 'api' })
    const decision = await api.consume('user:42')
    assert.deepEqual(
      { ...decision.toJSON(), parts: undefined },
      {
        allowed: true,
        wouldDeny: false,
        name: 'api',
        limit: 2,
        remaining: 2,
        retryAfterMs: 0,
        resetAfterMs: 30000,
        source: 'memory',
        parts: undefined,
      },
    )
    assert.equal((await api.consume('user:42', { cost: 2 })).remaining, 0)
    const denied = api.consumeSync('user:42')
    assert.equal(denied.allowed, false)
    assert.equal(denied.retryAfterMs, 30000)
    clock.advance(29_999)
    assert.equal(api.consumeSync('user:42').retryAfterMs, 1)
    clock.advance(1)
    assert.equal(api.consumeSync('user:42').allowed, true)
    assert.equal(denied.remaining, 0, 'a decision does not change afterwards')
    assert.throws(() => {
      'use strict'
      denied.allowed = true
    }, TypeError)
    await gate.close()
  })

  test('what never fits says Infinity, and what is unknown says null', async () => {
    const { gate } = fake()
    const never = await gate.limiter('2/minute').consume('k', { cost: 3 })
    assert.equal(never.retryAfterMs, Infinity)
    const told = JSON.parse(JSON.stringify(never))
    assert.equal(told.retryAfterMs, 'never', 'null is what is not known')
    assert.equal(told.parts[0].retryAfterMs, 'never')
    assert.match(inspect(never.parts[0]), /retryAfterMs: Infinity/)
    const off = await gate.limiter('2/minute', { name: 'off', mode: 'off' }).consume('k')
    assert.deepEqual(
      [off.allowed, off.limit, off.remaining, off.retryAfterMs, off.resetAfterMs].slice(0, 1),
      [true],
    )
    assert.equal(off.remaining, null)
    assert.equal(off.resetAfterMs, null)
    const { remaining, retryAfterMs } = JSON.parse(JSON.stringify(off))
    assert.deepEqual([remaining, retryAfterMs], [null, off.retryAfterMs])
    await gate.close()
  })

  test('several parts are all or nothing, and say which of them speaks', async () => {
    const { gate } = fake()
    const ip = gate.limiter('10/minute', { name: 'ip' })
    const key = gate.limiter('3/minute; 100/hour', { name: 'key' })
    const first = await gate.consume([
      [ip, '203.0.113.7'],
      [key, 'k_1', 3],
    ])
    assert.equal(first.allowed, true)
    assert.deepEqual(
      first.parts.map((part) => [part.name, part.remaining]),
      [
        ['ip', 9],
        ['key-60s', 0],
        ['key-3600s', 97],
      ],
    )
    const second = gate.consumeSync([
      [ip, '203.0.113.7'],
      [key, 'k_1', 1],
    ])
    assert.equal(second.allowed, false)
    assert.equal(second.name, 'key-60s')
    assert.deepEqual(
      second.parts.map((part) => part.allowed),
      [true, false, true],
    )
    assert.equal((await ip.peek('203.0.113.7')).remaining, 9, 'the denied request cost nothing')
    await gate.close()
  })

  test('peek writes nothing, refund gives back, reset forgets', async () => {
    const { gate } = fake()
    const api = gate.limiter('5/minute')
    const taken = await api.consume('k', 4)
    assert.equal((await api.peek('k')).remaining, 1)
    assert.equal((await api.peek('k', { cost: 2 })).allowed, false)
    assert.equal(await api.refund('k', { cost: 2, source: taken.source }), undefined)
    assert.equal(api.peekSync('k').remaining, 3)
    assert.equal(await api.reset('k'), undefined)
    assert.equal((await api.peek('k')).remaining, 5)
    await gate.close()
  })

  test('a shadow limiter lets pass and says what it would have done', async () => {
    const { gate } = fake()
    const shade = gate.limiter('1/minute', { name: 'shade', mode: 'shadow' })
    assert.equal((await shade.consume('k')).wouldDeny, false)
    const decision = await shade.consume('k')
    assert.deepEqual([decision.allowed, decision.wouldDeny], [true, true])
    assert.deepEqual(decision.headers(), {})
    await gate.close()
  })

  test('change takes new numbers at once and keeps the past', async () => {
    const { gate } = fake()
    const api = gate.limiter('10/minute', { name: 'api' })
    await api.consume('k', 4)
    assert.equal(api.change('5/minute'), api)
    assert.equal((await api.peek('k')).remaining, 1)
    assert.deepEqual(
      api.rates.map(({ limit, windowMs }) => [limit, windowMs]),
      [[5, 60000]],
    )
    api.change(null, { mode: 'shadow' })
    assert.equal((await api.consume('k', 3)).allowed, true)
    await gate.close()
  })

  test('headers in every style, and how it is shown', async () => {
    const { gate } = fake()
    const decision = await gate.limiter('2/minute', { name: 'api' }).consume('k')
    assert.deepEqual(decision.headers('standard'), {
      'RateLimit-Policy': '"api";q=2;w=60',
      RateLimit: '"api";r=1;t=30',
    })
    assert.deepEqual(Object.keys(decision.headers(['legacy-delta'])), [
      'X-RateLimit-Limit',
      'X-RateLimit-Remaining',
      'X-RateLimit-Reset',
    ])
    assert.match(inspect(decision), /^Decision \{ ?\s*allowed: true/)
    assert.equal(JSON.parse(JSON.stringify(decision)).parts[0].nextAfterMs, 30000)
    await gate.close()
  })

  test('keys: any text, bytes, and long ones', async () => {
    const { gate } = fake()
    const api = gate.limiter('1/minute')
    const long = 'é'.repeat(2000)
    for (const key of [
      'k',
      'a\0b',
      'é',
      'a\0',
      long,
      `${long}x`,
      'x'.repeat(763),
      'x'.repeat(764),
      'x'.repeat(768),
      new Uint8Array([255, 0, 1]),
    ]) {
      assert.equal((await api.consume(key)).allowed, true)
      assert.equal((await api.consume(key)).allowed, false)
    }
    assert.equal(
      (await api.consume(Buffer.from('é'))).allowed,
      false,
      'text and its bytes are one key',
    )
    await gate.close()
  })

  test('keys: a whole number is its decimal text, wherever a key is given', async () => {
    const { gate } = fake()
    const api = gate.limiter('20/minute')
    await api.consume(42)
    await api.consume('42')
    api.consumeSync(42n)
    await gate.consume([[api, 42]])
    gate.consumeSync([[api, 42]])
    assert.equal((await api.peek(42)).remaining, 15)
    assert.equal(api.peekSync('42').remaining, 15)
    await api.wait(42)
    await api.refund(42)
    assert.equal((await gate.peek([[api, 42]])).remaining, 15)
    await gate.refund([[api, 42]])
    assert.equal(api.peekSync(42).remaining, 16)
    await api.reset(42)
    assert.equal(api.peekSync('42').remaining, 20)
    for (const [key, text] of [
      [0, '0'],
      [-0, '0'],
      [-7, '-7'],
      [Number.MAX_SAFE_INTEGER, '9007199254740991'],
      [2n ** 64n, '18446744073709551616'],
    ]) {
      await api.consume(key)
      assert.equal(api.consumeSync(text).remaining, 18, text)
      await api.reset(text)
    }
    await gate.close()
  })
})

describe('wait', () => {
  test('follows the fake clock, and comes back with the token', async () => {
    const { clock, gate } = fake()
    const api = gate.limiter('1/second')
    await api.consume('k')
    const waiting = api.wait('k')
    let done = false
    waiting.then(() => {
      done = true
    })
    await new Promise(setImmediate)
    clock.advance(999)
    await new Promise(setImmediate)
    assert.equal(done, false)
    clock.advance(1)
    assert.equal((await waiting).allowed, true)
    await gate.close()
  })

  test('returns the denial at once when the time left is too short, or no wait helps', async () => {
    const { gate } = fake()
    const api = gate.limiter('1/second')
    await api.consume('k')
    assert.equal((await api.wait('k', { timeoutMs: 999 })).allowed, false)
    assert.equal((await api.wait('k', { cost: 2 })).retryAfterMs, Infinity)
    await gate.close()
  })

  test('ends with the signal', async () => {
    const gate = connect('memory://')
    const api = gate.limiter('1/hour')
    await api.consume('k')
    const started = performance.now()
    await assert.rejects(api.wait('k', { signal: AbortSignal.timeout(20) }), {
      name: 'TimeoutError',
    })
    await assert.rejects(api.wait('k', { signal: AbortSignal.abort() }), { name: 'AbortError' })
    assert.ok(performance.now() - started < 2000)
    await gate.close()
  })

  for (const [title, options] of [
    ['the real clock', {}],
    ['a fake clock', { clock: new FakeClock() }],
  ])
    test(`ends with a signal that comes while the check is out, on ${title}`, async () => {
      const gate = connect('memory://', options)
      const api = gate.limiter('1/hour')
      await api.consume('k')
      const abort = new AbortController()
      const waiting = api.wait('k', { signal: abort.signal })
      abort.abort() // the check has been asked, its answer not been looked at
      const over = new Promise((resolve) => setTimeout(resolve, 2000, 'still asleep').unref())
      await assert.rejects(Promise.race([waiting, over]), { name: 'AbortError' })
      if (gate.clock)
        await assert.rejects(gate.clock.sleep(1, abort.signal), { name: 'AbortError' })
      await gate.close()
    })

  test('ends with the gate', async () => {
    for (const options of [{}, { clock: new FakeClock() }]) {
      const gate = connect('memory://', options)
      const api = gate.limiter('1/hour')
      await api.consume('k')
      const waiting = api.wait('k')
      await new Promise(setImmediate)
      const over = new Promise((resolve) => setTimeout(resolve, 2000, 'still asleep').unref())
      await gate.close()
      await assert.rejects(Promise.race([waiting, over]), { name: 'ClosedError' })
    }
  })

  test('on the real clock', async () => {
    const gate = connect('memory://')
    const api = gate.limiter('1/50ms')
    await api.consume('k')
    assert.equal((await api.wait('k', { timeoutMs: 5000 })).allowed, true)
    await gate.close()
  })
})

describe('misuse', () => {
  const gate = connect('memory://')
  const api = gate.limiter('5/minute', { name: 'api' })
  const other = connect('memory://').limiter('1/s')
  const cases = [
    [
      'a rate that does not parse',
      () => gate.limiter('5/parsec'),
      RangeError,
      'TG_ERATE',
      /5\/parsec.* at 2.*expected a unit/,
    ],
    [
      'a limit that is no text',
      () => gate.limiter(5),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /limit: expected a rate/,
    ],
    [
      'a name that cannot be',
      () => gate.limiter('1/s', { name: 'a b' }),
      RangeError,
      'TG_ENAME',
      /a b/,
    ],
    [
      'a name with other numbers',
      () => gate.limiter('6/minute', { name: 'api' }),
      RangeError,
      'TG_ECONFLICT',
      /api/,
    ],
    [
      'an algorithm there is not',
      () => gate.limiter('1/s', { algorithm: 'magic' }),
      RangeError,
      undefined,
      /magic/,
    ],
    [
      'an option of a limiter there is not',
      () => gate.limiter('1/s', { nam: 'x' }),
      RangeError,
      'TG_EOPTION',
      /nam/,
    ],
    ['an empty key', () => api.consume(''), RangeError, 'TG_EKEY', /empty key/],
    [
      'a key that is neither text nor a whole number',
      () => api.consume(7.5),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /key: expected a string.*7\.5/,
    ],
    ['a boolean as a key', () => api.peek(false), TypeError, 'ERR_INVALID_ARG_TYPE', /key.*false/],
    [
      'a number that is not exact as a key',
      () => gate.consume([[api, 2 ** 53]]),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /key.*9007199254740992/,
    ],
    [
      'a key that no UTF-8 can be made of',
      () => api.consume('caf\ud800é'),
      RangeError,
      'TG_EKEY',
      /key: expected well-formed Unicode, not a lone surrogate at 3/,
    ],
    [
      'the same without waiting',
      () => api.consumeSync('\udc00'),
      RangeError,
      'TG_EKEY',
      /surrogate at 0/,
    ],
    [
      'the same as an identity',
      () => callerKey('\ud800', null),
      RangeError,
      'TG_EKEY',
      /identity: expected well-formed/,
    ],
    [
      'a part of five',
      () => gate.consume([[api, 'k', 1, 'id', 'extra']]),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /part: expected an array \[limiter, key, cost, id\], not one of 5/,
    ],
    [
      'a cost in an object in a part',
      () => gate.consume([[api, 'k', { cost: 1 }]]),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /cost/,
    ],
    ['no key', () => api.consumeSync(), TypeError, 'ERR_INVALID_ARG_TYPE', /undefined/],
    ['a cost below 0', () => api.consume('k', { cost: -1 }), RangeError, 'TG_ECOST', /-1/],
    ['a fraction of a cost', () => api.consume('k', { cost: 1.5 }), RangeError, 'TG_ECOST', /1\.5/],
    [
      'a boolean cost',
      () => api.consume('k', { cost: true }),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /true/,
    ],
    [
      'a cost that no engine can count',
      () => api.consume('k', { cost: 2 ** 52 }),
      RangeError,
      'TG_ECOST',
      /4503599627370496/,
    ],
    ['no parts', () => gate.consume([]), TypeError, 'ERR_INVALID_ARG_TYPE', /1 to 16 parts/],
    [
      'too many parts',
      () => gate.consume(Array(17).fill([api, 'k'])),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /16/,
    ],
    [
      'a key in place of the parts, which is not shown',
      () => gate.consume('a secret key'),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /^(?!.*secret).*1 to 16 parts/,
    ],
    [
      'a part that is none',
      () => gate.consume([['api', 'k']]),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /a limiter.*"api"/,
    ],
    [
      "another gate's limiter",
      () => gate.consume([[other, 'k']]),
      RangeError,
      'TG_EHANDLE',
      /another/,
    ],
    ['a scheme there is not', () => connect('foo://x'), RangeError, 'TG_EURL', /memory:\/\//],
    [
      'an option there is not',
      () => connect('memory://', { timeoutMsx: 1 }),
      RangeError,
      'TG_EOPTION',
      /did you mean timeoutMs/,
    ],
    [
      'an option out of range',
      () => connect('memory://', { timeoutMs: 0 }),
      RangeError,
      'TG_EOPTION',
      /^timeoutMs "0"/,
    ],
    [
      'the same by its other name',
      () => connect('memory://', { connect_timeout_ms: 0 }),
      RangeError,
      'TG_EOPTION',
      /^connect_timeout_ms "0"/,
    ],
    ['a url that is none', () => connect(5), TypeError, 'ERR_INVALID_ARG_TYPE', /url/],
    [
      'a style there is not',
      async () => (await api.consume('k')).headers(['new']),
      RangeError,
      undefined,
      /new/,
    ],
    [
      'a source there is not',
      () => api.refund('k', { source: 'moon' }),
      RangeError,
      undefined,
      /moon/,
    ],
    [
      'a timeout that is none',
      () => api.consume('k', { timeoutMs: -1 }),
      RangeError,
      undefined,
      /-1/,
    ],
  ]
  for (const [title, act, type, code, message] of cases) {
    test(title, async () => {
      await assert.rejects(
        async () => act(),
        (error) => {
          assert.ok(error instanceof type, error.stack)
          assert.match(error.message, message)
          if (code) assert.equal(error.code, code)
          assert.ok(error.code)
          return true
        },
      )
    })
  }

  test('async functions reject, they never throw', () => {
    for (const act of [
      () => api.consume({}),
      () => gate.consume(7),
      () => api.wait(''),
      () => api.refund('k', { cost: -1 }),
    ]) {
      const promise = act()
      assert.ok(promise instanceof Promise)
      promise.catch(() => {})
    }
  })

  test('a password is never shown', () => {
    const secret = connect('redis://user:hunter2@localhost')
    assert.doesNotMatch(`${secret} ${inspect(secret)} ${secret.url}`, /hunter2/)
    assert.match(secret.url, /\*\*\*/)
    assert.throws(
      () => secret.limiter('1/s').consumeSync('k'),
      (error) => {
        assert.doesNotMatch(error.message, /hunter2/)
        return /await consume/.test(error.message)
      },
    )
  })
})

describe('gates', () => {
  test('the same name and numbers are the same limiter', () => {
    const gate = connect()
    assert.equal(gate.limiter('5/minute'), gate.limiter('5/60s'))
    assert.equal(gate.limiter('5/minute').name, '5-per-60s')
  })

  test('a limiter that is closed makes room, and is never another', async () => {
    const { gate } = fake()
    const api = gate.limiter('5/minute', { name: 'api' })
    const decision = await api.consume('k')
    api.close()
    api.close()
    assert.equal(api.closed, true)
    assert.equal(api.name, 'api')
    assert.equal(decision.name, 'api')
    await assert.rejects(api.consume('k'), { code: 'TG_EHANDLE' })
    assert.throws(() => api.consumeSync('k'), { code: 'TG_EHANDLE' })
    await assert.rejects(gate.consume([[api, 'k']]), { code: 'TG_EHANDLE' })
    assert.throws(() => api.change('6/minute'), { code: 'TG_EHANDLE' })
    const again = gate.limiter('5/minute', { name: 'api' })
    assert.notEqual(again, api)
    assert.equal((await again.consume('k')).remaining, 3, 'the callers are known still')
    const other = gate.limiter('7/minute', { name: 'other' })
    assert.deepEqual([other.name, again.name, decision.name], ['other', 'api', 'api'])
    await gate.close()
    again.close()
  })

  test('more limiters than a gate holds, one after another', async () => {
    const { gate } = fake()
    const kept = gate.limiter('1/hour', { name: 'kept' })
    const first = await kept.consume('k')
    for (let i = 0; i < 140_000; ++i) gate.limiter('5/minute', { name: `n${i}` }).close()
    const last = gate.limiter('5/minute', { name: 'last' })
    assert.equal(last.consumeSync('k').name, 'last')
    assert.deepEqual([first.name, kept.consumeSync('k').name], ['kept', 'kept'])
    await gate.close()
  })

  test('what gates and checks make says so when it is made otherwise', () => {
    for (const [Class, expected] of [
      [tidegate.Limiter, /Limiter: expected to be made by gate\.limiter\(rates\)/],
      [tidegate.Decision, /Decision: expected to be the answer to a check/],
      [tidegate.Part, /Part: expected to be one of decision\.parts/],
    ])
      for (const given of [[], ['100/minute'], [null, '1/minute'], [connect(), '1/minute']])
        if (Class === tidegate.Limiter || given.length < 2)
          assert.throws(
            () => new Class(...given),
            (error) => error instanceof TypeError && expected.test(error.message),
          )
    assert.ok(connect() instanceof tidegate.Gate)
    assert.ok(connect().limiter('1/s') instanceof tidegate.Limiter)
  })

  test('options by either spelling, in the URL, or alone; the environment names the store', () => {
    assert.equal(connect({ maxKeys: 5 }).url, 'memory://')
    connect('memory://?max_keys=5', { max_bytes: 4096 })
    process.env.TIDEGATE_URL = 'redis://example.test'
    try {
      assert.match(connect().url, /example\.test/)
    } finally {
      delete process.env.TIDEGATE_URL
    }
  })

  test('closed: everything says so, close may be called again', async () => {
    const gate = connect()
    const api = gate.limiter('1/s')
    const before = await api.consume('k')
    await gate.close()
    await gate.close()
    assert.equal(gate.closed, true)
    await assert.rejects(api.consume('k'), { name: 'ClosedError', code: 'TG_ECLOSED' })
    assert.throws(() => api.consumeSync('k'), tidegate.ClosedError)
    assert.throws(() => gate.limiter('2/s'), tidegate.ClosedError)
    await assert.rejects(gate.ping(), tidegate.ClosedError)
    assert.equal(before.headers().RateLimit, '"1-per-1s";r=0;t=1', 'old decisions still speak')
  })

  test('ping and stats', async () => {
    const gate = connect()
    assert.ok((await gate.ping()) >= 0)
    const api = gate.limiter('1/minute')
    await api.consume('a')
    await api.consume('a')
    const { allowed, denied, byMemory, keys } = gate.stats()
    assert.deepEqual([allowed, denied, byMemory, keys], [1, 1, 2, 1])
  })

  test('a clock that steps back locks nobody out', async () => {
    const { clock, gate } = fake()
    const api = gate.limiter('1/minute')
    await api.consume('k')
    clock.nowUs -= 3_600_000_000
    assert.equal((await api.consume('k')).retryAfterMs, 60_000)
    clock.advance(60_000)
    assert.equal((await api.consume('k')).allowed, true)
    assert.throws(() => clock.advance('1'), TypeError)
  })

  test('callerKey is the key that middleware uses', () => {
    assert.equal(callerKey('k_1', '203.0.113.7'), 'k_1')
    assert.equal(callerKey(null, '203.0.113.7'), '@203.0.113.7')
    assert.equal(callerKey('@x', null), '@@x')
    assert.equal(callerKey('', '2001:db8::1'), '@2001:db8::/64')
    assert.equal(callerKey(false, '203.0.113.7'), '@203.0.113.7')
    assert.equal(callerKey(42, '203.0.113.7'), '42')
    assert.throws(() => callerKey(true, '203.0.113.7'), TypeError)
  })
})
