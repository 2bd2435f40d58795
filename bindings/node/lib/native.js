// SPDX-License-Identifier: MIT
'use strict'

// Finds and loads the binary of this platform. The package ships what prebuilds/ holds; it runs no
// install script.
const fs = require('node:fs')
const path = require('node:path')
const { describeErrorsBy, makeError } = require('./errors.js')

const PREBUILDS = path.join(__dirname, '..', 'prebuilds')

function libc() {
  if (process.platform !== 'linux') return ''
  const { header } = process.report.getReport()
  return header.glibcVersionRuntime ? 'glibc' : 'musl'
}

// Reading a whole report costs milliseconds, so the libc is only asked for where it matters: when
// there are two to choose from, or nothing could be loaded.
function candidates(shipped) {
  const platform = `${process.platform}-${process.arch}`
  const fitting = shipped.filter((name) => name === platform || name.startsWith(`${platform}-`))
  return fitting.length > 1
    ? fitting.filter((name) => name.endsWith(libc()) || name === platform)
    : fitting
}

function refuse(shipped, cause) {
  const family = libc()
  const version =
    family === 'glibc' ? ` ${process.report.getReport().header.glibcVersionRuntime}` : ''
  const platform = `${process.platform} ${process.arch}${family && `, ${family}${version}`}`
  const error = new Error(
    `tidegate has no binary that runs here: ${platform}, Node ${process.version}. ` +
      `This package ships: ${shipped.join(', ') || 'none'}.` +
      `${cause ? ` Loading it said: ${cause.message}.` : ''} ` +
      'To build it, in a clone of tidegate: packaging/setup native node; bindings/node/pack. ' +
      'Then install the tarball that it names, or set TIDEGATE_NODE_BINARY to its tidegate.node.',
  )
  error.code = 'ERR_TIDEGATE_NO_BINARY'
  error.cause = cause
  return error
}

function load() {
  if (process.env.TIDEGATE_NODE_BINARY)
    return require(path.resolve(process.env.TIDEGATE_NODE_BINARY))
  let shipped = []
  try {
    shipped = fs.readdirSync(PREBUILDS).sort()
  } catch {
    // refused below, with what there is: nothing
  }
  let cause
  for (const name of candidates(shipped)) {
    try {
      return require(path.join(PREBUILDS, name, 'tidegate.node'))
    } catch (error) {
      cause = error
    }
  }
  throw refuse(shipped, cause)
}

const native = load()
describeErrorsBy(native.describeError)
native.onError(makeError)
// Bun has libuv's functions by name only: they end the process when they are called.
native.threadWatches = process.versions.bun !== undefined

module.exports = native
// Where things are in native.results: src/addon.h.
module.exports.RESULT = { SLOT: 0, STATUS: 1, FLAGS: 2, PARTS: 3, BINDING: 4, LENGTH: 5 }
module.exports.PART = {
  LIMITER: 0,
  RATE: 1,
  FLAGS: 2,
  LIMIT: 3,
  REMAINING: 4,
  RETRY: 5,
  NEXT: 6,
  RESET: 7,
  WINDOW: 8,
  CAPACITY: 9,
  SHORTFALL: 10,
  LENGTH: 11,
}
// What a guard's check has besides: answer_of() in src/check.cc.
module.exports.ANSWER = {
  STATUS: 0,
  VERDICT: 1,
  FIELDS: 2,
  BODY: 3,
  SCOPE: 4,
  CALLER: 5,
  REASON: 6,
  RETRY: 7,
  RENEW: 8,
  FINISH: 9,
}
module.exports.OP = { CONSUME: 1, PEEK: 2, REFUND: 3, RESET: 4, DEBIT: 6 }
module.exports.OP_BITS = 3
