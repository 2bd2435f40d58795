// SPDX-License-Identifier: MIT
'use strict'

const native = require('./native.js')
const { makeError } = require('./errors.js')
const { readDecision } = require('./decision.js')
const { Queue } = require('./queue.js')

const { RESULT, PART } = native
const results = native.results

const FLUSH_LATER = 2
const FULL = 0
const EKEY = -6
const EFULL = -14
const EATTRIBUTE = -19

const MESSAGES = {
  [EKEY]: 'key: expected 1 byte or more',
  [EATTRIBUTE]: 'attributes: expected texts without a NUL character',
  [EFULL]:
    'too many checks are out: expected at most 65536 in flight and as many that wait for room, ' +
    'none beyond its deadline',
}

/** The requests of one gate that are out, and who waits for them. */
class Requests {
  #native
  #gate
  #resolves = []
  #rejects = []
  #free = []
  #flushing = false
  #waiting

  constructor(gate, deadlineUs) {
    this.#gate = gate
    this.#native = gate.native
    this.#native.deliver = (count, more) => this.#deliver(count, more)
    this.#waiting = new Queue(deadlineUs, {
      write: (slot, write, us) => this.#sent(slot, write(slot, us)),
      refuse: (slot) => this.#refuse(slot, EFULL),
    })
  }

  submit(selector, key, cost) {
    return new Promise((resolve, reject) => {
      const slot = this.#take(resolve, reject)
      if (this.#waiting.empty && this.#sent(slot, this.#native.submit(selector, key, cost, slot)))
        return
      this.#wait(
        slot,
        (slot, us) => this.#native.submitAll([selector, key, cost, undefined], slot, us, 0),
        0,
      )
    })
  }

  // `write` submits the request of a slot with a deadline; 0: the client's.
  send(write, us) {
    return new Promise((resolve, reject) => {
      const slot = this.#take(resolve, reject)
      if (this.#waiting.empty && this.#sent(slot, write(slot, us))) return
      this.#wait(slot, write, us)
    })
  }

  /** What waits for room is rejected with this error. */
  refuseWaiting(error) {
    for (const slot of this.#waiting.clear()) {
      const reject = this.#rejects[slot]
      this.#release(slot)
      reject(error)
    }
  }

  #wait(slot, write, us) {
    if (!this.#waiting.push(slot, write, us)) this.#refuse(slot, EFULL)
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

  // False: there was no room.
  #sent(slot, status) {
    if (status === FULL) return false
    if (status === FLUSH_LATER) {
      if (!this.#flushing) this.#flushSoon()
    } else if (status < 0) {
      this.#refuse(slot, status)
    }
    return true
  }

  #refuse(slot, code) {
    const reject = this.#rejects[slot]
    this.#release(slot)
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
  #deliver(count, more) {
    for (let i = 0, at = 0; i < count; ++i) {
      const slot = results[at + RESULT.SLOT]
      if (results[at + RESULT.STATUS] < 0)
        this.#rejects[slot](makeError(results[at + RESULT.STATUS], more[i]))
      else this.#resolves[slot](readDecision(this.#gate, at, more?.[i]))
      at += RESULT.LENGTH + results[at + RESULT.PARTS] * PART.LENGTH
      this.#release(slot)
    }
    if (!this.#waiting.empty) this.#waiting.send()
    let event
    while ((event = this.#native.nextEvent())) {
      const { code, ...rest } = event
      const told = { ...rest, code: code < 0 ? makeError(code, '').code : null }
      queueMicrotask(() => this.#gate.emit('event', told))
    }
  }
}

module.exports = { Requests }
