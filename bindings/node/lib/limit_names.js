// SPDX-License-Identifier: MIT
'use strict'

const { createHash } = require('node:crypto')

const MOST = 64

/**
 * A limiter's name made of any text: readable, and another one for another text. What does not fit,
 * or would lose something, gets a digest.
 */
function shortName(text) {
  const plain = text.replace(/\//g, '.').replace(/[{}]/g, '-')
  const name = plain.replace(/[^A-Za-z0-9_.-]/gu, '_')
  if (name === plain && name.length <= MOST) return name
  return `${name.slice(0, 55)}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

/**
 * A route's limit is named as the Python middleware names it: GET and /items/{id} are
 * "GET.items.-id-".
 */
function routeName(method, template) {
  return shortName((method === 'HEAD' ? 'GET' : method) + template.replace(/:(\w+)/g, '{$1}'))
}

module.exports = { routeName, shortName }
