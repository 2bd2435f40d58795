// SPDX-License-Identifier: MIT
'use strict'

// What every middleware does with a request: whom to charge, one atomic check, the fields, the
// refusal.
const native = require('./native.js')
const { Gate } = require('./gate.js')
const { costOf } = require('./cost.js')
const { Limiter } = require('./limiter.js')
const { Lent } = require('./lent.js')
const { Passed } = require('./passed.js')
const { identityOf } = require('./keys.js')
const { optionPairs, spelledAs } = require('./options.js')
const { readOptions, rateText } = require('./middleware_options.js')
const { routeName, shortName } = require('./limit_names.js')
const { isTold, tell } = require('./warnings.js')
const { ConfigError, typeError } = require('./errors.js')

// What express-rate-limit says where nobody gave a message: for handler(), which sends it.
const MESSAGES = {
  429: 'Too many requests, please try again later.',
  503: 'Rate limits cannot be checked now, please try again later.',
}

// Without a store, all middleware of a process (or worker) share one gate per URL. It keeps nothing
// alive.
const sharedGates = new Map()

function gateOf(store) {
  if (typeof store === 'object') return store
  let gate = sharedGates.get(store)
  if (!gate || gate.closed) sharedGates.set(store, (gate = new Gate(store)))
  return gate
}

function isPreflight(req) {
  return (
    req.method === 'OPTIONS' &&
    req.headers.origin !== undefined &&
    req.headers['access-control-request-method'] !== undefined
  )
}

// More checks are out than may be: no mistake of the program.
function unavailable(error) {
  if (error?.code === 'TG_EFULL') error.status = error.statusCode = 503
  throw error
}

// Slots are given back by who took them, and a middleware does not know when that is.
function refuseSlots(limiter) {
  if (limiter.leaseMs !== undefined)
    throw new ConfigError(
      `limit ${limiter.name}: expected rates such as "5/minute", not slots; ` +
        'take those in the handler, with limiter.slot(key)',
      'TG_EID',
    )
}

/**
 * The check behind a middleware. `host` tells what frameworks do differently: address(req) of the
 * caller as the framework sees him, decided(req) whether somebody said whom to trust,
 * trustsAll(req) whether that is everybody, route(req, next) { owner, template } or undefined.
 */
class Checker {
  #items
  #shared
  #host
  #gate
  #lent
  #callerKey
  #names = new WeakMap() // by route: { method and template: name }

  constructor(given, host) {
    const { items, shared } = readOptions(given)
    this.#items = items
    this.#shared = shared
    this.#host = host
    const limiter = items.find((item) => item.limit instanceof Limiter)?.limit
    this.#gate = gateOf(shared.store ?? limiter?.gate)
    this.#lent = new Lent(this.#gate)
    const { trustedProxies, ipv6Prefix } = shared
    const options = { trustedProxies, ipv6Prefix }
    this.#callerKey = spelledAs(options, () => native.callerKeys(optionPairs(options).pairs))
    for (const item of items) {
      item.byRoute = new WeakMap()
      if (typeof item.limit === 'string')
        item.limiter = this.#gate.limiter(item.limit, item.settings)
      else if (item.limit instanceof Limiter) item.limiter = this.#own(item.limit)
      if (item.limiter) refuseSlots(item.limiter)
    }
  }

  #own(limiter) {
    if (limiter.gate === this.#gate) return limiter
    throw new ConfigError(
      `limit ${limiter.name}: expected a limiter of the gate that store, or another limit beside ` +
        'it, belongs to',
      'TG_EHANDLE',
    )
  }

  /**
   * Undefined: not limited. Else the decision; its fields are set on `res` if that still helps, and
   * of a denial what earlier checks took is given back.
   */
  async check(req, res, raw = res, next = undefined) {
    if (isPreflight(req) || (this.#shared.exempt && (await this.#shared.exempt(req))))
      return undefined
    const passed = Passed.of(raw)
    const parts = []
    const lent = []
    try {
      for (const item of this.#items) {
        if (item.skip && (await item.skip(req, res))) continue
        const limiter = await this.#limiterFor(item, req, res, next, lent)
        const key = await this.#keyFor(item, req, res)
        const cost = costOf(typeof item.cost === 'function' ? await item.cost(req, res) : item.cost)
        if (passed.meets(limiter, key)) parts.push([limiter, key, cost])
      }
      return parts.length === 0 ? undefined : await this.#ask(parts, passed, raw, lent.length > 0)
    } finally {
      for (const limiter of lent) this.#lent.giveBack(limiter)
    }
  }

  async #ask(parts, passed, raw, lent) {
    const gate = parts.length === 1 ? parts[0][0].gate : this.#gate
    const asked =
      parts.length === 1 ? parts[0][0].consume(parts[0][1], parts[0][2]) : gate.consume(parts)
    const decision = await asked.catch(unavailable)
    if (!raw.headersSent && !raw.destroyed) passed.setFields(raw, decision, this.#shared.flags)
    if (decision.allowed) {
      passed.charge(gate, parts, decision)
    } else {
      if (lent) decision.problem() // while it has its limiter's name
      if (!this.answersDenied || raw.headersSent || raw.destroyed) passed.giveBack()
    }
    return decision
  }

  async #limiterFor(item, req, res, next, lent) {
    if (typeof item.limit === 'function') return this.#limiterAsked(item, req, res, next, lent)
    const route =
      item.limit instanceof Limiter || item.settings.name !== undefined
        ? undefined
        : this.#host.route(req, next)
    if (!route) return item.limiter
    const name = this.#nameOf(req, route)
    let limiters = item.byRoute.get(route.owner)
    if (!limiters) item.byRoute.set(route.owner, (limiters = new Map()))
    let limiter = limiters.get(name)
    if (!limiter) limiters.set(name, (limiter = this.#openFixed(item, name)))
    return limiter
  }

  #nameOf({ method }, { owner, template }) {
    let names = this.#names.get(owner)
    if (!names) this.#names.set(owner, (names = new Map()))
    const id = `${method} ${template}`
    let name = names.get(id)
    if (!name) names.set(id, (name = routeName(method, template)))
    return name
  }

  async #limiterAsked(item, req, res, next, lent) {
    const limit = rateText(await item.limit(req, res), item.options)
    if (limit instanceof Limiter) return limit
    if (typeof limit !== 'string')
      throw typeError('limit()', 'a rate such as "5/minute" or a limiter', limit)
    const route = item.settings.name === undefined ? this.#host.route(req, next) : undefined
    const base = item.settings.name ?? (route && this.#nameOf(req, route))
    const limiter = this.#lent.take(`${base ?? ''} ${limit}`, () =>
      this.#openNumbered(base, (name) => this.#gate.lend(limit, { ...item.settings, name })),
    )
    lent.push(limiter)
    return limiter
  }

  // Rates that meet under one name are told apart by their numbers.
  #openFixed(item, name) {
    const open = (name) => this.#gate.limiter(item.limit, { ...item.settings, name })
    try {
      return open(name)
    } catch (error) {
      if (error.code !== 'TG_ECONFLICT') throw error
      return open(shortName(`${name}-${item.limiter.name}`))
    }
  }

  // Rates that change from request to request are as well.
  #openNumbered(base, open) {
    const byNumbers = open(undefined)
    if (base === undefined) return byNumbers
    try {
      return open(shortName(`${base}-${byNumbers.name}`))
    } finally {
      this.#gate.takeBack(byNumbers)
    }
  }

  async #keyFor(item, req, res) {
    const identity = item.key ? identityOf(await item.key(req, res)) : ''
    const forwarded = req.headers['x-forwarded-for']
    if (identity !== '') {
      this.#lookAtIdentity(req, identity, forwarded)
      return this.#callerKey('', undefined, identity)
    }
    if (this.#shared.trustedProxies !== undefined)
      return this.#callerKey(req.socket.remoteAddress ?? '', forwarded, '')
    this.#lookAtForwarded(req, forwarded)
    return this.#callerKey(this.#host.address(req) ?? '', undefined, '')
  }

  #lookAtIdentity(req, identity, forwarded) {
    if (identity === forwarded) tell('TIDEGATE_KEY_FORWARDED', this.#gate)
    else if (!isTold('TIDEGATE_KEY_ADDRESS') && identity === this.#host.address(req))
      tell('TIDEGATE_KEY_ADDRESS', this.#gate)
  }

  #lookAtForwarded(req, forwarded) {
    if (forwarded === undefined) {
      if (req.headers.forwarded !== undefined) tell('TIDEGATE_FORWARDED_UNREAD', this.#gate)
    } else if (!this.#host.decided(req)) {
      tell('TIDEGATE_FORWARDED', this.#gate)
    } else if (
      !isTold('TIDEGATE_TRUSTS_ALL') &&
      (this.#shared.trustsAll ??= this.#trustsAll(req))
    ) {
      tell('TIDEGATE_TRUSTS_ALL', this.#gate)
    }
  }

  #trustsAll(req) {
    try {
      return this.#host.trustsAll(req)
    } catch {
      return false // a function of the user's that this address was too much for
    }
  }

  get answersDenied() {
    return this.#shared.onDenied !== undefined || this.#shared.handler !== undefined
  }

  /**
   * The user's answer to a denial: onDenied with the decision, or handler as express-rate-limit
   * calls it. Where it lets the request go on by calling next, what was charged stays charged.
   */
  async onDenied(req, res, raw, decision, next = () => {}) {
    const passed = Passed.of(raw)
    const settle = () => passed.giveBack()
    raw.once('finish', settle).once('close', settle) // neither comes twice, or matters then
    const goOn = (error) => {
      if (!error) passed.keepCharges()
      return next(error)
    }
    const { onDenied, handler, given } = this.#shared
    if (onDenied) return onDenied(req, res, goOn, decision)
    const message = (await this.#messageFor(req, res, decision)) ?? MESSAGES[decision.status]
    return handler(req, res, goOn, { ...given, message, statusCode: decision.status })
  }

  // Replaces the body of a denial, not of a store that is away.
  async #messageFor(req, res, decision) {
    const message = decision.status === 429 ? this.#shared.message : undefined
    return typeof message === 'function' ? message(req, res) : message
  }

  /** The refusal: { status, type, body }. */
  async refusal(req, res, decision) {
    const { status } = decision
    const message = await this.#messageFor(req, res, decision)
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

module.exports = { Checker, send }
