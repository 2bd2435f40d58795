// SPDX-License-Identifier: MIT
'use strict'

const { Checker } = require('./middleware.js')

const host = {
  address: (request) => request.ip,
  // Fastify lists the hops only where trustProxy was set.
  decided: (request) => request.ips !== undefined,
  route: (request) =>
    request.routeOptions?.url && {
      owner: request.routeOptions.config,
      template: request.routeOptions.url,
    },
}

function hook(options, byRoute) {
  const checker = new Checker(options, byRoute ? host : { ...host, route: () => undefined })
  return async function rateLimitHook(request, reply) {
    const decision = await checker.check(request, reply, reply.raw)
    if (decision === undefined) return undefined
    request.rateLimit = decision
    if (reply.raw.destroyed || decision.allowed) return undefined
    if (checker.onDenied) {
      await checker.onDenied(request, reply, () => {}, decision)
      return reply
    }
    const { status, type, body } = await checker.refusal(request, reply, decision)
    // As text it would get a charset of Fastify's.
    return reply.code(status).header('content-type', type).send(Buffer.from(body))
  }
}

/**
 * A plugin: app.register(rateLimit, { limit: '100/minute' }).
 * Several, checked together: { limits: [{...}, {...}] }.
 */
async function rateLimit(app, { prefix, logLevel, logSerializers, limits, ...options }) {
  app.addHook('onRequest', hook(limits ?? [options], false))
}
rateLimit[Symbol.for('skip-override')] = true
rateLimit[Symbol.for('fastify.display-name')] = 'tidegate'

/** For one route: app.get('/', { onRequest: routeRateLimit({ limit: '5/minute' }) }, handler). */
function routeRateLimit(...options) {
  return hook(options, true)
}

module.exports = { rateLimit, routeRateLimit }
module.exports.default = rateLimit
