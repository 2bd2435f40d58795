// SPDX-License-Identifier: MIT
'use strict'

const native = require('./native.js')
const { ConfigError, show, typeError } = require('./errors.js')
const { RESULT, PART } = native
const results = native.results

const ALLOWED = 1,
  WOULD_DENY = 2,
  SHADOW = 4,
  RENEWED = 64
// Who can take something; the others are the failure policy's own answers.
const ENGINES = ['memory', 'store', 'fallback']
const SOURCES = [null, 'memory', 'store', 'fallback', 'fail_open', 'fail_closed']
const STYLES = { standard: 1, legacy: 2, 'legacy-delta': 4 }
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
      (this.#figures[0] >> 8) & 7,
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

  constructor(gate, figures) {
    if (figures === undefined) throw typeError('Decision', 'to be the answer to a check', gate)
    this.#gate = gate
    this.#figures = figures
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
    return SOURCES[(this.#figures[0] >> 8) & 7]
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
    return retryAfter(this.#speaking(PART.RETRY), this.allowed, (this.#figures[0] >> 8) & 7)
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
  headers(styles = ['standard', 'legacy']) {
    const fields = {}
    for (const [name, value] of this.headerPairs(styleFlags(styles))) fields[name] = value
    return fields
  }

  /** The same as pairs; `flags` from styleFlags. */
  headerPairs(flags, wallUs = 0) {
    if (this.#figures.length === HEAD) return []
    const text = this.#gate.native.headers(Float64Array.from(this.#figures), flags, wallUs)
    return text
      .split('\n', text.length && 64)
      .filter(Boolean)
      .map((line) => {
        const at = line.indexOf(': ')
        return [line.slice(0, at), line.slice(at + 2)]
      })
  }

  /** 200, 429, or 503 where the failure policy closed. */
  get status() {
    return this.allowed ? 200 : this.source === 'fail_closed' ? 503 : 429
  }

  /** The application/problem+json body of a refusal; '' for an allowed request. */
  problem() {
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

// The decision that native.results holds at `at`. One rate of one limiter is nearly every request.
function readDecision(gate, at) {
  const count = results[at + RESULT.PARTS]
  const p = at + RESULT.LENGTH
  if (count === 1) {
    return new Decision(gate, [
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
    ])
  }
  const figures = [results[at + RESULT.FLAGS], results[at + RESULT.BINDING]]
  for (let i = 0; i < count * PART.LENGTH; ++i) figures.push(results[p + i])
  return new Decision(gate, figures)
}

module.exports = { Decision, ENGINES, Part, readDecision, styleFlags }
