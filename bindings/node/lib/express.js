// SPDX-License-Identifier: MIT
'use strict'

const { Checker, send } = require('./middleware.js')

const host = {
  address: (req) => req.ip ?? req.socket.remoteAddress,
  // Express marks the setting as its own default until somebody sets it.
  decided: (req) => req.app?.settings?.['@@symbol:trust_proxy_default'] === false,
  route: (req) =>
    req.route && { owner: req.route, template: `${req.baseUrl ?? ''}${req.route.path}` },
}

/** Express (4, 5) and anything that takes (req, res, next). */
function rateLimit(...options) {
  const checker = new Checker(options, host)
  async function limit(req, res, next) {
    const decision = await checker.check(req, res)
    if (decision === undefined) return next
    req.rateLimit = decision
    if (res.destroyed || res.headersSent) return undefined
    if (decision.allowed) return next
    if (checker.onDenied) return () => checker.onDenied(req, res, next, decision)
    const refusal = await checker.refusal(req, res, decision)
    if (!res.destroyed && !res.headersSent) send(res, refusal)
    return undefined
  }
  // What comes after runs outside of the promise: what it throws is Express's to handle, not ours.
  return function rateLimitMiddleware(req, res, next) {
    limit(req, res, next).then((go) => {
      if (!go) return
      try {
        Promise.resolve(go()).catch(next)
      } catch (error) {
        next(error)
      }
    }, next)
  }
}

module.exports = { rateLimit }
module.exports.default = rateLimit
