// SPDX-License-Identifier: MIT
'use strict'

// What the options of a middleware say, under whichever of their names; all of it is checked when
// the app starts.
const { Gate } = require('./gate.js')
const { addAttributes } = require('./attributes.js')
const { costOf } = require('./cost.js')
const { Limiter } = require('./limiter.js')
const { styleFlags } = require('./decision.js')
const { ConfigError, typeError, show } = require('./errors.js')
const { isPlain, unknownName } = require('./names.js')

const OWN = [
  'limit',
  'name',
  'algorithm',
  'mode',
  'onFailure',
  'lease',
  'key',
  'cost',
  'skip',
  'max',
  'windowMs',
  'points',
  'duration',
  'requestsPerMinute',
  'capacity',
  'identifier',
  'keyGenerator',
]
// Which numbers a window or burst belongs to.
const BESIDE = {
  windowMs: 'limit or max as a number, or as a function that returns one',
  duration: 'points',
  capacity: 'requestsPerMinute, points, or limit or max as a number',
}
const SETTINGS = ['algorithm', 'mode', 'onFailure', 'lease']
const STANDARD_HEADERS = [true, false, 'draft-8', 'draft-10']
const SHARED = [
  'store',
  'policy',
  'identity',
  'tier',
  'attributes',
  'settle',
  'exempt',
  'message',
  'headers',
  'standardHeaders',
  'legacyHeaders',
  'onDenied',
  'onError',
  'handler',
  'trustedProxies',
  'ipv6Prefix',
]

let scratch // where rates are tried out

function count(name, value, least = 1) {
  if (typeof value !== 'number') throw typeError(name, 'a number', value)
  if (!Number.isSafeInteger(value) || value < least)
    throw new ConfigError(`${name} ${value}: expected an integer of ${least} or more`, 'TG_ERATE')
  return value
}

function callable(name, value) {
  if (value === undefined || typeof value === 'function') return value
  throw typeError(name, 'a function', value)
}

// The first of several names of one option that is given.
function pick(options, ...names) {
  const given = names.filter((name) => options[name] !== undefined)
  if (given.length > 1)
    throw new ConfigError(`${given.join(' and ')}: expected one of them, they mean the same`)
  return given.length ? options[given[0]] : undefined
}

function windowOf(options) {
  return options.windowMs === undefined ? '60000ms' : `${count('windowMs', options.windowMs)}ms`
}

// A rate as text: from a text, or from a number and the window beside it.
function rateText(limit, options) {
  return typeof limit === 'number' ? `${count('limit', limit)}/${windowOf(options)}` : limit
}

// What says the window or burst of another option, and is given without it.
function refuseStray(options, ...names) {
  for (const name of names)
    if (options[name] !== undefined)
      throw new ConfigError(
        `${name} ${show(options[name])}: expected beside ${BESIDE[name]}; ` +
          'a rate says all of it, as "5/minute burst 10"',
        'TG_EOPTION',
      )
}

function limitOf(options) {
  const burst =
    options.capacity === undefined ? '' : ` burst ${count('capacity', options.capacity)}`
  const { limit, max, points, requestsPerMinute } = options
  const given = Object.entries({ limit, max, points, requestsPerMinute }).filter(
    ([, value]) => value !== undefined,
  )
  if (given.length !== 1)
    throw new ConfigError(
      'limit: expected one of limit, max, points and requestsPerMinute' +
        (given.length ? `, not ${given.map(([name]) => name).join(' and ')}` : ''),
      'TG_ERATE',
    )
  const [name, value] = given[0]
  if (name === 'points') {
    refuseStray(options, 'windowMs')
    return `${count('points', value)}/${count('duration', options.duration ?? 1)}s${burst}`
  }
  refuseStray(options, 'duration')
  if (name === 'requestsPerMinute') {
    refuseStray(options, 'windowMs')
    return `${count('requestsPerMinute', value)}/minute${burst}`
  }
  if (typeof value === 'number' && !(name === 'limit' && options.windowMs === undefined))
    return `${count(name, value)}/${windowOf(options)}${burst}`
  refuseStray(options, 'capacity')
  if (typeof value !== 'function') refuseStray(options, 'windowMs')
  if (typeof value === 'string' || typeof value === 'function' || value instanceof Limiter)
    return value
  throw typeError(
    name,
    'a rate such as "5/minute", a limiter, or a function that returns one (a number: windowMs)',
    value,
  )
}

function costOption(cost) {
  return typeof cost === 'function' ? cost : costOf(cost)
}

// Fails now for what would fail with every request.
function tryOut(limit, settings, options) {
  windowOf(options)
  scratch ??= new Gate('memory://')
  scratch.limiter(limit, settings).close()
}

// [options], one for each limit of a list; `key` and `cost` may be lists beside it.
function spread(options) {
  if (!Array.isArray(options.limit)) return [options]
  if (options.limit.length === 0)
    throw typeError('limit', 'a list that is not empty', options.limit)
  const beside = (name, i) => {
    const value = options[name]
    if (!Array.isArray(value)) return value
    if (value.length !== options.limit.length)
      throw new ConfigError(`${name}: expected ${options.limit.length} of them, one for each limit`)
    return value[i]
  }
  return options.limit.map((limit, i) => ({
    ...options,
    limit,
    key: beside('key', i),
    cost: beside('cost', i),
    name: beside('name', i),
  }))
}

function hasLimit(options) {
  return ['limit', 'max', 'points', 'requestsPerMinute'].some((name) => options[name] !== undefined)
}

function keyOption(options) {
  const key = pick(options, 'key', 'identifier', 'keyGenerator')
  return key === null ? null : callable('key', key)
}

function readItem(options) {
  const settings = {}
  for (const name of SETTINGS) if (options[name] !== undefined) settings[name] = options[name]
  const { name } = options
  const limit = limitOf(options)
  const given = name === undefined ? settings : { name, ...settings }
  if (limit instanceof Limiter && Object.keys(given).length)
    throw new ConfigError(
      `${Object.keys(given).join(', ')}: expected where limit is a rate; ` +
        `the limiter ${limit.name} has its own`,
    )
  const byRequest = typeof limit === 'function'
  const any = options.lease === undefined ? '1/s' : '1 at once'
  if (!(limit instanceof Limiter)) tryOut(byRequest ? any : limit, given, options)
  const [, , ...texts] = Limiter.texts('', given, false)
  return {
    limit,
    name,
    settings,
    texts: textsOf(byRequest ? name : undefined, texts),
    byRequest,
    options,
    key: keyOption(options),
    cost: costOption(options.cost),
    skip: callable('skip', options.skip),
  }
}

// What stands behind a rate that the guard opens.
function textsOf(name, [algorithm, mode, onFailure, lease]) {
  return Object.entries({
    '@name': name,
    '@algorithm': algorithm,
    '@mode': mode,
    '@on_failure': onFailure,
    '@lease': lease,
  })
    .filter(([, value]) => value)
    .flat()
}

// Rates that meet at one place, or change from request to request, have their numbers behind it.
function tellApart(items) {
  const unnamed = items.filter(
    ({ limit, name }) => name === undefined && !(limit instanceof Limiter),
  )
  for (const item of items)
    if (item.byRequest || (unnamed.length > 1 && unnamed.includes(item)))
      item.texts.push('@several', '1')
}

// A key that all limits have is who is calling.
function readIdentity(merged, items) {
  const identity = callable('identity', merged.identity)
  if (identity) return { identity, identityIs: 'identity' }
  const [first, ...others] = items.map(({ key }) => key)
  if (typeof first !== 'function' || others.some((key) => key !== first)) return {}
  for (const item of items) item.key = undefined
  return { identity: first, identityIs: 'key' }
}

// As a guard takes them.
function styleText(styles) {
  styleFlags(styles)
  return (Array.isArray(styles) ? styles : [styles]).join(',') || 'none'
}

function readStyles(options) {
  const { headers, standardHeaders, legacyHeaders } = options
  if (standardHeaders !== undefined && !STANDARD_HEADERS.includes(standardHeaders))
    throw new ConfigError(
      `standardHeaders ${show(standardHeaders)}: expected true, "draft-8" or "draft-10" for ` +
        'RateLimit and RateLimit-Policy as drafts 8 to 10 write them, or false',
      'TG_EOPTION',
    )
  if (legacyHeaders !== undefined && typeof legacyHeaders !== 'boolean')
    throw typeError('legacyHeaders', 'true or false', legacyHeaders)
  if (headers !== undefined) {
    if (standardHeaders !== undefined || legacyHeaders !== undefined)
      throw new ConfigError('headers: expected alone, without standardHeaders and legacyHeaders')
    return styleText(headers === false ? [] : headers)
  }
  return styleText(
    [standardHeaders !== false && 'standard', legacyHeaders !== false && 'legacy'].filter(Boolean),
  )
}

function readExempt(exempt) {
  if (exempt === undefined) return { exemptPaths: new Set() }
  if (typeof exempt === 'function') return { exempt, exemptPaths: new Set() }
  if (!Array.isArray(exempt)) throw typeError('exempt', 'a list of paths or a function', exempt)
  for (const path of exempt)
    if (typeof path !== 'string' || !path.startsWith('/'))
      throw typeError('exempt', 'paths such as "/health"', path)
  return { exemptPaths: new Set(exempt) }
}

function readMessage(message) {
  if (message === undefined || ['string', 'object', 'function'].includes(typeof message))
    return message
  throw typeError('message', 'a text, an object, or a function that returns one', message)
}

function readStore(store) {
  if (store === undefined || typeof store === 'string' || store instanceof Gate) return store
  if (Object.prototype.toString.call(store) === '[object URL]') return store.href
  // A gate of another copy of this package works as well.
  if (store?.constructor?.name === 'Gate' && typeof store.askGuard === 'function') return store
  throw typeError('store', 'a gate from connect(), or a URL', store)
}

function readTier(tier) {
  if (tier === undefined || typeof tier === 'string' || typeof tier === 'function') return tier
  throw typeError('tier', 'a tier of the policy, or a function that returns one', tier)
}

function readAttributes(attributes) {
  if (typeof attributes !== 'function') addAttributes([], attributes)
  return attributes
}

function guardOf({ policy, trustedProxies, ipv6Prefix }, headers) {
  const proxies = trustedProxies === undefined ? '' : String(trustedProxies)
  return { policy, headers, trustedProxies: proxies, ipv6Prefix: ipv6Prefix ?? 0 }
}

/** { items, shared }: the limits to check together, and how to answer. */
function readOptions(given) {
  const list = given.length === 1 && Array.isArray(given[0]) ? given[0] : given
  if (list.length === 0) throw typeError('rateLimit', 'an object of options', undefined)
  const merged = {}
  for (const options of list) {
    if (!isPlain(options)) throw typeError('rateLimit', 'an object of options', options)
    for (const name of Object.keys(options)) {
      if (SHARED.includes(name)) merged[name] ??= options[name]
      else if (!OWN.includes(name)) throw unknownName('rateLimit', name, [...OWN, ...SHARED])
    }
  }
  const handler = callable('handler', merged.handler),
    onDenied = callable('onDenied', merged.onDenied)
  pick({ handler, onDenied }, 'handler', 'onDenied')
  const store = readStore(merged.store)
  const byPolicy = merged.policy !== undefined || store?.hasPolicy
  const limits = byPolicy && !list.some(hasLimit) ? [] : list
  const items = limits.flatMap(spread).map(readItem)
  tellApart(items)
  const caller =
    items.length > 0
      ? readIdentity(merged, items)
      : readIdentity(
          merged,
          list.map((key) => ({ key: keyOption(key) })),
        )
  return {
    items,
    shared: {
      store,
      guard: guardOf(merged, readStyles(merged)),
      ...readExempt(merged.exempt),
      ...caller,
      tier: readTier(merged.tier),
      attributes: readAttributes(merged.attributes),
      settle: callable('settle', merged.settle),
      message: readMessage(merged.message),
      onDenied,
      onError: callable('onError', merged.onError),
      handler,
      given: { ...list[0], ...merged },
      trustedProxies: merged.trustedProxies,
    },
  }
}

module.exports = { readOptions, rateText }
