// SPDX-License-Identifier: MIT
'use strict'

const { typeError } = require('./errors.js')
const { checkNames } = require('./names.js')
const { keyOf } = require('./keys.js')

const REPORT = ['period', 'step', 'limiter']
const TOP = ['by', 'n']
const LIMITED = ['n']
const EVENTS = ['after', 'limit']
const METRICS = ['openmetrics']
const LAST = -1 // of events: the last ones

function text(what, value = '') {
  if (typeof value !== 'string') throw typeError(what, 'a string', value)
  return value
}

function count(what, value) {
  if (!Number.isInteger(value) || value < 0 || value > 2 ** 31 - 1)
    throw typeError(what, 'a whole number from 0', value)
  return value
}

/** What a gate says of itself: the core's JSON, read. */
class Figures {
  #native

  constructor(native) {
    this.#native = native
  }

  report(options) {
    const { period, step, limiter } = checkNames('report', options, REPORT)
    const report = JSON.parse(this.#native.figures('report', '', '', '', 0, 0))
    if (period !== undefined)
      report.series = JSON.parse(
        this.#native.figures(
          'series',
          text('limiter', limiter),
          text('period', period),
          text('step', step),
          0,
          0,
        ),
      )
    return report
  }

  top(limiter, options) {
    const { by = 'denied', n = 20 } = checkNames('top', options, TOP)
    const name = text('limiter', limiter)
    return JSON.parse(this.#native.figures('top', name, text('by', by), '', 0, count('n', n)))
      .callers
  }

  limitedNow(limiter, options) {
    const { n = 256 } = checkNames('limitedNow', options, LIMITED)
    const name = text('limiter', limiter)
    return JSON.parse(this.#native.figures('limited', name, '', '', 0, count('n', n))).callers
  }

  async lookUp(key) {
    return JSON.parse(await this.#native.lookUp(keyOf(key)))
  }

  events(options) {
    const { after = LAST, limit = 100 } = checkNames('events', options, EVENTS)
    if (!Number.isSafeInteger(after)) throw typeError('after', "an event's id", after)
    return JSON.parse(this.#native.figures('events', '', '', '', after, count('limit', limit)))
      .events
  }

  metrics(options) {
    const { openmetrics = false } = checkNames('metrics', options, METRICS)
    return this.#native.figures(openmetrics ? 'openmetrics' : 'metrics', '', '', '', 0, 0)
  }
}

module.exports = { Figures }
