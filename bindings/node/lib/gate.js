// SPDX-License-Identifier: MIT
'use strict'

const { EventEmitter } = require('node:events')
const native = require('./native.js')
const { ClosedError, ConfigError, makeError, typeError, show } = require('./errors.js')
const { readDecision } = require('./decision.js')
const { Limiter, costOf } = require('./limiter.js')
const { optionPairs } = require('./options.js')
const { Requests } = require('./requests.js')

const { OP, OP_BITS, RESULT } = native
const results = native.results
const MOST_PARTS = 16
const SOURCES = { memory: 1, store: 2, fallback: 3, fail_open: 4, fail_closed: 5 }

function checkKey(key) {
  if (typeof key === 'string' || key instanceof Uint8Array) return key
  throw typeError('key', 'a string or a Uint8Array', key)
}

function timeoutUs(timeoutMs) {
  if (timeoutMs === undefined) return 0
  if (typeof timeoutMs !== 'number') throw typeError('timeoutMs', 'a number above 0', timeoutMs)
  if (!(timeoutMs > 0 && timeoutMs <= 3_600_000))
    throw new ConfigError(`timeoutMs ${timeoutMs}: expected more than 0, at most 3600000`)
  return Math.ceil(timeoutMs * 1000)
}

/** A store, and the limiters that share it. See index.d.ts. */
class Gate extends EventEmitter {
  #limiters = []
  #requests = null
  #closing = null
  #clock = null

  constructor(url, options = {}) {
    super()
    const { pairs, clock } = optionPairs(options)
    Object.defineProperty(this, 'native', { value: native.open(url, pairs) })
    const shown = this.native.url()
    Object.defineProperty(this, 'url', { value: shown, enumerable: true })
    Object.defineProperty(this, 'embedded', { value: shown.startsWith('memory:') })
    if (!this.embedded) this.#requests = new Requests(this)
    if (clock) {
      this.#clock = clock
      clock.attach(this)
    }
  }

  get clock() {
    return this.#clock
  }
  get closed() {
    return this.#closing !== null
  }

  limiter(rates, options = {}) {
    this.#checkOpen()
    const number = this.native.limiter(...Limiter.texts(rates, options, true))
    return (this.#limiters[number] ??= new Limiter(this, number))
  }

  policyName(number, rate) {
    const limiter = this.#limiters[number]
    return limiter.policies[rate] ?? limiter.name
  }

  /** One atomic request: [[limiter, key, cost], ...], all or nothing. */
  async consume(parts, options) {
    return this.askAll(OP.CONSUME, parts, options)
  }
  async peek(parts, options) {
    return this.askAll(OP.PEEK, parts, options)
  }
  async refund(parts, options) {
    await this.askAll(OP.REFUND, parts, options)
  }
  async reset(parts, options) {
    await this.askAll(OP.RESET, parts, options)
  }

  consumeSync(parts) {
    this.#checkEmbedded('consumeSync')
    return this.#decideAll(this.#flat(OP.CONSUME, parts), 0)
  }

  /** Resolves to the milliseconds that the store took; rejects with what is wrong with it. */
  async ping(options) {
    this.#checkOpen()
    const started = performance.now()
    if (this.#requests)
      await this.#requests.send((slot) => this.native.ping(slot, timeoutUs(options?.timeoutMs)))
    return performance.now() - started
  }

  stats() {
    return this.native.stats()
  }

  /** What is in flight is rejected with ClosedError; resolves when the store is let go. */
  close() {
    this.#closing ??= (async () => {
      this.#clock?.detach(this)
      if (!this.native.close()) await new Promise((resolve) => setImmediate(resolve))
    })()
    return this.#closing
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.close()
  }

  toString() {
    return `Gate(${this.url})`
  }
  [Symbol.for('nodejs.util.inspect.custom')]() {
    return this.toString()
  }

  // ---- for limiters ----

  decide(op, limiter, key, cost) {
    this.#checkEmbedded('consumeSync')
    if (typeof key !== 'string') checkKey(key)
    return this.#decide(op, limiter, key, cost)
  }

  #decide(op, limiter, key, cost) {
    const text = this.native.decide((limiter << OP_BITS) | op, key, cost)
    if (results[RESULT.STATUS] < 0) throw makeError(results[RESULT.STATUS], text)
    return readDecision(this, 0)
  }

  #decideAll(list, source) {
    const text = this.native.decideAll(list, source)
    if (results[RESULT.STATUS] < 0) throw makeError(results[RESULT.STATUS], text)
    return readDecision(this, 0)
  }

  // A decision, or the promise of one; throws only inside of async functions.
  ask(op, limiter, key, cost, options) {
    if (this.#closing) throw new ClosedError()
    if (typeof key !== 'string') checkKey(key)
    const plain =
      options === undefined || (options.timeoutMs === undefined && options.source === undefined)
    const selector = (limiter << OP_BITS) | op
    if (!plain) return this.#askList([selector, key, cost], options)
    return this.#requests
      ? this.#requests.submit(selector, key, cost)
      : this.#decide(op, limiter, key, cost)
  }

  askAll(op, parts, options = {}) {
    this.#checkOpen()
    return this.#askList(this.#flat(op, parts), options)
  }

  #askList(list, options) {
    const us = timeoutUs(options.timeoutMs)
    const source = options.source == null ? 0 : SOURCES[options.source]
    if (source === undefined)
      throw new ConfigError(
        `source: expected any of ${Object.keys(SOURCES).join(', ')}, not ${show(options.source)}`,
      )
    if (!this.#requests) return this.#decideAll(list, source)
    return this.#requests.send((slot) => this.native.submitAll(list, slot, us, source))
  }

  #flat(op, parts) {
    if (!Array.isArray(parts) || parts.length === 0 || parts.length > MOST_PARTS)
      throw typeError('request', `an array of 1 to ${MOST_PARTS} parts [limiter, key, cost]`, parts)
    const list = []
    for (const part of parts) {
      if (!Array.isArray(part)) throw typeError('part', 'an array [limiter, key, cost]', part)
      const [limiter, key, cost] = part
      if (!(limiter instanceof Limiter)) throw typeError('part[0]', 'a limiter', limiter)
      if (limiter.gate !== this)
        throw new ConfigError(
          `limiter ${limiter.name}: expected one of this gate, not of another`,
          'TG_EHANDLE',
        )
      list.push((limiter.number << OP_BITS) | op, checkKey(key), costOf(cost))
    }
    return list
  }

  #checkOpen() {
    if (this.#closing) throw new ClosedError()
  }

  #checkEmbedded(what) {
    this.#checkOpen()
    if (this.#requests)
      throw new ConfigError(
        `${what}: the store ${this.url} cannot be asked without waiting; use await consume()`,
      )
  }
}

module.exports = { Gate }
