// SPDX-License-Identifier: MIT
// Options are plain objects of known names, wherever they are given; a URL may be an object.
'use strict'

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const vm = require('node:vm')
const { connect, Gate } = require('tidegate')
const { FakeClock } = require('tidegate/testing')

const gate = connect('memory://')
const api = gate.limiter('100/minute', { name: 'api' })
const slots = gate.limiter('2 at once', { name: 'slots' })

async function refused(act, type, code, message) {
  await assert.rejects(
    async () => act(),
    (error) => {
      assert.ok(error instanceof type, error.stack)
      assert.equal(error.code, code, error.stack)
      assert.match(error.message, message)
      return true
    },
  )
}

describe('names there are not', () => {
  const unknown = {
    consume: (options) => api.consume('k', options),
    consumeSync: (options) => api.consumeSync('k', options),
    peek: (options) => api.peek('k', options),
    peekSync: (options) => api.peekSync('k', options),
    refund: (options) => api.refund('k', options),
    reset: (options) => api.reset('k', options),
    wait: (options) => api.wait('k', options),
    'gate.consume': (options) => gate.consume([[api, 'k']], options),
    'gate.peek': (options) => gate.peek([[api, 'k']], options),
    'gate.refund': (options) => gate.refund([[api, 'k']], options),
    'gate.reset': (options) => gate.reset([[api, 'k']], options),
    debit: (options) => api.debit('k', options),
    reserve: (options) => api.reserve('k', 1, options),
    slot: (options) => slots.slot('k', options),
    acquire: (options) => slots.acquire('k', 'id', options),
    renew: (options) => slots.renew('k', 'id', options),
    release: (options) => slots.release('k', 'id', options),
    'gate.debit': (options) => gate.debit([[api, 'k']], options),
    'gate.reserve': (options) => gate.reserve([[api, 'k']], options),
    'gate.ping': (options) => gate.ping(options),
    limiter: (options) => gate.limiter('1/s', options),
    FakeClock: (options) => new FakeClock(options),
  }
  for (const [title, act] of Object.entries(unknown))
    test(title, async () => {
      const what = title.replace('gate.', '')
      await refused(
        () => act({ customDuration: 5 }),
        RangeError,
        'TG_EOPTION',
        new RegExp(`^${what}: unknown option "customDuration": expected any of \\w+`),
      )
      for (const wrong of [[], new Map(), new Date(), new (class Options {})(), null, 'x'])
        await assert.rejects(async () => act(wrong), TypeError, `${title} ${wrong}`)
    })

  for (const [title, act, near] of [
    ['costs', () => api.consume('k', { costs: 5 }), 'cost'],
    ['timeout', () => api.consume('k', { timeout: 5 }), 'timeoutMs'],
    ['timeout_ms', () => api.wait('k', { timeout_ms: 5 }), 'timeoutMs'],
    ['Source', () => api.refund('k', { Source: 'store' }), 'source'],
    ['algoritm', () => gate.limiter('1/s', { algoritm: 'gcra' }), 'algorithm'],
    ['timeout of a gate', () => connect('memory://', { timeout: 5 }), 'timeoutMs'],
    ['onfailure', () => connect({ onfailur: 'open' }), 'onFailure'],
    ['max_key', () => connect({ max_key: 5 }), 'maxKeys'],
  ])
    test(`${title}: did you mean ${near}`, () =>
      refused(act, RangeError, 'TG_EOPTION', new RegExp(`did you mean ${near}\\?`)))

  test('a name that is long, or nothing like one, has no near one', async () => {
    for (const name of ['x'.repeat(10_000), 'zzzz'])
      await refused(
        () => api.consume('k', { [name]: 1 }),
        RangeError,
        'TG_EOPTION',
        /^consume: unknown option "(?!.*did you mean)/,
      )
  })

  test('what they hold steers no terminal', async () => {
    await refused(
      () => api.consume('k', { 'a\u001b[2J\u009b\n\u2028': 1 }),
      RangeError,
      'TG_EOPTION',
      /"a\\u001b\[2J\\u009b\\n\\u2028"/,
    )
  })

  test('what wait and peek are given besides', async () => {
    await refused(() => api.wait('k', 5), TypeError, 'ERR_INVALID_ARG_TYPE', /plain object, not 5/)
    await refused(
      () => api.wait('k', { signal: {} }),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /signal: expected an AbortSignal/,
    )
    await refused(() => api.peek('k', { cost: '1' }), TypeError, 'ERR_INVALID_ARG_TYPE', /cost/)
    assert.equal((await api.wait('k', { signal: null })).allowed, true)
    assert.equal((await api.consume('k', 2)).allowed, true)
    assert.equal(
      (await api.consume('k', Object.assign(Object.create(null), { cost: 2 }))).allowed,
      true,
    )
    assert.equal((await api.consume('k', vm.runInNewContext('({ cost: 2 })'))).allowed, true)
  })
})

describe('a URL', () => {
  test('may be an object of the platform, also of another realm', () => {
    const url = 'redis://user:hunter2@store.internal:6380/2?timeout_ms=50'
    const shown = connect(url).url
    assert.match(shown, /store\.internal:6380/)
    assert.equal(connect(new URL(url)).url, shown)
    assert.equal(connect(new URL(url), { maxKeys: 5 }).url, shown)
    assert.equal(new Gate(new URL(url)).url, shown)
    assert.equal(connect(vm.runInNewContext('new URL(url)', { URL, url })).url, shown)
    assert.equal(connect(new URL('memory://')).embedded, true)
    assert.match(
      connect(new URL('unix:///run/store.sock?db=1')).url,
      /^unix:\/\/\/run\/store\.sock/,
    )
  })

  for (const [title, value, message] of [
    ['an array', [], /url: expected a string or a URL, not an array/],
    ['a Map', new Map([['url', 'redis://x']]), /not an instance of Map/],
    ['a Date', new Date(), /not an instance of Date/],
    ['a client of another library', new (class Redis {})(), /not an instance of Redis/],
    ['a String', new String('redis://x'), /not an instance of String/],
    ['null', null, /not null/],
    ['a text that no UTF-8 can be made of', 'redis://\ud800', /url/],
  ])
    test(`is not ${title}`, async () => {
      await refused(() => connect(value), TypeError, 'ERR_INVALID_ARG_TYPE', message)
      await refused(() => connect(value, {}), TypeError, 'ERR_INVALID_ARG_TYPE', message)
    })

  test('an invalid one in an object is told as in a text', async () => {
    await refused(() => connect(new URL('https://x')), RangeError, 'TG_EURL', /store URL at 0/)
    await refused(
      () => connect({ namespace: 'a\ud800' }),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /namespace/,
    )
  })
})
