// SPDX-License-Identifier: MIT
'use strict'

const { Checker, send } = require('./middleware.js')

const host = {
  address: (req) => req.socket.remoteAddress,
  decided: () => false,
  route: () => undefined,
}

/** (req, res) => Promise of whether to go on; where not, the response has been sent. */
function rateLimit(...options) {
  const checker = new Checker(options, host)
  return async function check(req, res) {
    const decision = await checker.check(req, res)
    if (decision === undefined) return true
    req.rateLimit = decision
    if (res.destroyed || res.headersSent) return false
    if (decision.allowed) return true
    if (checker.onDenied) await checker.onDenied(req, res, () => {}, decision)
    else send(res, await checker.refusal(req, res, decision))
    return false
  }
}

/** A listener of http.createServer with limits before it. An error in either is answered 500. */
function withRateLimit(options, listener) {
  const check = rateLimit(...(Array.isArray(options) ? options : [options]))
  return async function limited(req, res) {
    try {
      if (await check(req, res)) await listener(req, res)
    } catch (error) {
      process.emitWarning(error)
      if (!res.headersSent)
        send(res, { status: 500, type: 'text/plain; charset=utf-8', body: 'Internal Server Error' })
      else res.destroy()
    }
  }
}

module.exports = { rateLimit, withRateLimit }
