// SPDX-License-Identifier: MIT
'use strict'

const MOST = 65_536
// The room for one that waits often comes with the end of its own deadline: those before it were
// given the same.
const GRACE_MS = 20
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Requests for which the ring had no room, in their order. Each goes as soon as there is room, with
 * what is left of its deadline, so that the failure policy answers in time; one that finds none
 * within its deadline is refused. At most MOST of them.
 */
class Queue {
  #deadlineUs
  #write
  #refuse
  #items = []
  #at = 0 // those before it have gone
  #timer
  #timerEnds = Infinity

  /** write(slot, write, us): whether there was room. refuse(slot). */
  constructor(deadlineUs, { write, refuse }) {
    this.#deadlineUs = deadlineUs
    this.#write = write
    this.#refuse = refuse
  }

  get empty() {
    return this.#at === this.#items.length
  }

  /** False: as many wait as may. us 0: the client's deadline. */
  push(slot, write, us) {
    if (this.#items.length - this.#at >= MOST) return false
    const ends = performance.now() + (us || this.#deadlineUs) / 1000
    this.#items.push({ slot, write, ends })
    this.#watch(ends)
    return true
  }

  /** Sends what there is room for. */
  send() {
    const now = performance.now()
    while (!this.empty) {
      const { slot, write, ends } = this.#items[this.#at]
      if (!this.#write(slot, write, Math.max(1, Math.floor((ends - now) * 1000)))) break
      ++this.#at
    }
    if (this.empty) this.clear()
    else if (this.#at > this.#items.length / 2) this.#forget()
  }

  #forget() {
    this.#items = this.#items.slice(this.#at)
    this.#at = 0
  }

  /** Empties it; returns the slots. */
  clear() {
    const slots = this.#items.slice(this.#at).map(({ slot }) => slot)
    this.#items = []
    this.#at = 0
    clearTimeout(this.#timer)
    this.#timerEnds = Infinity
    return slots
  }

  // One timer, for the earliest end.
  #watch(ends) {
    if (ends >= this.#timerEnds) return
    clearTimeout(this.#timer)
    this.#timerEnds = ends
    const ms = Math.ceil(ends - performance.now()) + GRACE_MS
    // After a look at the ring: a loop that was busy finds there what makes room.
    const look = () => setImmediate(() => this.#expire())
    this.#timer = setTimeout(look, Math.min(Math.max(ms, 1), LONGEST_TIMER))
  }

  #expire() {
    this.#timerEnds = Infinity
    this.send()
    const over = performance.now() - GRACE_MS
    this.#forget()
    const items = this.#items
    this.#items = items.filter(({ ends }) => ends > over)
    for (const { slot, ends } of items) if (ends <= over) this.#refuse(slot)
    let earliest = Infinity
    for (const { ends } of this.#items) earliest = Math.min(earliest, ends)
    if (earliest < Infinity) this.#watch(earliest)
  }
}

module.exports = { Queue }
