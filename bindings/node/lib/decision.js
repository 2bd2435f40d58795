// SPDX-License-Identifier: MIT
'use strict'

const native = require('./native.js')
const { ConfigError, show, typeError } = require('./errors.js')
const { addAttributes } = require('./attributes.js')
const { ANSWER, RESULT, PART } = native
const results = native.results

const ALLOWED = 1,
  WOULD_DENY = 2,
  SHADOW = 4,
  RENEWED = 64
// Who can take something; the others are the failure policy's own answers.
const ENGINES = ['memory', 'store', 'fallback']
const SOURCES = [null, 'memory', 'store', 'fallback', 'fail_open', 'fail_closed', 'policy', 'near']
const VERDICTS = ['limits', 'exempt', 'banned']
const STYLES = { standard: 1, legacy: 2, 'legacy-delta': 4 }
const BANNED = 2
const NEVER = -1
const NEVER_IN_JSON = 'never' // JSON has no Infinity, and null is what is not known
// A decision's figures: flags, binding, then the parts.
const HEAD = 2

function milliseconds(us) {
  return us < 0 ? null : Math.ceil(us / 1000)
}

function known(figure) {
  return figure < 0 ? null : figure
}

// An unknown wait is null; a denied request whose wait no engine knows an end of will never fit.
function retryAfter(us, allowed, source) {
  if (us !== NEVER) return Math.ceil(us / 1000)
  return allowed || source > 3 ? null : Infinity
}

// "Name: value\n" lines as pairs.
function pairsOf(lines) {
  return lines
    .split('\n', lines.length && 64)
    .filter(Boolean)
    .map((line) => {
      const at = line.indexOf(': ')
      return [line.slice(0, at), line.slice(at + 2)]
    })
}

function fields(object, names) {
  return Object.fromEntries(names.map((name) => [name, object[name]]))
}

function json(object, names) {
  const shown = fields(object, names)
  if (shown.retryAfterMs === Infinity) shown.retryAfterMs = NEVER_IN_JSON
  return shown
}

const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** One rate of one part of a request. */
class Part {
  #gate
  #figures
  #at

  constructor(gate, figures, at) {
    if (at === undefined) throw typeError('Part', 'to be one of decision.parts', gate)
    this.#gate = gate
    this.#figures = figures
    this.#at = at
  }

  get allowed() {
    return (this.#figures[this.#at + PART.FLAGS] & ALLOWED) !== 0
  }
  get shadow() {
    return (this.#figures[this.#at + PART.FLAGS] & SHADOW) !== 0
  }
  /** Of slots: the id held them already, and none were taken. */
  get renewed() {
    return (this.#figures[this.#at + PART.FLAGS] & RENEWED) !== 0
  }
  get name() {
    return this.#gate.policyName(
      this.#figures[this.#at + PART.LIMITER],
      this.#figures[this.#at + PART.RATE],
    )
  }
  get limit() {
    return known(this.#figures[this.#at + PART.LIMIT])
  }
  get remaining() {
    return known(this.#figures[this.#at + PART.REMAINING])
  }
  get retryAfterMs() {
    return retryAfter(
      this.#figures[this.#at + PART.RETRY],
      this.allowed,
      (this.#figures[0] >> 8) & 15,
    )
  }
  get resetAfterMs() {
    return milliseconds(this.#figures[this.#at + PART.RESET])
  }
  get nextAfterMs() {
    return milliseconds(this.#figures[this.#at + PART.NEXT])
  }
  /** Of a debit: tokens of the cost that did not fit. */
  get shortfall() {
    return known(this.#figures[this.#at + PART.SHORTFALL])
  }

  toJSON() {
    return json(this, Part.FIELDS)
  }
  [INSPECT](depth, options, inspect) {
    return `Part ${inspect(fields(this, Part.FIELDS), options)}`
  }
}
Part.FIELDS = [
  'allowed',
  'name',
  'limit',
  'remaining',
  'retryAfterMs',
  'resetAfterMs',
  'nextAfterMs',
  'shortfall',
]

/** The answer to a check. Immutable; what it shows is computed when it is asked for. */
class Decision {
  #gate
  #figures
  #problem
  #answer // of a guard's check: native.ANSWER
  #finished = false

  constructor(gate, figures, answer) {
    if (figures === undefined) throw typeError('Decision', 'to be the answer to a check', gate)
    this.#gate = gate
    this.#figures = figures
    this.#answer = answer
  }

  #speaking(field) {
    const figures = this.#figures
    return figures.length > HEAD ? figures[HEAD + figures[1] * PART.LENGTH + field] : NEVER
  }

  get allowed() {
    return (this.#figures[0] & ALLOWED) !== 0
  }
  get wouldDeny() {
    return (this.#figures[0] & WOULD_DENY) !== 0
  }
  get source() {
    return SOURCES[(this.#figures[0] >> 8) & 15]
  }
  get name() {
    const limiter = this.#speaking(PART.LIMITER)
    return limiter < 0 ? null : this.#gate.policyName(limiter, this.#speaking(PART.RATE))
  }
  get limit() {
    return known(this.#speaking(PART.LIMIT))
  }
  get remaining() {
    return known(this.#speaking(PART.REMAINING))
  }
  get retryAfterMs() {
    const answer = this.#answer
    if (answer !== undefined && answer[ANSWER.VERDICT] === BANNED)
      return retryAfter(answer[ANSWER.RETRY], false, 0)
    return retryAfter(this.#speaking(PART.RETRY), this.allowed, (this.#figures[0] >> 8) & 15)
  }
  get resetAfterMs() {
    return milliseconds(this.#speaking(PART.RESET))
  }
  get parts() {
    const parts = []
    for (let at = HEAD; at < this.#figures.length; at += PART.LENGTH)
      parts.push(new Part(this.#gate, this.#figures, at))
    return Object.freeze(parts)
  }

  /** The HTTP fields that a middleware would send, as an object. */
  headers(styles) {
    if (styles === undefined && this.#answer !== undefined) return this.fields
    return Object.fromEntries(this.headerPairs(styleFlags(styles ?? ['standard', 'legacy'])))
  }

  /** Of gate.check(): the fields to send, with those of earlier checks of the request. */
  get fields() {
    return Object.fromEntries(this.fieldPairs())
  }
  fieldPairs() {
    return this.#answer === undefined ? [] : pairsOf(this.#answer[ANSWER.FIELDS])
  }

  /** Of gate.check(): 'limits', 'exempt' or 'banned'. */
  get verdict() {
    return this.#answer === undefined ? 'limits' : VERDICTS[this.#answer[ANSWER.VERDICT]]
  }
  /** Of gate.check(): whom it charged, or would have. */
  get caller() {
    return this.#answer?.[ANSWER.CALLER] || null
  }
  /** Of a ban, if the policy gives one; not for the caller. */
  get reason() {
    return this.#answer?.[ANSWER.REASON] || null
  }

  /**
   * Of gate.check(), when the response is done: what its rules count or settle by the response is
   * given back or charged, slots are let go. Once; nothing where nothing is to do.
   */
  async finish(status = this.status, attributes = {}) {
    if (this.#answer === undefined || this.#finished || !this.mustFinish) return
    this.#finished = true
    await this.#gate.settle(this.scope, status, addAttributes([], attributes))
  }

  // ---- for middleware ----

  /** Whether it has parts. */
  get asked() {
    return this.#figures.length > HEAD
  }
  get scope() {
    return this.#answer?.[ANSWER.SCOPE] ?? ''
  }
  get mustFinish() {
    return this.#answer?.[ANSWER.FINISH] === 1
  }
  get renewUs() {
    return this.#answer?.[ANSWER.RENEW] ?? 0
  }

  /** The same as pairs; `flags` from styleFlags. */
  headerPairs(flags, wallUs = 0) {
    if (this.#figures.length === HEAD) return []
    return pairsOf(this.#gate.native.headers(Float64Array.from(this.#figures), flags, wallUs))
  }

  /** 200, 429, 503 where the failure policy closed, or 403 of a ban. */
  get status() {
    if (this.#answer !== undefined) return this.#answer[ANSWER.STATUS]
    return this.allowed ? 200 : this.source === 'fail_closed' ? 503 : 429
  }

  /** The application/problem+json body of a refusal; '' for an allowed request. */
  problem() {
    if (this.#answer !== undefined) return this.#answer[ANSWER.BODY]
    if (this.#figures.length === HEAD) return ''
    return (this.#problem ??= this.#gate.native.problem(Float64Array.from(this.#figures)))
  }

  toJSON() {
    return { ...json(this, Decision.FIELDS), parts: this.parts.map((part) => part.toJSON()) }
  }
  [INSPECT](depth, options, inspect) {
    const shown = fields(this, Decision.FIELDS)
    const parts = this.parts
    if (parts.length > 1) shown.parts = parts
    return `Decision ${inspect(shown, options)}`
  }

  /** The exact wait in microseconds, or -1: for those who wait. */
  static retryAfterUs(decision) {
    return decision.#speaking(PART.RETRY)
  }
}
Decision.FIELDS = [
  'allowed',
  'wouldDeny',
  'name',
  'limit',
  'remaining',
  'retryAfterMs',
  'resetAfterMs',
  'source',
]

function styleFlags(styles) {
  let flags = 0
  for (const style of Array.isArray(styles) ? styles : [styles]) {
    if (!Object.hasOwn(STYLES, style))
      throw new ConfigError(
        `headers: expected any of ${Object.keys(STYLES).join(', ')}, not ${show(style)}`,
      )
    flags |= STYLES[style]
  }
  return flags
}

// The decision that native.results holds at `at`, with the answer of a guard's check. One rate of
// one limiter is nearly every request.
function readDecision(gate, at, answer) {
  const count = results[at + RESULT.PARTS]
  const p = at + RESULT.LENGTH
  if (count === 1) {
    const one = [
      results[at + RESULT.FLAGS],
      0,
      results[p],
      results[p + 1],
      results[p + 2],
      results[p + 3],
      results[p + 4],
      results[p + 5],
      results[p + 6],
      results[p + 7],
      results[p + 8],
      results[p + 9],
      results[p + 10],
    ]
    return new Decision(gate, one, answer)
  }
  const figures = [results[at + RESULT.FLAGS], results[at + RESULT.BINDING]]
  for (let i = 0; i < count * PART.LENGTH; ++i) figures.push(results[p + i])
  return new Decision(gate, figures, answer)
}

module.exports = { Decision, ENGINES, Part, readDecision, styleFlags }
