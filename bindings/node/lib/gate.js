// SPDX-License-Identifier: MIT
'use strict'

const { EventEmitter } = require('node:events')
const native = require('./native.js')
const { ClosedError, ConfigError, makeError, misuse, typeError, show } = require('./errors.js')
const { readDecision } = require('./decision.js')
const { idOf, keyOf, ownKey } = require('./keys.js')
const { costOf } = require('./cost.js')
const { Limiter } = require('./limiter.js')
const { checkNames } = require('./names.js')
const { optionPairs, spelledAs } = require('./options.js')
const { Figures } = require('./figures.js')
const { Requests } = require('./requests.js')
const { reserve } = require('./reservation.js')
const { realClock } = require('./clock.js')

const { OP, OP_BITS, RESULT } = native
const results = native.results
const MOST_PARTS = 16
const PARTS_EXPECTED = `an array of 1 to ${MOST_PARTS} parts [limiter, key, cost, id]`
const PART_EXPECTED = 'an array [limiter, key, cost, id]'
const CHECK = ['timeoutMs']
const REFUND = ['timeoutMs', 'source']
const SOURCES = { memory: 1, store: 2, fallback: 3, fail_open: 4, fail_closed: 5 }

// A URL object counts as its text.
function urlText(url) {
  if (Object.prototype.toString.call(url) === '[object URL]') url = url.href
  if (url === undefined || (typeof url === 'string' && url.isWellFormed())) return url
  throw typeError('url', 'a string or a URL', url)
}

function timeoutUs(timeoutMs) {
  if (timeoutMs === undefined) return 0
  if (typeof timeoutMs !== 'number') throw typeError('timeoutMs', 'a number above 0', timeoutMs)
  if (!(timeoutMs > 0 && timeoutMs <= 3_600_000))
    throw new ConfigError(`timeoutMs ${timeoutMs}: expected more than 0, at most 3600000`)
  return Math.ceil(timeoutMs * 1000)
}

// What a check is given that names no deadline. The C ABI does not tell it.
function deadlineUs(pairs, url) {
  const given = pairs.findIndex((text, i) => i % 2 === 0 && text === 'timeout_ms')
  const text = given < 0 ? /[?&]timeout_ms=(\d+)/.exec(url)?.[1] : pairs[given + 1]
  return (Number(text) || 100) * 1000
}

/** A store, and the limiters that share it. See index.d.ts. */
class Gate extends EventEmitter {
  #limiters = []
  #requests = null
  #lent = new Map()
  #pauses = new Set()
  #closing = null
  #clock = null
  #figures

  constructor(url, options = {}) {
    super()
    const text = urlText(url)
    const { pairs, clock } = optionPairs(options)
    const opened = spelledAs(options, () => native.open(text, pairs, native.threadWatches))
    Object.defineProperty(this, 'native', { value: opened })
    this.#figures = new Figures(opened)
    const shown = this.native.url()
    Object.defineProperty(this, 'url', { value: shown, enumerable: true })
    Object.defineProperty(this, 'embedded', { value: shown.startsWith('memory:') })
    if (!this.embedded) this.#requests = new Requests(this, deadlineUs(pairs, shown))
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
    const limiter = this.#open(rates, options)
    this.#lent.delete(limiter) // whoever asked for it closes it
    return limiter
  }

  #open(rates, options) {
    this.#checkOpen()
    const number = this.native.limiter(...Limiter.texts(rates, options, true))
    const known = this.#limiters[number]
    if (known && !known.closed) return known
    const limiter = (this.#limiters[number] = new Limiter(this, number))
    this.#lent.set(limiter, 0)
    return limiter
  }

  /** One atomic request: [[limiter, key, cost], ...], all or nothing. */
  async consume(parts, options = {}) {
    return this.#askAll(OP.CONSUME, parts, checkNames('consume', options, CHECK))
  }
  async peek(parts, options = {}) {
    return this.#askAll(OP.PEEK, parts, checkNames('peek', options, CHECK))
  }
  async refund(parts, options = {}) {
    await this.#askAll(OP.REFUND, parts, checkNames('refund', options, REFUND))
  }
  async reset(parts, options = {}) {
    await this.#askAll(OP.RESET, parts, checkNames('reset', options, CHECK))
  }

  /** Charges what was used already: never denied, each part for itself. */
  async debit(parts, options = {}) {
    return this.#askAll(OP.DEBIT, parts, checkNames('debit', options, REFUND))
  }
  /** One atomic request of estimates, to be settled when the use is known. */
  async reserve(parts, options = {}) {
    checkNames('reserve', options, CHECK)
    this.#flat(OP.CONSUME, parts)
    const own = parts.map(([limiter, key, cost, id]) => {
      if (id !== undefined)
        throw new ConfigError(
          'reserve: expected parts without an id; slots are released, not settled',
        )
      return [limiter, ownKey(key), costOf(cost)]
    })
    return reserve(this, own, options)
  }

  consumeSync(parts) {
    this.#checkEmbedded('consumeSync')
    return this.#decideAll(this.#flat(OP.CONSUME, parts), 0)
  }

  /** Resolves to the milliseconds that the store took; rejects with what is wrong with it. */
  async ping(options = {}) {
    this.#checkOpen()
    const us = timeoutUs(checkNames('ping', options, CHECK).timeoutMs)
    const started = performance.now()
    if (this.#requests) await this.#requests.send((slot, left) => this.native.ping(slot, left), us)
    return performance.now() - started
  }

  stats() {
    return this.native.stats()
  }

  // Figures, as index.d.ts says.
  report(options = {}) {
    return this.#figures.report(options)
  }
  top(limiter, options = {}) {
    return this.#figures.top(limiter, options)
  }
  limitedNow(limiter, options = {}) {
    return this.#figures.limitedNow(limiter, options)
  }
  async lookUp(key) {
    this.#checkOpen()
    return this.#figures.lookUp(key)
  }
  events(options = {}) {
    return this.#figures.events(options)
  }
  metrics(options = {}) {
    return this.#figures.metrics(options)
  }

  /** What is in flight is rejected with ClosedError; resolves when the store is let go. */
  close() {
    this.#closing ??= (async () => {
      this.#clock?.detach(this)
      for (const pause of this.#pauses) pause.abort(new ClosedError())
      this.#requests?.refuseWaiting(new ClosedError())
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

  policyName(number, rate) {
    const limiter = this.#limiters[number]
    return limiter === undefined ? null : (limiter.policies[rate] ?? limiter.name)
  }

  get nowUs() {
    return (this.#clock ?? realClock).nowUs
  }

  /** Rejects with the signal's reason, or at close; `idle` keeps no process alive. */
  async sleep(us, signal, idle = false) {
    const pause = new AbortController()
    const forward = () => pause.abort(signal.reason)
    if (signal?.aborted) forward()
    signal?.addEventListener('abort', forward, { once: true })
    this.#pauses.add(pause)
    try {
      if (this.#closing) throw new ClosedError()
      await (this.#clock ?? realClock).sleep(us, pause.signal, idle)
    } finally {
      this.#pauses.delete(pause)
      signal?.removeEventListener('abort', forward)
    }
  }

  /** A limiter that is closed when all have returned it, unless limiter() handed it out too. */
  lend(rates, options) {
    const limiter = this.#open(rates, options)
    this.lendAgain(limiter)
    return limiter
  }

  lendAgain(limiter) {
    const users = this.#lent.get(limiter)
    if (users !== undefined) this.#lent.set(limiter, users + 1)
  }

  takeBack(limiter) {
    const users = this.#lent.get(limiter)
    if (users > 1) this.#lent.set(limiter, users - 1)
    else if (users === 1 && this.#lent.delete(limiter)) limiter.close()
  }

  decide(op, limiter, key, cost) {
    this.#checkEmbedded('consumeSync')
    return this.#decide(op, limiter, keyOf(key), cost)
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
    const text = keyOf(key)
    const plain =
      options === undefined || (options.timeoutMs === undefined && options.source === undefined)
    const selector = (limiter << OP_BITS) | op
    if (!plain) return this.#askList([selector, text, cost, undefined], options)
    return this.#requests
      ? this.#requests.submit(selector, text, cost)
      : this.#decide(op, limiter, text, cost)
  }

  /** The same of one part with an id. */
  askOne(op, part, options) {
    return this.#askAll(op, [part], options)
  }

  #askAll(op, parts, options) {
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
    return this.#requests.send((slot, left) => this.native.submitAll(list, slot, left, source), us)
  }

  #flat(op, parts) {
    if (typeof parts === 'string') throw misuse(`request: expected ${PARTS_EXPECTED}, not a text`)
    if (!Array.isArray(parts) || parts.length === 0 || parts.length > MOST_PARTS)
      throw typeError('request', PARTS_EXPECTED, parts)
    const list = []
    for (const part of parts) {
      if (!Array.isArray(part)) throw typeError('part', PART_EXPECTED, part)
      if (part.length > 4)
        throw misuse(`part: expected ${PART_EXPECTED}, not one of ${part.length}`)
      const [limiter, key, cost, id] = part
      if (!(limiter instanceof Limiter)) throw typeError('part[0]', 'a limiter', limiter)
      if (limiter.gate !== this)
        throw new ConfigError(
          `limiter ${limiter.name}: expected one of this gate, not of another`,
          'TG_EHANDLE',
        )
      list.push((limiter.number << OP_BITS) | op, keyOf(key), costOf(cost), idOf(id))
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
