// SPDX-License-Identifier: MIT
'use strict'

// Slots that an id holds, renewed until they are released or lost. It knows nothing of the Slot
// that its user has, so that a Slot which nobody has any more can be collected.
const { randomBytes } = require('node:crypto')
const { ENGINES } = require('./decision.js')

const RENEWALS_IN_A_LEASE = 3

// Did the id hold its slots all the time? Callers see nothing of a shadow limiter, and a limiter
// that is off has no figures.
function wasHeld(decision) {
  return decision.parts.every((part) => part.shadow || part.remaining === null || part.renewed)
}

class Hold {
  #limiter
  #key
  #cost
  #onLost
  #id = randomBytes(16)
  #stop = new AbortController()
  #held = new Set() // where: a store that was away may leave slots in two places
  #home = null // where they count
  #renewedUs = 0
  #lost = false
  #over = false

  constructor(limiter, key, cost, onLost) {
    this.#limiter = limiter
    this.#key = key
    this.#cost = cost
    this.#onLost = onLost
  }

  get id() {
    return this.#id
  }
  get lost() {
    return this.#lost
  }

  /** One try. */
  async take() {
    const { gate } = this.#limiter
    const askedUs = gate.nowUs
    const decision = await this.#limiter.acquire(this.#key, this.#id, { cost: this.#cost })
    this.#note(decision)
    if (decision.allowed) {
      this.#home = decision.source
      this.#renewedUs = askedUs
    }
    return decision
  }

  /** Renews until it is over. */
  async keep() {
    const { gate } = this.#limiter
    try {
      while (!this.#over) {
        const leaseUs = this.#limiter.leaseMs * 1000
        await gate.sleep(leaseUs / RENEWALS_IN_A_LEASE, this.#stop.signal, true)
        // Changed to rates: a renewal would be charged there.
        if (this.#limiter.leaseMs === undefined) return this.#lose(true)
        const askedUs = gate.nowUs
        const decision = await this.#renewed()
        if (this.#over) return await this.#releaseAt(decision?.source) // released meanwhile
        if (decision) this.#judge(decision, askedUs)
        if (this.#home !== 'fail_open' && gate.nowUs - this.#renewedUs >= leaseUs) this.#lose(true)
      }
    } catch {
      // The gate or the limiter is closed: nobody renews any more.
      if (!this.#over) this.#lose(true)
    }
  }

  // Undefined: too many checks are out, which says nothing about the slots.
  async #renewed() {
    try {
      return await this.#limiter.acquire(this.#key, this.#id, { cost: this.#cost })
    } catch (error) {
      if (error.code !== 'TG_EFULL') throw error
      return undefined
    }
  }

  #judge(decision, askedUs) {
    const { source } = decision
    this.#note(decision)
    if (!ENGINES.includes(source)) return // the store is away: until the lease is over
    if (source === this.#home) {
      if (decision.allowed) this.#renewedUs = askedUs
      if (!decision.allowed || !wasHeld(decision)) this.#lose(!decision.allowed)
    } else if (source === 'store' && decision.allowed) {
      this.#home = source // the store is back, and has taken over
      this.#renewedUs = askedUs
    }
  }

  // A check that the store did not answer may have been charged there.
  #note({ allowed, source }) {
    if (allowed && ENGINES.includes(source)) this.#held.add(source)
    if (source !== 'store' && source !== 'memory') this.#held.add('store')
  }

  #lose(over) {
    if (over) this.#over = true
    if (this.#lost) return
    this.#lost = true
    if (this.#onLost) queueMicrotask(this.#onLost)
  }

  /** Rejects with StoreError where the store is away, and may be asked again then. */
  async release() {
    this.#over = true
    this.#stop.abort()
    const doubtful = this.#home !== 'store'
    await Promise.all(
      [...this.#held].map(async (source) => {
        const released = this.#releaseAt(source)
        await (source === 'store' && doubtful ? released.catch(() => {}) : released)
        this.#held.delete(source)
      }),
    )
  }

  #releaseAt(source) {
    if (!ENGINES.includes(source)) return Promise.resolve()
    return this.#limiter.release(this.#key, this.#id, { source })
  }
}

module.exports = { Hold }
