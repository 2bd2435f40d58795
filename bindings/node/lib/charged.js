// SPDX-License-Identifier: MIT
'use strict'

/**
 * The parts of an allowed decision that took something: all rates of a limiter fitted. A shadow
 * limiter's that did not fit took nothing.
 */
function charged(parts, decision) {
  const rates = decision.parts
  const taken = []
  let at = 0
  for (const part of parts) {
    const own = rates.slice(at, (at += part[0].policies.length))
    if (part[2] !== 0 && own.length > 0 && own.every((rate) => rate.allowed)) taken.push(part)
  }
  return at === rates.length ? taken : []
}

module.exports = { charged }
