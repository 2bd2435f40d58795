// SPDX-License-Identifier: MIT
'use strict'

const { OP } = require('./native.js')
const { ConfigError, typeError, show } = require('./errors.js')
const { Decision } = require('./decision.js')

const NO_OPTIONS = undefined
const SETTINGS = ['name', 'algorithm', 'mode', 'onFailure']
const MOST_COST = 2 ** 52 - 1

function costOf(options) {
  const cost = typeof options === 'object' && options !== null ? options.cost : options
  if (cost === undefined) return 1
  if (typeof cost !== 'number') throw typeError('cost', 'an integer of 0 or more', cost)
  if (!Number.isInteger(cost) || cost < 0 || cost > MOST_COST)
    throw new ConfigError(`cost ${cost}: expected an integer from 0 to ${MOST_COST}`, 'TG_ECOST')
  return cost
}

function settings(options) {
  return typeof options === 'object' && options !== null ? options : NO_OPTIONS
}

/** One limit by name. Made by gate.limiter(). */
class Limiter {
  #gate
  #number
  #names

  constructor(gate, number) {
    this.#gate = gate
    this.#number = number
    this.#names = gate.native.names(number)
  }

  // (rates, name, algorithm, mode, onFailure) as the addon takes them; '' for what is not given.
  static texts(rates, options, ratesNeeded) {
    if (typeof rates !== 'string' && (ratesNeeded || rates != null))
      throw typeError('limit', 'a rate such as "100/minute"', rates)
    if (typeof options !== 'object' || options === null)
      throw typeError('options', 'an object', options)
    for (const name of Object.keys(options))
      if (!SETTINGS.includes(name))
        throw new ConfigError(
          `limiter: expected any of ${SETTINGS.join(', ')}, not ${show(name)}`,
          'TG_EOPTION',
        )
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
  get policies() {
    return this.#names.slice(1)
  }
  get rates() {
    return this.#gate.native.rates(this.#number)
  }

  async consume(key, options) {
    return this.#gate.ask(
      OP.CONSUME,
      this.#number,
      key,
      options === undefined ? 1 : costOf(options),
      settings(options),
    )
  }

  consumeSync(key, options) {
    return this.#gate.decide(
      OP.CONSUME,
      this.#number,
      key,
      options === undefined ? 1 : costOf(options),
    )
  }

  async peek(key, options) {
    return this.#gate.ask(OP.PEEK, this.#number, key, costOf(options), settings(options))
  }

  peekSync(key, options) {
    return this.#gate.decide(OP.PEEK, this.#number, key, costOf(options))
  }

  async refund(key, options) {
    await this.#gate.ask(OP.REFUND, this.#number, key, costOf(options), settings(options))
  }

  async reset(key, options) {
    await this.#gate.ask(OP.RESET, this.#number, key, 0, settings(options))
  }

  /** Asks again after each retryAfter, until it passes, or the time left is too short. */
  async wait(key, options = {}) {
    const { cost, timeoutMs = Infinity, signal } = options
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0))
      throw typeError('timeoutMs', 'a number of 0 or more', timeoutMs)
    const clock = this.#gate.clock ?? realClock
    const endUs = clock.nowUs + timeoutMs * 1000
    while (true) {
      signal?.throwIfAborted()
      const decision = await this.consume(key, cost)
      if (decision.allowed) return decision
      const waitUs = Decision.retryAfterUs(decision)
      if (waitUs < 0 || clock.nowUs + waitUs > endUs) return decision
      await clock.sleep(waitUs, signal)
    }
  }

  /** New numbers for the same limiter, at once; what is not given stays. */
  change(rates, options = {}) {
    this.#gate.native.change(this.#number, ...Limiter.texts(rates, options, false))
    this.#names = this.#gate.native.names(this.#number)
    return this
  }

  toString() {
    return `Limiter(${this.name})`
  }
  [Symbol.for('nodejs.util.inspect.custom')]() {
    return this.toString()
  }
}

const realClock = {
  get nowUs() {
    return performance.now() * 1000
  },
  sleep(us, signal) {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        reject(signal.reason)
      }
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', stop)
          resolve()
        },
        Math.min(Math.ceil(us / 1000), 2 ** 31 - 1),
      )
      signal?.addEventListener('abort', stop, { once: true })
    })
  },
}

module.exports = { Limiter, costOf }
