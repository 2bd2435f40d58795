// SPDX-License-Identifier: MIT
'use strict'

// The guards of a gate: equal ones are one, since a gate has 1,024 at most.
const { ConfigError, typeError } = require('./errors.js')
const { isPlain } = require('./names.js')

/** A policy as the addon takes it, [its text, its file]. */
function policySource(policy, what = 'policy') {
  if (Object.prototype.toString.call(policy) === '[object URL]') {
    if (policy.protocol !== 'file:') throw typeError(what, 'a file: URL', policy.href)
    return ['', require('node:url').fileURLToPath(policy)]
  }
  if (isPlain(policy)) return [JSON.stringify(policy), '']
  if (typeof policy !== 'string' || !policy.isWellFormed())
    throw typeError(what, 'a path, a text of YAML or JSON, or an object', policy)
  if (policy === '') throw new ConfigError(`${what}: expected a path or a text that is not empty`)
  return policy.includes('\n') || policy.startsWith('{') ? [policy, ''] : ['', policy]
}

class Guards {
  #native
  #default
  #numbers = new Map()
  #defaults = [] // those of the gate's own policy

  constructor(native, policy) {
    this.#native = native
    this.#default = policy === undefined ? ['', ''] : policySource(policy)
    this.hasPolicy = policy !== undefined
    if (this.hasPolicy) this.number() // what is wrong with it is told now
  }

  /**
   * The number of a guard. `policy` undefined: the gate's. `headers`, `trustedProxies`: texts,
   * empty for the defaults; `ipv6Prefix`: 0 for the gate's.
   */
  number({ policy, headers = '', trustedProxies = '', ipv6Prefix = 0 } = {}) {
    const own = policy !== undefined
    const [text, file] = own ? policySource(policy) : this.#default
    const source = own ? [text, file] : null // the gate's may be another tomorrow
    const id = JSON.stringify([source, headers, trustedProxies, ipv6Prefix])
    let number = this.#numbers.get(id)
    if (number === undefined) {
      number = this.#native.guardOpen(text, file, headers, trustedProxies, ipv6Prefix)
      this.#numbers.set(id, number)
      if (!own) this.#defaults.push(number)
    }
    return number
  }

  /** Another policy in place of the gate's own. A faulty one changes nothing. */
  load(policy) {
    const [text, file] = policySource(policy)
    const read = file ? require('node:fs').readFileSync(file, 'utf8') : text
    this.number()
    for (const number of this.#defaults) this.#native.guardReplace(number, read)
    this.#default = [read, '']
    this.hasPolicy = true
  }
}

module.exports = { Guards, policySource }
