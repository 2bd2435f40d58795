// SPDX-License-Identifier: MIT
'use strict'

const { Checker, send } = require('./middleware.js')
const { Exchange } = require('./exchange.js')
const { UNMATCHED, mountOf } = require('./express_route.js')
const { aboutOf } = require('./node_request.js')

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

function placeOf(req, next, middleware) {
  if (standsInRoute(req, next, middleware))
    return {
      owner: req.route,
      mount: mountOf(req, req.route, ({ route }) => route === req.route) ?? UNMATCHED,
      method: req.method,
      template: String(req.route.path),
    }
  const mount = mountOf(req, middleware, ({ handle }) => handle === middleware)
  return mount ? { owner: middleware, mount, method: '', template: '' } : undefined
}

function describe(req, next, middleware) {
  const about = aboutOf(req, req.originalUrl ?? req.url)
  const settings = req.app?.settings
  // The spelling that routes is the spelling that counts.
  if (settings && !settings['case sensitive routing']) {
    about.spelling = about.path
    about.path = about.path.toLowerCase()
  }
  // Express marks the setting as its own default until somebody sets it.
  if (settings?.['@@symbol:trust_proxy_default'] === false) {
    about.address = req.ip
    about.trustsAll = () => trustsAll(req)
  }
  about.place = placeOf(req, next, middleware)
  if (about.place && about.place.owner === req.route)
    about.route = about.place.mount + about.place.template
  return about
}

// next() of anything falsy, 'route' or 'router' goes on: what was thrown must not.
function failed(thrown) {
  return thrown && thrown !== 'route' && thrown !== 'router'
    ? thrown
    : new Error('a function of rateLimit threw what is no Error', { cause: thrown })
}

/** Express (4, 5) and anything that takes (req, res, next). */
function rateLimit(...options) {
  const checker = new Checker(options)
  async function limit(req, res, next) {
    const about = describe(req, next, rateLimitMiddleware)
    const decision = await checker.askNode(about, [req, res], res)
    if (decision === undefined) return next
    req.rateLimit = decision
    if (res.destroyed || res.headersSent) return undefined
    if (decision.allowed) return next
    if (checker.answersDenied)
      return () => checker.onDenied([req, res], Exchange.of(res), decision, next)
    const refusal = await checker.refusal([req, res], decision)
    if (!res.destroyed && !res.headersSent) send(res, refusal)
    return undefined
  }
  // What comes after runs outside of the promise: what it throws is Express's to handle, not ours.
  function rateLimitMiddleware(req, res, next) {
    const fail = (error) => next(failed(error))
    const run = (go) => {
      if (!go) return
      try {
        Promise.resolve(go()).catch(fail)
      } catch (error) {
        fail(error)
      }
    }
    const { onError } = checker
    limit(req, res, next).then(run, (error) =>
      onError ? run(() => onError(req, res, next, error)) : fail(error),
    )
  }
  return rateLimitMiddleware
}

module.exports = { rateLimit }
module.exports.default = rateLimit
