// SPDX-License-Identifier: MIT
'use strict'

// What every middleware does with a request: its attributes for the guard, one check, and what the
// guard says of the answer.
const native = require('./native.js')
const { Gate } = require('./gate.js')
const { addAttributes } = require('./attributes.js')
const { costOf } = require('./cost.js')
const { Limiter } = require('./limiter.js')
const { Exchange } = require('./exchange.js')
const { NodeFields } = require('./fields.js')
const { identityOf } = require('./keys.js')
const { readOptions, rateText } = require('./middleware_options.js')
const { optionPairs, spelledAs } = require('./options.js')
const { lookAtForwarded, lookAtIdentity } = require('./warnings.js')
const { ConfigError, typeError } = require('./errors.js')

// What express-rate-limit says where nobody gave a message: for handler(), which sends it.
const MESSAGES = {
  403: 'This caller is banned.',
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

// More checks are out than may be: no mistake of the program.
function unavailable(error) {
  if (error?.code === 'TG_EFULL') error.status = error.statusCode = 503
  throw error
}

/**
 * The check behind a middleware. What adapters tell it of a request, `about`:
 *   method, path, route, host, origin, requestedMethod, forwarded, peer   texts, or undefined
 *   spelling    the path as it came, where `path` is how it is routed
 *   address     the caller's, where the framework was told whom to trust; trustsAll(): everybody?
 *   place       { owner, mount, method, template }: where a limit without a name stands
 */
class Checker {
  #items
  #shared
  #gate
  #guards = new WeakMap() // by gate
  #names = new WeakMap() // by a place's owner: { place: name }

  constructor(given) {
    const { items, shared } = readOptions(given)
    this.#items = items
    this.#shared = shared
    const limiter = items.find((item) => item.limit instanceof Limiter)?.limit
    this.#gate = gateOf(shared.store ?? limiter?.gate)
    const { trustedProxies, ipv6Prefix } = shared
    const options = { trustedProxies, ipv6Prefix }
    spelledAs(options, () => native.callerKeys(optionPairs(options).pairs))
    this.#guardOf(this.#gate)
    for (const item of items) {
      if (item.limit instanceof Limiter) this.#own(item.limit)
      else if (typeof item.limit === 'string' && item.name !== undefined)
        item.limit = this.#gate.limiter(item.limit, { ...item.settings, name: item.name })
    }
  }

  #guardOf(gate) {
    let guard = this.#guards.get(gate)
    if (guard === undefined) this.#guards.set(gate, (guard = gate.guard(this.#shared.guard)))
    return guard
  }

  #own(limiter) {
    if (limiter.gate === this.#gate) return limiter
    throw new ConfigError(
      `limit ${limiter.name}: expected a limiter of the gate that store, or another limit beside ` +
        'it, belongs to',
      'TG_EHANDLE',
    )
  }

  /** Undefined: no limit was asked. Else the decision. `args`: for the application's functions. */
  async ask(about, args, exchange) {
    if (this.#shared.exempt && (await this.#shared.exempt(...args))) return undefined
    const texts = ['method', about.method, 'path', about.path]
    this.#addAbout(texts, about)
    let gate = this.#gate
    // The application's functions are not asked of what the guard will exempt anyway.
    if (this.#addExempt(texts, about) || (about.origin && about.requestedMethod)) {
      for (const item of this.#items)
        if (typeof item.limit === 'string') this.#addRates(texts, item, item.limit, about)
    } else {
      const limits = await this.#limits(args)
      gate = this.#gateFor(limits)
      await this.#addCaller(texts, about, args)
      for (const limit of limits) await this.#addLimit(texts, limit, about, args)
    }
    const decision = await this.#check(gate, exchange.scope(gate), texts)
    if (decision.verdict === 'exempt') return undefined
    exchange.note(gate, decision, this.#shared.settle)
    return decision.asked || !decision.allowed ? decision : undefined
  }

  async #check(gate, scope, texts) {
    try {
      return await gate.askGuard(this.#guardOf(gate), scope, texts)
    } catch (error) {
      return unavailable(error)
    }
  }

  #addAbout(texts, about) {
    if (about.host) texts.push('host', about.host)
    if (about.route) texts.push('route', about.route)
    if (about.origin) texts.push('@origin', about.origin)
    if (about.requestedMethod) texts.push('@requested_method', about.requestedMethod)
    if (about.address !== undefined && this.#shared.trustedProxies === undefined) {
      texts.push('address', about.address)
    } else {
      if (about.peer) texts.push('@peer', about.peer)
      if (about.forwarded) texts.push('@forwarded_for', about.forwarded)
    }
  }

  #addExempt(texts, { path, spelling = path }) {
    const { exemptPaths } = this.#shared
    const exempt = [path, spelling].find((one) => exemptPaths.has(one))
    if (exempt === undefined) return false
    texts.push('@exempt', exempt, '@path', spelling)
    return true
  }

  async #addCaller(texts, about, args) {
    const { identity, tier, attributes, trustedProxies } = this.#shared
    const who = identity ? identityOf(await identity(...args), `${this.#shared.identityIs}()`) : ''
    if (who !== '') {
      addAttributes(texts, { identity: who })
      lookAtIdentity(this.#gate, who, about)
    } else if (trustedProxies === undefined) {
      lookAtForwarded(this.#gate, this.#shared, about)
    }
    const named = typeof tier === 'function' ? await tier(...args) : tier
    if (named) addAttributes(texts, { tier: named })
    addAttributes(
      texts,
      typeof attributes === 'function' ? await attributes(...args) : attributes,
      'attributes()',
    )
  }

  // [{ item, limit }]: a rate or a limiter of each that is not skipped.
  async #limits(args) {
    const limits = []
    for (const item of this.#items) {
      if (item.skip && (await item.skip(...args))) continue
      let { limit } = item
      if (typeof limit === 'function') limit = rateText(await limit(...args), item.options)
      if (typeof limit !== 'string' && !(limit instanceof Limiter))
        throw typeError('limit()', 'a rate such as "5/minute" or a limiter', limit)
      limits.push({ item, limit })
    }
    return limits
  }

  // That of the only limiter counts where no store was given.
  #gateFor(limits) {
    const limiters = limits.map(({ limit }) => limit).filter((limit) => limit instanceof Limiter)
    if (this.#items.length === 1 && limiters.length === 1 && this.#shared.store === undefined)
      return limiters[0].gate
    for (const limiter of limiters) this.#own(limiter)
    return this.#gate
  }

  // What it is called must not depend on which request comes first: the exempt open it as well.
  #addRates(texts, item, limit, about) {
    texts.push('@limit', limit, ...item.texts)
    if (item.name === undefined && about.place) texts.push('@place', this.#placeOf(about.place))
  }

  async #addLimit(texts, { item, limit }, about, args) {
    if (limit instanceof Limiter) texts.push('@limiter', String(limit.number))
    else this.#addRates(texts, item, limit, about)
    if (item.key !== undefined) {
      const key = item.key === null ? '' : identityOf(await item.key(...args))
      if (key !== '') lookAtIdentity(this.#gate, key, about)
      texts.push('@key', key)
    }
    const cost = costOf(typeof item.cost === 'function' ? await item.cost(...args) : item.cost)
    if (cost !== 1) texts.push('@cost', String(cost))
  }

  #placeOf({ owner, mount, method, template }) {
    let names = this.#names.get(owner)
    if (!names) this.#names.set(owner, (names = new Map()))
    const id = `${method} ${mount} ${template}`
    let name = names.get(id)
    if (!name) names.set(id, (name = native.placeName(mount, method, template)))
    return name
  }

  /**
   * The same of a response of node:http: its fields are set if that still helps, and its end
   * settles what there is to settle. Of a denial that we answer that is now.
   */
  async askNode(about, args, raw) {
    const exchange = Exchange.of(raw)
    const decision = await this.ask(about, args, exchange)
    const open = !raw.headersSent && !raw.destroyed
    if (decision && open) {
      exchange.fields ??= new NodeFields(raw)
      exchange.fields.set(decision.fieldPairs())
    }
    if (!exchange.mustFinish) return decision
    if (!decision || decision.allowed || (this.answersDenied && open))
      this.#watch(exchange, raw, args)
    else exchange.finish(decision.status)
    return decision
  }

  #watch(exchange, raw, args) {
    if (exchange.watched) return
    exchange.watched = true
    const end = () => exchange.finish(raw.headersSent ? raw.statusCode : undefined, ...args)
    if (raw.destroyed) end()
    else raw.once('finish', end).once('close', end)
  }

  get answersDenied() {
    return this.#shared.onDenied !== undefined || this.#shared.handler !== undefined
  }
  get onError() {
    return this.#shared.onError
  }

  /**
   * The user's answer to a denial: onDenied with the decision, or handler as express-rate-limit
   * calls it. Where it lets the request go on by calling next, what was charged stays charged.
   */
  async onDenied(args, exchange, decision, next) {
    const goOn = (error) => {
      if (!error) exchange.goesOn()
      return next(error)
    }
    const { onDenied, handler, given } = this.#shared
    if (onDenied) return onDenied(...args, goOn, decision)
    const message = (await this.#messageFor(args, decision)) ?? MESSAGES[decision.status]
    return handler(...args, goOn, { ...given, message, statusCode: decision.status })
  }

  // Replaces the body of a denial, not of a ban, or of a store that is away.
  async #messageFor(args, decision) {
    const message = decision.status === 429 ? this.#shared.message : undefined
    return typeof message === 'function' ? message(...args) : message
  }

  /** The refusal: { status, type, body }. */
  async refusal(args, decision) {
    const { status } = decision
    const message = await this.#messageFor(args, decision)
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
