// SPDX-License-Identifier: MIT
'use strict'

const native = require('./native.js')
const { ConfigError, typeError } = require('./errors.js')
const { isPlain, unknownName } = require('./names.js')

// timeoutMs and timeout_ms are the same option; which there are, and what they may be, the core
// knows.
function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function camel(name) {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())
}

const KNOWN = native
  .describeOptions()
  .split('\n')
  .filter(Boolean)
  .map((line) => line.slice(0, line.indexOf('\t')))

function textOf(name, value) {
  if (typeof value === 'string' && value.isWellFormed()) return value
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value)
  if (Array.isArray(value)) return value.join(',')
  throw typeError(name, 'a string, a number, a boolean or an array', value)
}

function isClock(value) {
  return typeof value === 'object' && value !== null && typeof value.attach === 'function'
}

/** An object of options as the addon takes them, the clock if it is one of ours, and the policy. */
function optionPairs(options) {
  if (!isPlain(options)) throw typeError('options', 'a plain object', options)
  const pairs = []
  let clock = null
  const { policy, ...others } = options
  for (const [name, value] of Object.entries(others)) {
    if (!KNOWN.includes(snake(name)))
      throw unknownName('connect', name, [...KNOWN.map(camel), 'policy'])
    if (value === undefined) continue
    if (name === 'clock' && isClock(value)) {
      clock = value
      pairs.push('clock', 'manual')
    } else {
      pairs.push(snake(name), textOf(name, value))
    }
  }
  return { pairs, clock, policy }
}

/** Does `work` with options; what it says is wrong with one is said of the name that was given. */
function spelledAs(options, work) {
  try {
    return work()
  } catch (error) {
    if (error instanceof ConfigError)
      for (const name of Object.keys(options).filter((given) => given !== snake(given)))
        error.message = error.message.replace(new RegExp(`\\b${snake(name)}\\b`, 'g'), name)
    throw error
  }
}

module.exports = { optionPairs, spelledAs }
