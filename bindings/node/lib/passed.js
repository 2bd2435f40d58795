// SPDX-License-Identifier: MIT
'use strict'

const { charged } = require('./charged.js')

const PASSED = Symbol('tidegate')

/** What was done to one request so far, by all middleware that it passed. */
class Passed {
  #keys = new Map()
  #charges = []
  #policies = []
  #states = []
  #tightest = Infinity

  static of(raw) {
    return (raw[PASSED] ??= new Passed())
  }

  /** The same limit met twice on one request is charged once. */
  meets(limiter, key) {
    const keys = this.#keys.get(limiter)
    if (!keys) this.#keys.set(limiter, [key])
    else if (keys.includes(key)) return false
    else keys.push(key)
    return true
  }

  /** `parts` were asked of `gate` and may pass: given back if a later check denies. */
  charge(gate, parts, decision) {
    if (!decision.source?.startsWith('fail_')) this.#charges.push({ gate, parts, decision })
  }

  /** It goes on though a check denied: what it was charged stays charged. */
  keepCharges() {
    this.#charges = []
  }

  /** A request that is refused costs nothing anywhere. Nobody waits for it. */
  giveBack() {
    const charges = this.#charges
    this.#charges = []
    for (const { gate, parts, decision } of charges) {
      const taken = charged(parts, decision)
      // Where the store is away, its events say so.
      if (taken.length) gate.refund(taken, { source: decision.source }).catch(() => {})
    }
  }

  /** The standard fields are lists, the legacy ones speak of the tightest limit. */
  setFields(raw, decision, flags) {
    const left = decision.allowed ? (decision.remaining ?? Infinity) : -1
    const tightest = left < this.#tightest || left === -1
    if (tightest) this.#tightest = left
    for (const [name, value] of decision.headerPairs(flags)) {
      const list =
        name === 'RateLimit-Policy' ? this.#policies : name === 'RateLimit' ? this.#states : null
      if (list) {
        list.push(value)
        raw.setHeader(name, list.join(', '))
      } else if (tightest || !raw.hasHeader(name)) {
        raw.setHeader(name, value)
      }
    }
  }
}

module.exports = { Passed }
