// SPDX-License-Identifier: MIT
'use strict'

const { charged } = require('./charged.js')
const { tokensOf } = require('./cost.js')
const { ENGINES } = require('./decision.js')
const { SettleError, isOutOfReach, typeError } = require('./errors.js')

/** Tokens that were taken by estimate. Made by reserve(); see index.d.ts. */
class Reservation {
  #gate
  #parts
  #decision
  #settled = false

  constructor(gate, parts, decision) {
    if (decision === undefined) throw typeError('Reservation', 'to be made by reserve()', gate)
    this.#gate = gate
    this.#parts = parts
    this.#decision = decision
  }

  get allowed() {
    return this.#decision.allowed
  }
  get decision() {
    return this.#decision
  }
  get settled() {
    return this.#settled
  }

  /** What was really used: of all parts the same, or an array of one number for each. */
  async settle(used) {
    const uses = this.#usesOf(used)
    if (!this.allowed)
      throw new SettleError('settle: expected a reservation that was allowed, this one was denied')
    if (this.#settled) throw new SettleError('settle: the reservation is settled already')
    this.#settled = true
    const { source } = this.#decision
    const result = { charged: ENGINES.includes(source), givenBack: 0, debited: 0, decision: null }
    if (!result.charged) return result
    const taken = new Set(charged(this.#parts, this.#decision))
    const back = []
    const more = []
    this.#parts.forEach((part, i) => {
      const [limiter, key, estimate] = part
      const left = (taken.has(part) ? estimate : 0) - uses[i]
      if (left > 0) {
        back.push([limiter, key, left])
        result.givenBack += left
      } else if (left < 0) {
        more.push([limiter, key, -left])
        result.debited -= left
      }
    })
    const [decision] = await Promise.all([
      more.length ? this.#gate.debit(more, { source }) : null,
      back.length ? this.#gate.refund(back, { source }) : null,
    ])
    return Object.assign(result, { decision })
  }

  #usesOf(used) {
    if (!Array.isArray(used)) return this.#parts.map(() => tokensOf('used', used))
    if (used.length !== this.#parts.length)
      throw typeError('used', `a number, or an array of ${this.#parts.length}, one a part`, used)
    return used.map((one) => tokensOf('used', one))
  }

  /** Left without settle: all is given back. Where the store is away, its events say so. */
  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    if (!this.allowed || this.#settled) return
    await this.settle(0).catch((error) => {
      if (!isOutOfReach(error)) throw error
    })
  }
}

/** Asks for `parts`, which are nobody else's to change. */
async function reserve(gate, parts, options) {
  return new Reservation(gate, parts, await gate.consume(parts, options))
}

module.exports = { Reservation, reserve }
