// SPDX-License-Identifier: MIT
'use strict'

const { Checker, send } = require('./middleware.js')
const { Exchange } = require('./exchange.js')
const { aboutOf } = require('./node_request.js')
const { typeError } = require('./errors.js')

/** (req, res) => Promise of whether to go on; where not, the response has been sent. */
function rateLimit(...options) {
  const checker = new Checker(options)
  // Whether a function of the user's called next() to go on.
  async function answer(work) {
    let goes = false
    await work((error) => {
      if (error) throw error
      goes = true
    })
    return goes
  }

  async function limit(req, res) {
    const decision = await checker.askNode(aboutOf(req, req.originalUrl ?? req.url), [req, res], res)
    if (decision === undefined) return true
    req.rateLimit = decision
    if (res.destroyed || res.headersSent) return false
    if (decision.allowed) return true
    if (checker.answersDenied)
      return answer((next) => checker.onDenied([req, res], Exchange.of(res), decision, next))
    send(res, await checker.refusal([req, res], decision))
    return false
  }

  return async function check(req, res) {
    if (!req?.socket || !req.headers || typeof res?.setHeader !== 'function')
      throw typeError('request', "node:http's IncomingMessage and ServerResponse", req)
    if (!checker.onError) return limit(req, res)
    try {
      return await limit(req, res)
    } catch (error) {
      return answer((next) => checker.onError(req, res, next, error))
    }
  }
}

function answerFailure(res, error) {
  const known = error instanceof Error && Number.isInteger(error.statusCode)
  if (!known)
    process.emitWarning(
      error instanceof Error
        ? error
        : new Error('a function of withRateLimit threw what is no Error', { cause: error }),
    )
  if (res.headersSent) return res.destroy()
  return send(res, {
    status: known ? error.statusCode : 500,
    type: 'text/plain; charset=utf-8',
    body: known ? error.message : 'Internal Server Error',
  })
}

/**
 * A listener of http.createServer with limits before it. An error in the limit's own functions is
 * answered 500 (400 for a key that no text can be, 503 where too many checks are out). What the
 * listener throws is the caller's, as without us.
 */
function withRateLimit(options, listener) {
  const check = rateLimit(...(Array.isArray(options) ? options : [options]))
  return async function limited(req, res) {
    let passes = false
    try {
      passes = await check(req, res)
    } catch (error) {
      answerFailure(res, error)
    }
    if (passes) await listener(req, res)
  }
}

module.exports = { rateLimit, withRateLimit }
