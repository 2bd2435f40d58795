// SPDX-License-Identifier: MIT
'use strict'

const { OP } = require('./native.js')
const { ConfigError, typeError } = require('./errors.js')
const { Decision } = require('./decision.js')
const { checkNames } = require('./names.js')

const SETTINGS = ['name', 'algorithm', 'mode', 'onFailure']
const CHECK = ['cost', 'timeoutMs']
const CHECK_SYNC = ['cost']
const REFUND = ['cost', 'timeoutMs', 'source']
const RESET = ['timeoutMs']
const WAIT = ['cost', 'timeoutMs', 'signal']
// The number of a closed limiter: no limiter's, and with an operation beside it still 31 bits.
const CLOSED = 2 ** 28 - 1
const MOST_COST = 2 ** 52 - 1

function costOf(cost) {
  if (cost === undefined) return 1
  if (typeof cost !== 'number') throw typeError('cost', 'an integer of 0 or more', cost)
  if (!Number.isInteger(cost) || cost < 0 || cost > MOST_COST)
    throw new ConfigError(`cost ${cost}: expected an integer from 0 to ${MOST_COST}`, 'TG_ECOST')
  return cost
}

// What a check was given besides the key, an object or just the cost: the object, if it is right.
function settings(what, options, names) {
  return typeof options === 'object' && options !== null
    ? checkNames(what, options, names)
    : undefined
}

/** One limit by name. Made by gate.limiter(). */
class Limiter {
  #gate
  #number
  #names

  constructor(gate, number) {
    if (typeof gate?.native?.names !== 'function' || typeof number !== 'number')
      throw typeError('Limiter', 'to be made by gate.limiter(rates)', gate)
    this.#gate = gate
    this.#number = number
    this.#names = gate.native.names(number)
  }

  // (rates, name, algorithm, mode, onFailure) as the addon takes them; '' for what is not given.
  static texts(rates, options, ratesNeeded) {
    if (typeof rates !== 'string' && (ratesNeeded || rates != null))
      throw typeError('limit', 'a rate such as "100/minute"', rates)
    checkNames('limiter', options, SETTINGS)
    return [
      rates ?? '',
      ...SETTINGS.map((name) => {
        const value = options[name]
        if (value == null) return ''
        if (typeof value !== 'string') throw typeError(name, 'a string', value)
        if (value === '') throw new ConfigError(`${name}: expected a text that is not empty`)
        return value
      }),
    ]
  }

  get gate() {
    return this.#gate
  }
  get number() {
    return this.#number
  }
  get name() {
    return this.#names[0]
  }
  get closed() {
    return this.#number === CLOSED
  }
  get policies() {
    return this.#names.slice(1)
  }
  get rates() {
    return this.#gate.native.rates(this.#number)
  }

  async consume(key, options) {
    if (options === undefined) return this.#gate.ask(OP.CONSUME, this.#number, key, 1)
    const given = settings('consume', options, CHECK)
    return this.#gate.ask(
      OP.CONSUME,
      this.#number,
      key,
      costOf(given ? given.cost : options),
      given,
    )
  }

  consumeSync(key, options) {
    if (options === undefined) return this.#gate.decide(OP.CONSUME, this.#number, key, 1)
    const given = settings('consumeSync', options, CHECK_SYNC)
    return this.#gate.decide(OP.CONSUME, this.#number, key, costOf(given ? given.cost : options))
  }

  async peek(key, options) {
    const given = settings('peek', options, CHECK)
    return this.#gate.ask(OP.PEEK, this.#number, key, costOf(given ? given.cost : options), given)
  }

  peekSync(key, options) {
    const given = settings('peekSync', options, CHECK_SYNC)
    return this.#gate.decide(OP.PEEK, this.#number, key, costOf(given ? given.cost : options))
  }

  async refund(key, options) {
    const given = settings('refund', options, REFUND)
    const cost = costOf(given ? given.cost : options)
    await this.#gate.ask(OP.REFUND, this.#number, key, cost, given)
  }

  async reset(key, options = {}) {
    await this.#gate.ask(OP.RESET, this.#number, key, 0, checkNames('reset', options, RESET))
  }

  /** Asks again after each retryAfter, until it passes, or the time left is too short. */
  async wait(key, options = {}) {
    const { cost, timeoutMs = Infinity, signal } = checkNames('wait', options, WAIT)
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0))
      throw typeError('timeoutMs', 'a number of 0 or more', timeoutMs)
    if (signal != null && typeof signal?.throwIfAborted !== 'function')
      throw typeError('signal', 'an AbortSignal', signal)
    const endUs = this.#gate.nowUs + timeoutMs * 1000
    while (true) {
      signal?.throwIfAborted()
      const decision = await this.consume(key, costOf(cost))
      if (decision.allowed) return decision
      signal?.throwIfAborted() // it may have come while the check was out
      const waitUs = Decision.retryAfterUs(decision)
      if (waitUs < 0 || this.#gate.nowUs + waitUs > endUs) return decision
      await this.#gate.sleep(waitUs, signal)
    }
  }

  /** New numbers for the same limiter, at once; what is not given stays. */
  change(rates, options = {}) {
    this.#gate.native.change(this.#number, ...Limiter.texts(rates, options, false))
    this.#names = this.#gate.native.names(this.#number)
    return this
  }

  /** Makes room for another: a gate has 65,536 limiters at most. The callers' states stay. */
  close() {
    this.#gate.native.closeLimiter(this.#number)
    this.#number = CLOSED
  }

  toString() {
    return `Limiter(${this.name})`
  }
  [Symbol.for('nodejs.util.inspect.custom')]() {
    return this.toString()
  }
}

module.exports = { Limiter, costOf }
