// SPDX-License-Identifier: MIT
'use strict'

const native = require('./native.js')
const { makeError } = require('./errors.js')
const { readDecision } = require('./decision.js')

const { RESULT, PART } = native
const results = native.results

const FLUSH_LATER = 2

const MESSAGES = {
  [-6]: 'key: expected 1 byte or more',
  [-14]: 'too many checks are in flight: expected at most 65536',
}

/** The requests of one gate that are out, and who waits for them. */
class Requests {
  #native
  #gate
  #resolves = []
  #rejects = []
  #free = []
  #flushing = false

  constructor(gate) {
    this.#gate = gate
    this.#native = gate.native
    this.#native.deliver = (count, texts) => this.#deliver(count, texts)
  }

  submit(selector, key, cost) {
    return new Promise((resolve, reject) => {
      const slot = this.#take(resolve, reject)
      this.#taken(slot, this.#native.submit(selector, key, cost, slot))
    })
  }

  // `write` submits the request of a slot.
  send(write) {
    return new Promise((resolve, reject) => {
      const slot = this.#take(resolve, reject)
      this.#taken(slot, write(slot))
    })
  }

  #take(resolve, reject) {
    const slot = this.#free.length > 0 ? this.#free.pop() : this.#resolves.length
    this.#resolves[slot] = resolve
    this.#rejects[slot] = reject
    return slot
  }

  #release(slot) {
    this.#resolves[slot] = this.#rejects[slot] = undefined
    this.#free.push(slot)
  }

  #taken(slot, status) {
    if (status === FLUSH_LATER) {
      if (!this.#flushing) this.#flushSoon()
    } else if (status <= 0) {
      this.#refuse(slot, status)
    }
  }

  #refuse(slot, status) {
    const reject = this.#rejects[slot]
    this.#release(slot)
    const code = status === 0 ? -14 : status
    reject(makeError(code, MESSAGES[code] ?? 'the request was not taken'))
  }

  // What one tick submits leaves together.
  #flushSoon() {
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#native.flush()
    })
  }

  // Called once per batch from the loop. What the awakened submit is flushed by the native side,
  // after the microtasks.
  #deliver(count, texts) {
    for (let i = 0, at = 0; i < count; ++i) {
      const slot = results[at + RESULT.SLOT]
      if (results[at + RESULT.STATUS] < 0)
        this.#rejects[slot](makeError(results[at + RESULT.STATUS], texts[i]))
      else this.#resolves[slot](readDecision(this.#gate, at))
      at += RESULT.LENGTH + results[at + RESULT.PARTS] * PART.LENGTH
      this.#release(slot)
    }
    let event
    while ((event = this.#native.nextEvent())) {
      const { code, ...rest } = event
      const told = { ...rest, code: code < 0 ? makeError(code, '').code : null }
      queueMicrotask(() => this.#gate.emit('event', told))
    }
  }
}

module.exports = { Requests }
