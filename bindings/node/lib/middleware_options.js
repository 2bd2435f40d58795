// SPDX-License-Identifier: MIT
'use strict'

// What the options of a middleware say, under whichever of their names; all of it is checked when
// the app starts.
const { Gate } = require('./gate.js')
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
const STANDARD_HEADERS = [true, false, 'draft-8', 'draft-10']
const SHARED = [
  'store',
  'exempt',
  'message',
  'headers',
  'standardHeaders',
  'legacyHeaders',
  'onDenied',
  'handler',
  'trustedProxies',
  'ipv6Prefix',
]

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

// Fails now for what would fail with every request: the rates are not known yet, the rest is.
function tryOut(settings, options) {
  windowOf(options)
  new Gate('memory://').limiter('1/s', settings)
}

function readItem(options) {
  const settings = {}
  for (const name of ['name', 'algorithm', 'mode', 'onFailure'])
    if (options[name] !== undefined) settings[name] = options[name]
  const limit = limitOf(options)
  if (limit instanceof Limiter && Object.keys(settings).length)
    throw new ConfigError(
      `${Object.keys(settings).join(', ')}: expected where limit is a rate; ` +
        `the limiter ${limit.name} has its own`,
    )
  if (typeof limit === 'function') tryOut(settings, options)
  return {
    limit,
    settings,
    options,
    key: callable('key', pick(options, 'key', 'identifier', 'keyGenerator')),
    cost: costOption(options.cost),
    skip: callable('skip', options.skip),
  }
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
    return styleFlags(headers === false ? [] : headers)
  }
  return styleFlags(
    [standardHeaders !== false && 'standard', legacyHeaders !== false && 'legacy'].filter(Boolean),
  )
}

function readExempt(exempt) {
  if (exempt === undefined || typeof exempt === 'function') return exempt
  if (!Array.isArray(exempt)) throw typeError('exempt', 'a list of paths or a function', exempt)
  for (const path of exempt)
    if (typeof path !== 'string' || !path.startsWith('/'))
      throw typeError('exempt', 'paths such as "/health"', path)
  const paths = new Set(exempt)
  return (req) => paths.has(pathOf(req))
}

function pathOf(req) {
  const url = req.originalUrl ?? req.url
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
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
  if (store?.constructor?.name === 'Gate' && typeof store.lend === 'function') return store
  throw typeError('store', 'a gate from connect(), or a URL', store)
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
  return {
    items: list.map(readItem),
    shared: {
      store: readStore(merged.store),
      flags: readStyles(merged),
      exempt: readExempt(merged.exempt),
      message: readMessage(merged.message),
      onDenied,
      handler,
      given: { ...list[0], ...merged },
      trustedProxies: merged.trustedProxies,
      ipv6Prefix: merged.ipv6Prefix,
    },
  }
}

module.exports = { readOptions, rateText, pathOf }
