// SPDX-License-Identifier: MIT
'use strict'

const { Checker } = require('./middleware.js')
const { Exchange } = require('./exchange.js')
const { aboutOf } = require('./node_request.js')
const { ConfigError, typeError } = require('./errors.js')

const FAR = Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`)

// Fastify does not show its trustProxy. Whoever it is that trusts this many hops trusts all.
function trustsAll(request) {
  if (request.ips === undefined) return false
  const socket = { remoteAddress: '192.0.2.99' }
  const raw = { headers: { 'x-forwarded-for': FAR.join(', ') }, socket, connection: socket }
  return Object.create(request, { raw: { value: raw } }).ips.length > FAR.length
}

function describe(request, place) {
  const about = aboutOf(request.raw, request.raw.url)
  const { caseSensitive, useSemicolonDelimiter } = routing(request.server?.initialConfig)
  about.spelling = about.path
  if (useSemicolonDelimiter) about.path = about.path.split(';', 1)[0]
  if (caseSensitive === false) about.path = about.path.toLowerCase()
  about.route = request.routeOptions?.url
  // Fastify lists the hops only where trustProxy was set.
  if (request.ips !== undefined) {
    about.address = request.ip
    about.trustsAll = () => trustsAll(request)
  }
  about.place = place(request)
  return about
}

// How the router compares paths; where that is told has changed.
function routing(config) {
  return { ...config, ...config?.routerOptions }
}

function placeOfRoute({ method, routeOptions }) {
  return (
    routeOptions?.url && {
      owner: routeOptions.config,
      mount: '',
      method,
      template: routeOptions.url,
    }
  )
}

function hook(options, place) {
  const checker = new Checker(options)
  // What a function of the user's leaves: undefined where it called next() to go on.
  async function answer(reply, work) {
    let goes = false
    await work((error) => {
      if (error) throw error
      goes = true
    })
    return goes ? undefined : reply
  }

  async function limit(request, reply) {
    const args = [request, reply]
    const decision = await checker.askNode(describe(request, place), args, reply.raw)
    if (decision === undefined) return undefined
    request.rateLimit = decision
    if (reply.raw.destroyed || decision.allowed) return undefined
    if (checker.answersDenied)
      return answer(reply, (next) => checker.onDenied(args, Exchange.of(reply.raw), decision, next))
    const { status, type, body } = await checker.refusal(args, decision)
    // As text it would get a charset of Fastify's.
    return reply.code(status).header('content-type', type).send(Buffer.from(body))
  }

  return async function rateLimitHook(request, reply) {
    if (!checker.onError) return limit(request, reply)
    try {
      return await limit(request, reply)
    } catch (error) {
      return answer(reply, (next) => checker.onError(request, reply, next, error))
    }
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
  const place = app.prefix && { owner: app, mount: app.prefix, method: '', template: '' }
  app.addHook(
    'onRequest',
    hook(limits ?? [options], () => place || undefined),
  )
  app.addHook('onRoute', refuseConfig)
}
rateLimit[Symbol.for('skip-override')] = true
rateLimit[Symbol.for('fastify.display-name')] = 'tidegate'

/** For one route: app.get('/', { onRequest: routeRateLimit({ limit: '5/minute' }) }, handler). */
function routeRateLimit(...options) {
  return hook(options, placeOfRoute)
}

module.exports = { rateLimit, routeRateLimit }
module.exports.default = rateLimit
