// SPDX-License-Identifier: MIT
'use strict'

// What may stand for a caller: a text, bytes, or a whole number, which is its decimal text.
const { isUint8Array } = require('node:util/types')
const { ConfigError, typeError } = require('./errors.js')

const MOST_ID = 16

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

/** The same, of which nobody else has the bytes: for what is asked later again. */
function ownKey(key) {
  const own = keyOf(key)
  return typeof own === 'string' ? own : Uint8Array.from(own)
}

/** Whose slots, as the addon takes it: 1 to 16 bytes. */
function idOf(id) {
  if (id === undefined) return undefined
  if (typeof id === 'string' ? !id.isWellFormed() : !isUint8Array(id))
    throw typeError('id', 'a string or a Uint8Array of 1 to 16 bytes', id)
  const bytes = typeof id === 'string' ? Buffer.from(id) : id
  if (bytes.length < 1 || bytes.length > MOST_ID)
    throw new ConfigError(`id: expected 1 to ${MOST_ID} bytes, not ${bytes.length}`, 'TG_EID')
  if (bytes.every((byte) => byte === 0))
    throw new ConfigError('id: expected a byte that is not 0', 'TG_EID')
  return bytes
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

module.exports = { identityOf, idOf, keyOf, ownKey }
