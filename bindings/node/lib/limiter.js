// SPDX-License-Identifier: MIT
'use strict'

const { OP } = require('./native.js')
const { costOf, tokensOf } = require('./cost.js')
const { ownKey } = require('./keys.js')
const { reserve } = require('./reservation.js')
const { takeSlot } = require('./slot.js')
const { ConfigError, typeError } = require('./errors.js')
const { Decision } = require('./decision.js')
const { checkNames } = require('./names.js')

const SETTINGS = ['name', 'algorithm', 'mode', 'onFailure', 'lease']
const CHECK = ['cost', 'timeoutMs']
const CHECK_SYNC = ['cost']
const REFUND = ['cost', 'timeoutMs', 'source']
const RESET = ['timeoutMs']
const RELEASE = ['timeoutMs', 'source']
const SLOT = ['cost', 'timeoutMs', 'signal', 'onLost']
const WAIT = ['cost', 'timeoutMs', 'signal']
// The number of a closed limiter: no limiter's, and with an operation beside it still 31 bits.
const CLOSED = 2 ** 28 - 1

// Milliseconds as the core reads a lease; a text is that already.
function leaseText(lease) {
  if (typeof lease !== 'number') return lease
  return Number.isInteger(lease) ? `${lease}ms` : `${lease * 1000}us`
}

function signalOf(signal) {
  if (signal != null && typeof signal?.throwIfAborted !== 'function')
    throw typeError('signal', 'an AbortSignal', signal)
  return signal ?? undefined
}

// How long to go on asking.
function patienceMs(timeoutMs) {
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0))
    throw typeError('timeoutMs', 'a number of 0 or more', timeoutMs)
  return timeoutMs
}

function neededId(id) {
  if (id === undefined) throw typeError('id', 'a string or a Uint8Array of 1 to 16 bytes', id)
  return id
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

  // (rates, name, algorithm, mode, onFailure, lease) as the addon takes them; '' for what is not
  // given.
  static texts(rates, options, ratesNeeded) {
    if (typeof rates !== 'string' && (ratesNeeded || rates != null))
      throw typeError('limit', 'a rate such as "100/minute"', rates)
    checkNames('limiter', options, SETTINGS)
    return [
      rates ?? '',
      ...SETTINGS.map((name) => {
        const value = name === 'lease' ? leaseText(options.lease) : options[name]
        if (value == null) return ''
        if (typeof value !== 'string')
          throw typeError(name, name === 'lease' ? 'a text or milliseconds' : 'a string', value)
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

  /** Charges what was used already: never denied. */
  async debit(key, options) {
    const given = settings('debit', options, REFUND)
    return this.#gate.ask(OP.DEBIT, this.#number, key, costOf(given ? given.cost : options), given)
  }

  /** Takes an estimate, to be settled when the use is known. */
  async reserve(key, estimate, options = {}) {
    const parts = [[this, ownKey(key), tokensOf('estimate', estimate)]]
    return reserve(this.#gate, parts, checkNames('reserve', options, RESET))
  }

  /** Takes slots under an id, or renews what the id holds. */
  async acquire(key, id, options = {}) {
    const { cost, timeoutMs } = checkNames('acquire', options, CHECK)
    return this.#gate.askOne(OP.CONSUME, [this, key, costOf(cost), neededId(id)], { timeoutMs })
  }
  async renew(key, id, options = {}) {
    const asked = checkNames('renew', options, RESET)
    return this.#gate.askOne(OP.CONSUME, [this, key, 1, neededId(id)], asked)
  }
  /** Gives back all that the id holds; may be repeated. */
  async release(key, id, options = {}) {
    const asked = checkNames('release', options, RELEASE)
    await this.#gate.askOne(OP.REFUND, [this, key, 1, neededId(id)], asked)
  }

  /** Slots that are renewed while they are held. */
  async slot(key, options = {}) {
    const { cost, timeoutMs = 0, signal, onLost } = checkNames('slot', options, SLOT)
    if (onLost !== undefined && typeof onLost !== 'function')
      throw typeError('onLost', 'a function', onLost)
    return takeSlot(this, ownKey(key), {
      cost: costOf(cost),
      patienceMs: patienceMs(timeoutMs),
      signal: signalOf(signal),
      onLost,
    })
  }

  /** How long slots are kept that nobody renews; undefined where there are none. */
  get leaseMs() {
    return this.rates.find(({ algorithm }) => algorithm === 'concurrency')?.windowMs
  }

  /** Asks again after each retryAfter, until it passes, or the time left is too short. */
  async wait(key, options = {}) {
    const { cost, timeoutMs = Infinity } = checkNames('wait', options, WAIT)
    const signal = signalOf(options.signal)
    const endUs = this.#gate.nowUs + patienceMs(timeoutMs) * 1000
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
    this.#names = this.#gate.native.names(this.#number) ?? this.#names
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

module.exports = { Limiter }
