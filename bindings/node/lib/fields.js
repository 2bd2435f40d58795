// SPDX-License-Identifier: MIT
'use strict'

// Our fields on a response, beside those that the application sends itself: these stand, and with
// each its whole family.

/** "ratelimit" of RateLimit-Policy, "x-ratelimit" of X-RateLimit-Reset; others are their own. */
function familyOf(name) {
  const lower = name.toLowerCase()
  return /^(x-)?ratelimit(?=-|$)/.exec(lower)?.[0] ?? lower
}

/** The families among fields that are not `ours`, { lower case name: value }. */
function foreignFamilies(fields, ours) {
  const families = new Set()
  for (const [name, value] of fields)
    if (ours.get(name.toLowerCase()) !== value) families.add(familyOf(name))
  return families
}

// What writeHead(status, message, fields) is given besides what was set.
function* given(fields) {
  if (Array.isArray(fields)) {
    if (Array.isArray(fields[0])) yield* fields
    else for (let i = 0; i + 1 < fields.length; i += 2) yield [String(fields[i]), fields[i + 1]]
  } else if (typeof fields === 'object' && fields !== null) {
    yield* Object.entries(fields)
  }
}

function* standing(raw) {
  for (const name of raw.getHeaderNames?.() ?? []) yield [name, raw.getHeader(name)]
}

/** The fields of a response of node:http. */
class NodeFields {
  #raw
  #ours = new Map()
  #watched = false

  constructor(raw) {
    this.#raw = raw
  }

  /** In place of those that were set before. */
  set(pairs) {
    const foreign = foreignFamilies(standing(this.#raw), this.#ours)
    const next = new Map()
    for (const [name, value] of pairs) {
      if (foreign.has(familyOf(name))) continue
      next.set(name.toLowerCase(), value)
      this.#raw.setHeader(name, value)
    }
    for (const name of this.#ours.keys())
      if (!next.has(name) && !foreign.has(familyOf(name))) this.#raw.removeHeader(name)
    this.#ours = next
    if (next.size > 0) this.#watch()
  }

  // What the application sets later is seen when the fields go out.
  #watch() {
    if (this.#watched || typeof this.#raw.writeHead !== 'function') return
    this.#watched = true
    const { writeHead } = this.#raw
    const fields = this
    this.#raw.writeHead = function (...args) {
      if (!this.headersSent) fields.#giveWay(args.at(-1))
      return writeHead.apply(this, args)
    }
  }

  #giveWay(more) {
    const foreign = foreignFamilies(standing(this.#raw), this.#ours)
    for (const [name] of given(more)) foreign.add(familyOf(name))
    for (const [name, value] of this.#ours)
      if (foreign.has(familyOf(name)) && this.#raw.getHeader(name) === value)
        this.#raw.removeHeader(name)
  }
}

/** Sets fields on the headers of a web Response, which the application has made. */
function addToHeaders(headers, pairs) {
  const foreign = foreignFamilies(headers, new Map())
  for (const [name, value] of pairs) if (!foreign.has(familyOf(name))) headers.set(name, value)
}

module.exports = { NodeFields, addToHeaders }
