// SPDX-License-Identifier: MIT
'use strict'

// The C ABI's codes by number: what `error.code` says.
const CODES = {
  1: 'EINVAL',
  2: 'ESIZE',
  3: 'ERATE',
  4: 'EOPTION',
  5: 'EURL',
  6: 'EKEY',
  7: 'ECOST',
  8: 'EHANDLE',
  9: 'ENAME',
  10: 'ECONFLICT',
  11: 'ECLOSED',
  12: 'EFORK',
  13: 'ECANCELED',
  14: 'EFULL',
  15: 'ENOMEM',
  16: 'EINTERNAL',
  32: 'ESTORE',
  33: 'ETIMEDOUT',
  34: 'ECONNECT',
  35: 'EAUTH',
  36: 'ETLS',
  37: 'EPROTOCOL',
  38: 'ECLUSTER',
  39: 'EOOM',
  40: 'EREADONLY',
  41: 'ELOADING',
  42: 'EBUSY',
  43: 'ENOPERM',
  44: 'EWRONGTYPE',
}

function nameOf(code) {
  return `TG_${CODES[-code] ?? `E${-code}`}`
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
  constructor(message = 'the gate is closed') {
    super(message)
    this.code = 'TG_ECLOSED'
  }
}
ClosedError.prototype.name = 'ClosedError'

function makeError(code, message, position) {
  const name = nameOf(code)
  if (code === -11) return new ClosedError(message)
  if (code <= -32 && code >= -63) return new StoreError(message, name)
  if (code >= -10) return new ConfigError(message, name, position)
  return Object.assign(new Error(message), { code: name })
}

// What would end a line, or steer a terminal, is written out.
function printable(text) {
  return text.replace(
    /[\0-\x1f\x7f-\x9f\u2028\u2029]/g,
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
  makeError,
  misuse,
  typeError,
  nameOf,
  show,
}
