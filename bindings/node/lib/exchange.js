// SPDX-License-Identifier: MIT
'use strict'

// One HTTP request as all middleware see it that it passes: what each gate has charged so far, and
// what is to be settled when the response is done.
const { addAttributes } = require('./attributes.js')

const EXCHANGE = Symbol('tidegate')
const RENEW = 1
const DENIED = 2
const ABORTED = 499 // the status of a response that never began: its caller went away

class Exchange {
  #charged = new Map() // by gate: the last decision that let the request pass
  #denied = null // { gate, decision }: by whom it is refused, unless it goes on
  #settles = new Set() // functions that say what a rule's `settle` asks for
  #kept = new Set() // gates whose slots are renewed
  #stop = new AbortController()
  #done = false

  /** That of a request; `holder` is an object of which it has one. */
  static of(holder) {
    return (holder[EXCHANGE] ??= new Exchange())
  }

  static has(holder) {
    return holder[EXCHANGE] !== undefined
  }

  scope(gate) {
    return this.#charged.get(gate)?.scope ?? ''
  }

  /** Whether the end of the response matters. */
  get mustFinish() {
    if (this.#denied) return true
    for (const decision of this.#charged.values()) if (decision.mustFinish) return true
    return false
  }

  note(gate, decision, settle) {
    if (!decision.allowed) {
      this.#denied = { gate, decision }
      return
    }
    this.#charged.set(gate, decision)
    if (settle) this.#settles.add(settle)
    if (decision.renewUs > 0 && !this.#kept.has(gate)) {
      this.#kept.add(gate)
      this.#keep(gate).catch(() => {}) // the response is done, or the gate closed
    }
  }

  // Renews slots within the time that the core gives.
  async #keep(gate) {
    while (!this.#done) {
      await gate.sleep(this.#charged.get(gate).renewUs * 0.75, this.#stop.signal, true)
      await gate.settle(this.scope(gate), 0, [], RENEW)
    }
  }

  /** Though a check denied it: what it was charged stays charged. */
  goesOn() {
    this.#denied = null
  }

  /** The response is done. `status`: undefined where it never began; `args`: for settle(). */
  async finish(status = ABORTED, ...args) {
    if (this.#done) return
    this.#done = true
    this.#stop.abort()
    const denied = this.#denied
    const texts = denied ? [] : await this.#attributes(args)
    const settled = []
    for (const [gate, decision] of this.#charged) {
      if (gate === denied?.gate) continue
      if (denied) settled.push(gate.settle(decision.scope, status, [], DENIED))
      else if (decision.mustFinish) settled.push(gate.settle(decision.scope, status, texts))
    }
    if (denied?.decision.mustFinish)
      settled.push(denied.gate.settle(denied.decision.scope, status, []))
    await Promise.all(settled)
  }

  async #attributes(args) {
    const texts = []
    try {
      for (const settle of this.#settles) addAttributes(texts, await settle(...args), 'settle()')
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : new Error('settle() threw no Error'))
    }
    return texts
  }
}

module.exports = { Exchange }
