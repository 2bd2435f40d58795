// SPDX-License-Identifier: MIT
'use strict'

const LONGEST_TIMER = 2 ** 31 - 1

/** What who waits sleeps by where the gate has no clock of its own; `idle` is unref'ed. */
const realClock = {
  get nowUs() {
    return performance.now() * 1000
  },
  sleep(us, signal, idle) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const stop = () => {
        clearTimeout(timer)
        reject(signal.reason)
      }
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', stop)
          resolve()
        },
        Math.min(Math.ceil(us / 1000), LONGEST_TIMER),
      )
      if (idle) timer.unref()
      signal?.addEventListener('abort', stop, { once: true })
    })
  },
}

module.exports = { realClock }
