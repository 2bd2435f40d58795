// SPDX-License-Identifier: MIT
'use strict'

const native = require('./native.js')
const { ClosedError, ConfigError, StoreError, typeError } = require('./errors.js')
const { Decision, Part } = require('./decision.js')
const { Gate } = require('./gate.js')
const { Limiter } = require('./limiter.js')

/** No I/O yet. connect() is the embedded store, or what TIDEGATE_URL names. */
function connect(url, options) {
  if (typeof url === 'object' && url !== null && options === undefined)
    [url, options] = [undefined, url]
  if (url !== undefined && typeof url !== 'string') throw typeError('url', 'a string', url)
  return new Gate(url, options)
}

const callerKeyOf = native.callerKeys([])

/** The key that a middleware uses: an identity, or where there is none the address. */
function callerKey(identity, address) {
  if (identity != null && typeof identity !== 'string')
    throw typeError('identity', 'a string', identity)
  if (address != null && typeof address !== 'string')
    throw typeError('address', 'a string', address)
  return callerKeyOf(address ?? '', undefined, identity ?? '')
}

module.exports = {
  connect,
  callerKey,
  version: native.version,
  Gate,
  Limiter,
  Decision,
  Part,
  ConfigError,
  StoreError,
  ClosedError,
}
