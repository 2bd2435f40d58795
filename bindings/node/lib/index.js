// SPDX-License-Identifier: MIT
'use strict'

const native = require('./native.js')
const { ClosedError, ConfigError, SettleError, StoreError, typeError } = require('./errors.js')
const { identityOf } = require('./keys.js')
const { isPlain } = require('./names.js')
const { Decision, Part } = require('./decision.js')
const { Gate } = require('./gate.js')
const { Limiter } = require('./limiter.js')
const { ignoredOfLive, resolvePolicy, validatePolicy } = require('./policy.js')
const { Reservation } = require('./reservation.js')
const { Slot } = require('./slot.js')

/** No I/O yet. connect() is the embedded store, or what TIDEGATE_URL names. */
function connect(url, options) {
  return isPlain(url) && options === undefined ? new Gate(undefined, url) : new Gate(url, options)
}

const callerKeyOf = native.callerKeys([])

/** The key that a middleware uses: an identity, or where there is none the address. */
function callerKey(identity, address) {
  if (address != null && typeof address !== 'string')
    throw typeError('address', 'a string', address)
  return callerKeyOf(address ?? '', undefined, identityOf(identity, 'identity'))
}

module.exports = {
  connect,
  callerKey,
  ignoredOfLive,
  resolvePolicy,
  validatePolicy,
  version: native.version,
  Gate,
  Limiter,
  Decision,
  Part,
  Reservation,
  Slot,
  ConfigError,
  StoreError,
  ClosedError,
  SettleError,
}
