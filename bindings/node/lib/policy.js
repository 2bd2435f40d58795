// SPDX-License-Identifier: MIT
'use strict'

// Policies: what gate.policy does, and the functions that need no gate.
const fs = require('node:fs')
const os = require('node:os')
const native = require('./native.js')
const { attributesOf } = require('./attributes.js')
const { ConfigError, typeError } = require('./errors.js')
const { policySource } = require('./guards.js')
const { checkNames } = require('./names.js')

const REPLACE = 1
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const LIMIT = ['until', 'mode', 'onFailure', 'by']
const TIER = ['until', 'by']
const CALLER = ['ban', 'reason', 'exempt', 'tier', 'limits', 'until', 'by']

function sourceText(policy, what) {
  const [text, file] = policySource(policy, what)
  return file ? fs.readFileSync(file, 'utf8') : text
}

// How long: milliseconds, or "1h", "30 minutes".
function durationMs(what, value) {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
  const found =
    typeof value === 'string' &&
    /^\s*(\d+)\s*(?:(ms)|(s|m|h|d|w)|(sec|min|second|minute|hour|day|week)s?)\s*$/i.exec(value)
  if (!found) throw new ConfigError(`${what}: expected how long, such as "1h" or milliseconds`)
  const unit = (found[2] ?? found[3] ?? found[4][0]).toLowerCase()
  return Number(found[1]) * UNITS[unit]
}

/** What is wrong with a policy: [{ path, line, column, message }], empty where nothing is. */
function validatePolicy(policy) {
  return JSON.parse(native.validatePolicy(sourceText(policy, 'policy')))
}

/** The places of a live document whose limiters and tiers a policy has not: they are left out. */
function ignoredOfLive(policy, live) {
  return JSON.parse(native.policyIgnored(sourceText(policy, 'policy'), sourceText(live, 'live')))
}

/** What applies to a request by a policy, and a live document over it; no store is asked. */
function resolvePolicy(policy, request, options = {}) {
  const { live, nowUs = Date.now() * 1000 } = checkNames('resolvePolicy', options, [
    'live',
    'nowUs',
  ])
  if (!Number.isSafeInteger(nowUs) || nowUs < 0)
    throw typeError('nowUs', 'microseconds, an integer of 0 or more', nowUs)
  const texts = attributesOf(request, 'request')
  return JSON.parse(
    native.resolvePolicy(
      sourceText(policy, 'policy'),
      live == null ? '' : sourceText(live, 'live'),
      texts.join('\0'),
      texts.length,
      nowUs,
    ),
  )
}

/** gate.policy: what a request meets and why, and the live document over the policy. */
class GatePolicy {
  #gate
  #guards

  constructor(gate, guards) {
    this.#gate = gate
    this.#guards = guards
  }

  /** Which rules match a request and why, and how each limit stands. */
  async explain(attributes) {
    const texts = attributesOf(attributes, 'explain')
    this.#checkOpen()
    const guard = this.#guards.number()
    return JSON.parse(await this.#gate.native.guardExplain(guard, texts.join('\0'), texts.length))
  }

  validate(policy) {
    return validatePolicy(policy)
  }

  /** Another policy in place of the one that the gate was opened with. */
  load(policy) {
    this.#checkOpen()
    this.#guards.load(policy)
  }

  /** { version, live }: at most a second old. */
  live() {
    this.#checkOpen()
    return JSON.parse(this.#gate.native.live())
  }

  /** Other numbers for a limiter of the policy; null: those of the policy again. */
  async setLimit(name, rate, options = {}) {
    const { until, mode, onFailure, by } = checkNames('setLimit', options, LIMIT)
    const entry = rate === null ? null : { rate, mode, on_failure: onFailure }
    return this.#set('limiters', name, entry, until, by)
  }

  /** Other limiters for a tier of the policy; null: those of the policy again. */
  async setTier(name, limiters, options = {}) {
    const { until, by } = checkNames('setTier', options, TIER)
    return this.#set('tiers', name, limiters === null ? null : { limiters }, until, by)
  }

  /** What holds for one caller: an identity, "@" and an address, or a network. */
  async setCaller(key, options) {
    const { ban, reason, exempt, tier, limits, by, until } = checkNames(
      'setCaller',
      options,
      CALLER,
    )
    const timed = ban !== undefined && typeof ban !== 'boolean'
    if (timed && until !== undefined)
      throw new ConfigError('setCaller: expected until, or a ban of so long, not both')
    const entry = { ban: timed || ban, reason, exempt, tier, limits }
    return this.#set('callers', key, entry, timed ? durationMs('ban', ban) : until, by)
  }

  /** Nothing holds for this caller any more that was set live. */
  async clear(key, options = {}) {
    const { by } = checkNames('clear', options, ['by'])
    return this.#set('callers', key, null, undefined, by)
  }

  /** This live document in place of the one that is there. */
  async replace(document, options = {}) {
    const { by } = checkNames('replace', options, ['by'])
    return this.#edit(REPLACE, sourceText(document, 'document'), by)
  }

  #set(what, name, entry, until, by) {
    if (typeof name !== 'string' || name === '') throw typeError(what, 'a name', name)
    const own = entry && { ...entry, until: this.#until(until) }
    return this.#edit(0, JSON.stringify({ [what]: { [name]: own } }), by)
  }

  // A Date, RFC 3339, or how long from now.
  #until(until) {
    if (until == null) return undefined
    if (until instanceof Date) return until.toISOString()
    if (typeof until === 'string' && until.includes('T')) return until
    const ms = this.#gate.epochUs / 1000 + durationMs('until', until)
    return new Date(ms).toISOString()
  }

  async #edit(flags, patch, by = `${os.hostname()}:${process.pid}`) {
    if (typeof by !== 'string') throw typeError('by', 'a text', by)
    this.#checkOpen()
    return Number(await this.#gate.native.guardEdit(this.#guards.number(), flags, patch, by))
  }

  #checkOpen() {
    this.#gate.checkOpen()
  }
}

module.exports = { GatePolicy, ignoredOfLive, resolvePolicy, validatePolicy }
