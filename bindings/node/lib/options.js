// SPDX-License-Identifier: MIT
'use strict'

const { typeError } = require('./errors.js')

// timeoutMs and timeout_ms are the same option; which there are, and what they may be, the core
// knows.
function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function textOf(name, value) {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value)
  if (Array.isArray(value)) return value.join(',')
  throw typeError(name, 'a string, a number, a boolean or an array', value)
}

function isClock(value) {
  return typeof value === 'object' && value !== null && typeof value.attach === 'function'
}

/** An object of options as the addon takes them, and the clock if it is one of ours. */
function optionPairs(options) {
  if (typeof options !== 'object' || options === null)
    throw typeError('options', 'an object', options)
  const pairs = []
  let clock = null
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (name === 'clock' && isClock(value)) {
      clock = value
      pairs.push('clock', 'manual')
    } else {
      pairs.push(snake(name), textOf(name, value))
    }
  }
  return { pairs, clock }
}

module.exports = { optionPairs }
