// SPDX-License-Identifier: MIT
'use strict'

const { Checker, send } = require('./middleware.js')
const { mountOf } = require('./express_route.js')

// A route that called next() is still in req.route where the application's next middleware runs.
// That one was handed the router's own next(); what stands in a route never is.
function standsInRoute(req, next, middleware) {
  if (!Array.isArray(req.route?.stack)) return false // or another framework's route
  return req.route.stack.some(({ handle }) => handle === middleware) || next !== req.next
}

function trustsAll(req) {
  const trusts = req.app?.settings?.['trust proxy fn']
  return typeof trusts === 'function' && trusts('192.0.2.1', 1000) === true
}

function hostOf(middleware) {
  return {
    address: (req) => req.ip ?? req.socket.remoteAddress,
    // Express marks the setting as its own default until somebody sets it.
    decided: (req) => req.app?.settings?.['@@symbol:trust_proxy_default'] === false,
    trustsAll,
    route: (req, next) =>
      standsInRoute(req, next, middleware)
        ? { owner: req.route, template: `${mountOf(req)}${req.route.path}` }
        : undefined,
  }
}

// next() of anything falsy, 'route' or 'router' goes on: what was thrown must not.
function failed(thrown) {
  return thrown && thrown !== 'route' && thrown !== 'router'
    ? thrown
    : new Error('a function of rateLimit threw what is no Error', { cause: thrown })
}

/** Express (4, 5) and anything that takes (req, res, next). */
function rateLimit(...options) {
  const checker = new Checker(options, hostOf(rateLimitMiddleware))
  async function limit(req, res, next) {
    const decision = await checker.check(req, res, res, next)
    if (decision === undefined) return next
    req.rateLimit = decision
    if (res.destroyed || res.headersSent) return undefined
    if (decision.allowed) return next
    if (checker.answersDenied) return () => checker.onDenied(req, res, res, decision, next)
    const refusal = await checker.refusal(req, res, decision)
    if (!res.destroyed && !res.headersSent) send(res, refusal)
    return undefined
  }
  // What comes after runs outside of the promise: what it throws is Express's to handle, not ours.
  function rateLimitMiddleware(req, res, next) {
    const fail = (error) => next(failed(error))
    limit(req, res, next).then((go) => {
      if (!go) return
      try {
        Promise.resolve(go()).catch(fail)
      } catch (error) {
        fail(error)
      }
    }, fail)
  }
  return rateLimitMiddleware
}

module.exports = { rateLimit }
module.exports.default = rateLimit
