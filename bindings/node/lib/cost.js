// SPDX-License-Identifier: MIT
'use strict'

const { ConfigError, typeError } = require('./errors.js')

const MOST_COST = 2 ** 52 - 1

/** So many tokens: an integer that the core takes. */
function tokensOf(what, value) {
  if (typeof value !== 'number') throw typeError(what, 'an integer of 0 or more', value)
  if (!Number.isInteger(value) || value < 0 || value > MOST_COST)
    throw new ConfigError(
      `${what} ${value}: expected an integer from 0 to ${MOST_COST}`,
      'TG_ECOST',
    )
  return value
}

function costOf(cost) {
  return cost === undefined ? 1 : tokensOf('cost', cost)
}

module.exports = { costOf, tokensOf }
