// SPDX-License-Identifier: MIT
'use strict'

// The names of options, right and nearly right; what an object of options is.
const { ConfigError, show, typeError } = require('./errors.js')

// How many letters have to be changed, added or left out.
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; ++i) {
    const next = [i]
    for (let j = 1; j <= b.length; ++j)
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]
}

/** The name that was probably meant, or undefined. */
function nearName(name, names) {
  const plain = (text) => text.replaceAll('_', '').toLowerCase()
  const wanted = plain(name)
  if (wanted.length > 64) return undefined
  const far = names.map((known) => distance(wanted, plain(known)))
  const least = Math.min(...far)
  return least <= Math.max(1, Math.floor(wanted.length / 3)) ? names[far.indexOf(least)] : undefined
}

function unknownName(what, name, names) {
  const near = nearName(name, names)
  return new ConfigError(
    `${what}: unknown option ${show(name)}: ${near === undefined ? '' : `did you mean ${near}? `}` +
      `expected any of ${names.join(', ')}`,
    'TG_EOPTION',
  )
}

/** An object as { ... } makes it: no array, Map, Date or URL, whose own names would say nothing. */
function isPlain(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Returns `options` if that is a plain object with none but these names. */
function checkNames(what, options, names) {
  if (!isPlain(options)) throw typeError(`${what}: options`, 'a plain object', options)
  for (const name of Object.keys(options))
    if (!names.includes(name)) throw unknownName(what, name, names)
  return options
}

module.exports = { checkNames, isPlain, unknownName }
