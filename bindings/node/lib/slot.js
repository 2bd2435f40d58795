// SPDX-License-Identifier: MIT
'use strict'

const { Decision } = require('./decision.js')
const { ConfigError, isOutOfReach, typeError } = require('./errors.js')
const { Hold } = require('./hold.js')

// Who waits asks again before the first lease runs out: slots are mostly released, which tells
// nobody.
const FIRST_PAUSE_US = 20_000
const LONGEST_PAUSE_US = 500_000

// What nobody has any more is released.
const dropped = new FinalizationRegistry((hold) => hold.release().catch(() => {}))

/** Slots that are held, or the denial. Made by limiter.slot(); see index.d.ts. */
class Slot {
  #decision
  #hold

  constructor(decision, hold) {
    if (decision === undefined) throw typeError('Slot', 'to be made by limiter.slot()', decision)
    this.#decision = decision
    this.#hold = hold
    if (hold) dropped.register(this, hold, this)
  }

  get allowed() {
    return this.#decision.allowed
  }
  get decision() {
    return this.#decision
  }
  get id() {
    return this.#hold?.id ?? null
  }
  /** A renewal found the slots gone: others may have had them. */
  get lost() {
    return this.#hold?.lost ?? false
  }

  async release() {
    if (!this.#hold) return
    dropped.unregister(this)
    await this.#hold.release()
  }

  /** Where the store is away the lease runs out, and its events say so. */
  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.release().catch((error) => {
      if (!isOutOfReach(error)) throw error
    })
  }
}

async function takeSlot(limiter, key, { cost, patienceMs, signal, onLost }) {
  const { gate, leaseMs } = limiter
  if (leaseMs === undefined)
    throw new ConfigError(`slot: limiter ${limiter.name}: expected slots, such as "5 at once"`)
  if (cost === 0) throw new ConfigError('cost 0: expected 1 slot or more', 'TG_ECOST')
  signal?.throwIfAborted()
  const hold = new Hold(limiter, key, cost, onLost)
  const endUs = gate.nowUs + patienceMs * 1000
  try {
    for (let pauseUs = FIRST_PAUSE_US; ; pauseUs = Math.min(2 * pauseUs, LONGEST_PAUSE_US)) {
      const decision = await hold.take()
      signal?.throwIfAborted() // it may have come while the check was out
      if (decision.allowed) {
        hold.keep()
        return new Slot(decision, hold)
      }
      const waitUs = Decision.retryAfterUs(decision)
      const leftUs = endUs - gate.nowUs
      if (waitUs < 0 || leftUs <= 0) {
        letGo(hold)
        return new Slot(decision, null)
      }
      const jittered = pauseUs * (0.5 + Math.random() / 2)
      await gate.sleep(Math.min(waitUs, leftUs, jittered), signal)
    }
  } catch (error) {
    letGo(hold)
    throw error
  }
}

// What an attempt may have left somewhere; nobody waits for it.
function letGo(hold) {
  hold.release().catch(() => {})
}

module.exports = { Slot, takeSlot }
