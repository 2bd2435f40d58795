// SPDX-License-Identifier: MIT
'use strict'

const { Checker } = require('./middleware.js')
const { ConfigError, typeError } = require('./errors.js')

const FAR = Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`)

// Fastify does not show its trustProxy. Whoever it is that trusts this many hops trusts all.
function trustsAll(request) {
  if (request.ips === undefined) return false
  const socket = { remoteAddress: '192.0.2.99' }
  const raw = { headers: { 'x-forwarded-for': FAR.join(', ') }, socket, connection: socket }
  return Object.create(request, { raw: { value: raw } }).ips.length > FAR.length
}

const host = {
  address: (request) => request.ip,
  // Fastify lists the hops only where trustProxy was set.
  decided: (request) => request.ips !== undefined,
  trustsAll,
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
    if (checker.answersDenied) {
      await checker.onDenied(request, reply, reply.raw, decision)
      return reply
    }
    const { status, type, body } = await checker.refusal(request, reply, decision)
    // As text it would get a charset of Fastify's.
    return reply.code(status).header('content-type', type).send(Buffer.from(body))
  }
}

// What @fastify/rate-limit reads is not read here: a route that counts on it would be unlimited.
function refuseConfig({ method, url, config }) {
  if (config?.rateLimit === undefined) return
  throw new ConfigError(
    `route ${method} ${url}: config.rateLimit is @fastify/rate-limit's and not read here; expected ` +
      "onRequest: routeRateLimit({ limit: '5/minute' }) of tidegate/fastify, " +
      'or to let a route go unlimited exempt or skip',
    'TG_EOPTION',
  )
}

/**
 * A plugin: app.register(rateLimit, { limit: '100/minute' }).
 * Several, checked together: { limits: [{...}, {...}] }.
 */
async function rateLimit(app, { prefix, logLevel, logSerializers, limits, ...options }) {
  if (limits !== undefined && !Array.isArray(limits))
    throw typeError('limits', 'an array of objects of options', limits)
  if (limits !== undefined && Object.keys(options).length > 0)
    throw new ConfigError(
      `${Object.keys(options).join(', ')}: expected in one of the limits, not beside them`,
      'TG_EOPTION',
    )
  app.addHook('onRequest', hook(limits ?? [options], false))
  app.addHook('onRoute', refuseConfig)
}
rateLimit[Symbol.for('skip-override')] = true
rateLimit[Symbol.for('fastify.display-name')] = 'tidegate'

/** For one route: app.get('/', { onRequest: routeRateLimit({ limit: '5/minute' }) }, handler). */
function routeRateLimit(...options) {
  return hook(options, true)
}

module.exports = { rateLimit, routeRateLimit }
module.exports.default = rateLimit
