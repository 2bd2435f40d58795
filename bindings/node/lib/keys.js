// SPDX-License-Identifier: MIT
'use strict'

// What may stand for a caller: a text, bytes, or a whole number, which is its decimal text.
const { isUint8Array } = require('node:util/types')
const { ConfigError, typeError } = require('./errors.js')

function wholeNumber(value) {
  return Number.isSafeInteger(value) || typeof value === 'bigint'
}

// In UTF-8 all lone surrogates are one character: callers that differ in them would be one caller.
function malformed(what, text) {
  const mended = text.toWellFormed()
  let at = 0
  while (text[at] === mended[at]) ++at
  return new ConfigError(
    `${what}: expected well-formed Unicode, not a lone surrogate at ${at}`,
    'TG_EKEY',
    at,
  )
}

/** A key as the addon takes it. */
function keyOf(key) {
  if (typeof key === 'string') {
    if (key.isWellFormed()) return key
    throw malformed('key', key)
  }
  if (isUint8Array(key)) return key
  if (wholeNumber(key)) return String(key)
  throw typeError('key', 'a string, a Uint8Array or a whole number', key)
}

/**
 * What a caller says he is, as text; '' for one without an identity, which is whatever is falsy:
 * `req.user && req.user.id` must not make one caller of all who have none.
 */
function identityOf(identity, what = 'key()') {
  if (!identity) return ''
  if (typeof identity === 'string') {
    if (identity.isWellFormed()) return identity
    // The request's fault, not the program's.
    throw Object.assign(malformed(what, identity), { status: 400, statusCode: 400 })
  }
  if (wholeNumber(identity)) return String(identity)
  throw typeError(what, 'a string or a whole number; nothing, null or false: none', identity)
}

module.exports = { identityOf, keyOf }
