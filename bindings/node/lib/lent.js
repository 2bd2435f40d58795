// SPDX-License-Identifier: MIT
'use strict'

// Rates that code makes for each request may be as many as callers: so many are kept open, by one
// middleware.
const MOST = 1_024

/** Limiters of rates that change from request to request: the least used are closed. */
class Lent {
  #gate
  #limiters = new Map() // the least used first

  constructor(gate) {
    this.#gate = gate
  }

  /** The limiter of `id`, made by `open` where it is none of the last; give it back after use. */
  take(id, open) {
    let limiter = this.#limiters.get(id)
    if (limiter?.closed) limiter = undefined // by its user
    limiter ??= open()
    this.#limiters.delete(id)
    this.#limiters.set(id, limiter)
    this.#gate.lendAgain(limiter)
    if (this.#limiters.size > MOST) {
      const [oldest, least] = this.#limiters.entries().next().value
      this.#limiters.delete(oldest)
      this.#gate.takeBack(least)
    }
    return limiter
  }

  giveBack(limiter) {
    this.#gate.takeBack(limiter)
  }
}

module.exports = { Lent }
