// SPDX-License-Identifier: MIT
'use strict'

// What the C ABI says of a code, [its name, its kind]: native.js knows, once it is loaded.
let describe

function describeErrorsBy(namesOf) {
  describe = namesOf
}

class ConfigError extends RangeError {
  constructor(message, code = 'TG_EINVAL', position = -1) {
    super(message)
    this.code = code
    if (position >= 0) this.position = position
  }
}
ConfigError.prototype.name = 'ConfigError'

class StoreError extends Error {
  constructor(message, code = 'TG_ESTORE') {
    super(message)
    this.code = code
  }
}
StoreError.prototype.name = 'StoreError'

class ClosedError extends Error {
  constructor(message = 'the gate is closed', code = 'TG_ECLOSED') {
    super(message)
    this.code = code
  }
}
ClosedError.prototype.name = 'ClosedError'

/** Of a reservation that cannot be settled: it was already, or nothing was reserved. */
class SettleError extends Error {
  constructor(message) {
    super(message)
    this.code = 'ERR_TIDEGATE_SETTLE'
  }
}
SettleError.prototype.name = 'SettleError'

function makeError(code, message, position) {
  const [known, kind] = describe(code)
  const name = known || `TG_E${-code}`
  if (kind === 'closed') return new ClosedError(message, name)
  if (kind === 'store') return new StoreError(message, name)
  if (kind === 'config' || kind === 'handle') return new ConfigError(message, name, position)
  return Object.assign(new Error(message), { code: name })
}

/** The store is away, or the gate is closed. */
function isOutOfReach(error) {
  return error instanceof StoreError || error instanceof ClosedError
}

// What would end a line, or steer a terminal, is written out.
function printable(text) {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

// A value as an error message shows it: short, on one line.
function show(value) {
  const text = printable(
    typeof value === 'string'
      ? JSON.stringify(value)
      : typeof value === 'function'
        ? 'a function'
        : Array.isArray(value)
          ? 'an array'
          : typeof value === 'object' && value !== null
            ? `an instance of ${value.constructor?.name ?? 'Object'}`
            : typeof value === 'bigint'
              ? `${value}n`
              : String(value),
  )
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

function misuse(message) {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' })
}

function typeError(what, expected, value) {
  return misuse(`${what}: expected ${expected}, not ${show(value)}`)
}

module.exports = {
  ConfigError,
  StoreError,
  ClosedError,
  SettleError,
  describeErrorsBy,
  isOutOfReach,
  makeError,
  misuse,
  typeError,
  show,
}
