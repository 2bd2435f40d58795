// SPDX-License-Identifier: MIT
'use strict'

// Requests and responses of the web standard: Hono, Next.js route handlers, Bun, Deno, workers.
const { Checker } = require('./middleware.js')
const { Exchange } = require('./exchange.js')
const { ConfigError, typeError } = require('./errors.js')
const { aboutOf, peerOf, watched, withFields } = require('./web_message.js')

/** The last step of the outermost middleware of a request. */
function finished(exchange, response, method, args) {
  const told = withFields(response, exchange.pairs ?? [])
  const end = () => exchange.finish(response.status, ...args)
  if (!exchange.mustFinish) return told
  // Nobody reads the body of an answer to HEAD, nor cancels it.
  if (told.body && method !== 'HEAD') return new Response(watched(told.body, end), told)
  end()
  return told
}

// What is done with one request: { request, args, peer, place }, args being for the application's
// functions. `next` resolves to its response.
async function limited(checker, { request, args, peer, place }, next) {
  const outermost = !Exchange.has(request)
  const exchange = Exchange.of(request)
  let response
  try {
    response = await answered(checker, exchange, aboutOf(request, peer, place), args, next)
  } catch (error) {
    exchange.finish(500, ...args)
    throw error
  }
  return outermost ? finished(exchange, response, request.method, args) : response
}

async function answered(checker, exchange, about, args, next) {
  let decision
  try {
    decision = await checker.ask(about, args, exchange)
  } catch (error) {
    const response = await checker.onError?.(args[0], next, error)
    if (response === undefined) throw error
    return response
  }
  if (decision) {
    exchange.pairs = decision.fieldPairs()
    exchange.decision = decision
  }
  if (!decision || decision.allowed) return next(decision)
  if (checker.answersDenied) {
    const goOn = (error) => {
      if (error) throw error
      return next(decision)
    }
    const response = await checker.onDenied(args.slice(0, 1), exchange, decision, goOn)
    if (response !== undefined) return response
  }
  const { status, type, body } = await checker.refusal(args, decision)
  const text = about.method === 'HEAD' ? null : body
  return new Response(text, { status, headers: { 'content-type': type } })
}

// [the checker, the address option]
function read(options) {
  let address
  const others = options.flat().map((one) => {
    if (one?.handler !== undefined)
      throw new ConfigError('handler: expected onDenied(request, next, decision) here')
    if (one?.address === undefined) return one
    if (typeof one.address !== 'function') throw typeError('address', 'a function', one.address)
    const { address: own, ...rest } = one
    address = own
    return rest
  })
  return [new Checker(others), address]
}

/**
 * (request, next, ...context) => the response. next(decision) makes it; key and the like are called
 * with (request, ...context).
 */
function rateLimit(...options) {
  const [checker, address = peerOf] = read(options)
  return async function limit(request, next, ...context) {
    if (typeof request?.headers?.get !== 'function')
      throw typeError('request', 'a Request of the web standard', request)
    const peer = await address(request, ...context)
    return limited(checker, { request, args: [request, ...context], peer }, next)
  }
}

/** The decision of the last limit that a request met, for its handler. */
function decisionOf(request) {
  return Exchange.has(request) ? Exchange.of(request).decision : undefined
}

/** A handler (request, ...context) => Response with limits before it. */
function withRateLimit(options, handler) {
  const limit = rateLimit(...(Array.isArray(options) ? options : [options]))
  return (request, ...context) =>
    limit(request, async () => handler(request, ...context), ...context)
}

function placeInHono(c, owner) {
  const path = c.req.routePath ?? ''
  const mount = path.endsWith('*') ? path.replace(/\/?\*$/, '') : undefined
  if (mount === undefined)
    return path ? { owner, mount: '', method: c.req.method, template: path } : undefined
  return mount ? { owner, mount, method: '', template: '' } : undefined
}

/** A middleware of Hono, (c, next): the functions get c. The decision is c.get('rateLimit'). */
function hono(...options) {
  const [checker, address] = read(options)
  return async function rateLimitMiddleware(c, next) {
    let passed = false
    const peer = await (address ? address(c) : peerOf(c.req.raw, c.env))
    const about = { request: c.req.raw, args: [c], peer, place: placeInHono(c, checker) }
    const response = await limited(checker, about, async (decision) => {
      passed = true
      if (decision) c.set('rateLimit', decision)
      await next()
      return c.res
    })
    if (!passed) return response
    if (response !== c.res) c.res = response
    return undefined
  }
}

module.exports = { decisionOf, hono, rateLimit, withRateLimit }
