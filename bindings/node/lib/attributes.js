// SPDX-License-Identifier: MIT
'use strict'

// A request's attributes as the addon takes them: names and values in turn, all texts.
const { ConfigError, typeError } = require('./errors.js')
const { isPlain } = require('./names.js')

// What a caller wrote, and no text can be: the request's fault, not the program's.
function unfit(name, expected) {
  const error = new ConfigError(`attribute ${name}: expected ${expected}`, 'TG_EATTRIBUTE')
  return Object.assign(error, { status: 400, statusCode: 400 })
}

function textOf(name, value) {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw unfit(name, 'well-formed Unicode, not a lone surrogate')
    if (value.includes('\0')) throw unfit(name, 'a text without a NUL character')
    return value
  }
  if (Number.isSafeInteger(value) || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value)
  throw typeError(`attribute ${name}`, 'a text, a whole number or a boolean', value)
}

/** Appends what is there of an object of attributes. */
function addAttributes(texts, attributes, what = 'attributes') {
  if (attributes == null) return texts
  if (!isPlain(attributes)) throw typeError(what, 'a plain object', attributes)
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null) continue
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name))
      throw new ConfigError(
        `attribute ${JSON.stringify(name)}: expected a name of letters, digits, _ and -`,
        'TG_EATTRIBUTE',
      )
    texts.push(name, textOf(name, value))
  }
  return texts
}

function attributesOf(attributes, what) {
  if (attributes == null) throw typeError(what, 'an object of attributes', attributes)
  return addAttributes([], attributes, what)
}

module.exports = { addAttributes, attributesOf }
