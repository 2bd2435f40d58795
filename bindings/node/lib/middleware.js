// SPDX-License-Identifier: MIT
'use strict'

// What every middleware does with a request: whom to charge, one atomic check, the fields, the
// refusal.
const { createHash } = require('node:crypto')
const native = require('./native.js')
const { Gate } = require('./gate.js')
const { Limiter } = require('./limiter.js')
const { optionPairs } = require('./options.js')
const { readOptions, rateText } = require('./middleware_options.js')
const { typeError } = require('./errors.js')

// Without a store, all middleware of a process (or worker) share one gate per URL. It keeps nothing
// alive.
const sharedGates = new Map()

function gateOf(store) {
  if (typeof store === 'object') return store
  let gate = sharedGates.get(store)
  if (!gate || gate.closed) sharedGates.set(store, (gate = new Gate(store)))
  return gate
}

// What was done to one request so far, by all middleware it passed.
const PASSED = Symbol('tidegate')

class Passed {
  #keys = new Map()
  policies = []
  states = []
  tightest = Infinity

  // The same limit met twice on one request is charged once.
  charges(limiter, key) {
    const keys = this.#keys.get(limiter)
    if (!keys) this.#keys.set(limiter, [key])
    else if (keys.includes(key)) return false
    else keys.push(key)
    return true
  }
}

let warned = false

function warnOfForwarded() {
  if (warned) return
  warned = true
  process.emitWarning(
    'A request carries X-Forwarded-For, and nobody said whom to trust: every caller behind the ' +
      "proxy counts as one. Say app.set('trust proxy', 1) or rateLimit({ trustedProxies: 1 }) " +
      'with the number of proxies, or trustedProxies: 0 ' +
      'if there is none.',
    { type: 'TidegateWarning', code: 'TIDEGATE_FORWARDED' },
  )
}

// A route's limit is named as the Python middleware names it: GET and /items/{id} are
// "GET.items.-id-"; what does not fit, or would lose something, gets a digest.
function routeName(method, template) {
  const text = (method === 'HEAD' ? 'GET' : method) + template.replace(/:(\w+)/g, '{$1}')
  const plain = text.replace(/\//g, '.').replace(/[{}]/g, '-')
  const name = plain.replace(/[^A-Za-z0-9_.-]/gu, '_')
  if (name === plain && name.length <= 64) return name
  return `${name.slice(0, 55)}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

function isPreflight(req) {
  return (
    req.method === 'OPTIONS' &&
    req.headers.origin !== undefined &&
    req.headers['access-control-request-method'] !== undefined
  )
}

/**
 * The check behind a middleware. `host` tells what frameworks do differently: address(req) of the
 * caller as the framework sees him, decided(req) whether somebody said whom to trust, route(req)
 * { owner, template } or undefined.
 */
class Checker {
  #items
  #shared
  #host
  #gate
  #callerKey
  #limiters = new Map()

  constructor(given, host) {
    const { items, shared } = readOptions(given)
    this.#items = items
    this.#shared = shared
    this.#host = host
    const limiter = items.find((item) => item.limit instanceof Limiter)?.limit
    this.#gate = gateOf(shared.store ?? limiter?.gate)
    const { trustedProxies, ipv6Prefix } = shared
    this.#callerKey = native.callerKeys(optionPairs({ trustedProxies, ipv6Prefix }).pairs)
    for (const item of items) {
      item.byRoute = new WeakMap()
      if (typeof item.limit === 'string')
        item.limiter = this.#gate.limiter(item.limit, item.settings)
      else if (item.limit instanceof Limiter) item.limiter = item.limit
    }
  }

  get onDenied() {
    return this.#shared.onDenied
  }

  /** Undefined: not limited. Else the decision; its fields are set on `res` if that still helps. */
  async check(req, res, raw = res) {
    if (isPreflight(req) || (this.#shared.exempt && (await this.#shared.exempt(req))))
      return undefined
    const passed = (raw[PASSED] ??= new Passed())
    const parts = []
    for (const item of this.#items) {
      if (item.skip && (await item.skip(req, res))) continue
      const limiter =
        item.limiter && !this.#namedByRoute(item)
          ? item.limiter
          : await this.#limiterFor(item, req, res)
      const key = await this.#keyFor(item, req, res)
      const cost = typeof item.cost === 'function' ? await item.cost(req, res) : item.cost
      if (!passed.charges(limiter, key)) continue
      parts.push([limiter, key, cost])
    }
    if (parts.length === 0) return undefined
    const decision =
      parts.length === 1
        ? await parts[0][0].consume(parts[0][1], parts[0][2])
        : await this.#gate.consume(parts)
    if (!raw.headersSent && !raw.destroyed) this.#setFields(raw, decision, passed)
    return decision
  }

  #namedByRoute(item) {
    return typeof item.limit === 'string' && item.settings.name === undefined
  }

  async #limiterFor(item, req, res) {
    const route = this.#host.route(req)
    const fixed = typeof item.limit !== 'function'
    if (fixed && !route) return item.limiter
    if (fixed && item.byRoute.has(route.owner)) {
      const known = item.byRoute.get(route.owner).get(req.method)
      if (known) return known
    }
    const limit = fixed ? item.limit : rateText(await item.limit(req, res), item.options)
    if (limit instanceof Limiter) return limit
    if (typeof limit !== 'string')
      throw typeError('limit()', 'a rate such as "5/minute" or a limiter', limit)
    const base = item.settings.name ?? (route ? routeName(req.method, route.template) : undefined)
    const limiter = this.#open(limit, item, base, !fixed)
    if (fixed) {
      if (!item.byRoute.has(route.owner)) item.byRoute.set(route.owner, new Map())
      item.byRoute.get(route.owner).set(req.method, limiter)
    }
    return limiter
  }

  // One limiter per rate and name. Rates that change from request to request, or that meet under
  // one name, are told apart by their numbers.
  #open(rates, item, base, varying) {
    const id = `${base ?? ''} ${rates}`
    let limiter = this.#limiters.get(id)
    if (limiter) return limiter
    const byNumbers = this.#gate.limiter(rates, { ...item.settings, name: undefined })
    const told = (name) => this.#gate.limiter(rates, { ...item.settings, name })
    if (base === undefined) {
      limiter = byNumbers
    } else if (varying) {
      limiter = told(`${base}-${byNumbers.name}`.slice(-64))
    } else {
      try {
        limiter = told(base)
      } catch (error) {
        if (error.code !== 'TG_ECONFLICT') throw error
        limiter = told(`${base}-${byNumbers.name}`.slice(-64))
      }
    }
    this.#limiters.set(id, limiter)
    return limiter
  }

  async #keyFor(item, req, res) {
    let identity = item.key ? await item.key(req, res) : undefined
    if (typeof identity === 'number' || typeof identity === 'bigint') identity = String(identity)
    if (identity != null && typeof identity !== 'string')
      throw typeError('key()', 'a string, or nothing for the address', identity)
    if (identity) return this.#callerKey('', undefined, identity)
    const forwarded = req.headers['x-forwarded-for']
    if (this.#shared.trustedProxies !== undefined)
      return this.#callerKey(req.socket.remoteAddress ?? '', forwarded, '')
    if (forwarded !== undefined && !warned && !this.#host.decided(req)) warnOfForwarded()
    return this.#callerKey(this.#host.address(req) ?? '', undefined, '')
  }

  // Several middleware on one request: the standard fields are lists, the legacy ones speak of the
  // tightest limit.
  #setFields(raw, decision, passed) {
    const tightest = !decision.allowed || (decision.remaining ?? Infinity) < passed.tightest
    if (tightest) passed.tightest = decision.allowed ? (decision.remaining ?? Infinity) : -1
    for (const [name, value] of decision.headerPairs(this.#shared.flags)) {
      const list =
        name === 'RateLimit-Policy' ? passed.policies : name === 'RateLimit' ? passed.states : null
      if (list) {
        list.push(value)
        raw.setHeader(name, list.join(', '))
      } else if (tightest || !raw.hasHeader(name)) {
        raw.setHeader(name, value)
      }
    }
  }

  /** The refusal: { status, type, body }. */
  async refusal(req, res, decision) {
    const status = decision.status
    let message = status === 429 ? this.#shared.message : undefined
    if (typeof message === 'function') message = await message(req, res)
    if (message == null)
      return { status, type: 'application/problem+json', body: decision.problem() }
    if (typeof message === 'string')
      return { status, type: 'text/plain; charset=utf-8', body: message }
    return { status, type: 'application/json', body: JSON.stringify(message) }
  }
}

/** Writes a refusal to a plain response. */
function send(res, { status, type, body }) {
  res.statusCode = status
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}

module.exports = { Checker, send, routeName }
