// SPDX-License-Identifier: MIT
'use strict'

const { typeError } = require('./errors.js')
const { checkNames } = require('./names.js')

/** A clock that stands still until it is moved: connect(url, { clock: new FakeClock() }). */
class FakeClock {
  #nowUs
  #gates = new Set()
  #sleepers = new Set()

  constructor(options = {}) {
    const { nowUs = 1_700_000_000_000_000 } = checkNames('FakeClock', options, ['nowUs'])
    this.#nowUs = checked(nowUs)
  }

  get nowUs() {
    return this.#nowUs
  }
  /** May step back too. */
  set nowUs(us) {
    this.#nowUs = checked(us)
    for (const gate of this.#gates) gate.native.setTime(us)
    for (const sleeper of [...this.#sleepers]) if (sleeper.untilUs <= us) sleeper.wake()
  }

  advance(ms) {
    if (typeof ms !== 'number' || !Number.isFinite(ms)) throw typeError('ms', 'a number', ms)
    this.nowUs = this.#nowUs + Math.round(ms * 1000)
  }

  // ---- for gates ----
  attach(gate) {
    this.#gates.add(gate)
    gate.native.setTime(this.#nowUs)
  }
  detach(gate) {
    this.#gates.delete(gate)
  }

  sleep(us, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper = { untilUs: this.#nowUs + us }
      const stop = () => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason)
      }
      sleeper.wake = () => {
        this.#sleepers.delete(sleeper)
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      signal?.addEventListener('abort', stop, { once: true })
      this.#sleepers.add(sleeper)
    })
  }
}

function checked(us) {
  if (Number.isSafeInteger(us) && us >= 0) return us
  throw typeError('nowUs', 'microseconds, an integer of 0 or more', us)
}

module.exports = { FakeClock }
