// SPDX-License-Identifier: MIT
'use strict'

// What a request shows to be set up wrongly. Each is told once per process, as a warning of the
// process and as an event of the gate that was asked.
const TEXTS = {
  TIDEGATE_FORWARDED:
    'A request carries X-Forwarded-For, and nobody said whom to trust: every caller behind the ' +
    "proxy counts as one. Say app.set('trust proxy', 1) or rateLimit({ trustedProxies: 1 }) " +
    'with the number of proxies, or trustedProxies: 0 if there is none.',
  TIDEGATE_FORWARDED_UNREAD:
    'A request carries Forwarded, which is not read, and no X-Forwarded-For: if a proxy of yours ' +
    'sends it, every caller behind that proxy counts as one. Let the proxy send X-Forwarded-For, ' +
    'or give a key().',
  TIDEGATE_ADDRESS_UNKNOWN:
    'Nobody tells the address of a caller, so that all callers without an identity count as one. ' +
    'Say with trustedProxies how much of X-Forwarded-For to believe, or give an address().',
  TIDEGATE_TRUSTS_ALL:
    'Everybody is trusted to say in X-Forwarded-For who he is, so that every caller chooses whom ' +
    "to be. In place of app.set('trust proxy', true), trustProxy: true and the like say how many " +
    'proxies there are, or their networks.',
  TIDEGATE_KEY_ADDRESS:
    'key() returned the address of the caller: an IPv6 caller has 2^64 of them, and would have as ' +
    'many budgets. Return nothing for callers without an identity: then the address counts, IPv6 ' +
    'by its /64.',
  TIDEGATE_KEY_FORWARDED:
    'key() returned X-Forwarded-For as it came, so that every caller chooses whom to be. Return ' +
    'nothing, and say with trustedProxies how many proxies there are.',
}

const told = new Set()

function tell(code, gate) {
  if (told.has(code)) return
  told.add(code)
  process.emitWarning(TEXTS[code], { type: 'TidegateWarning', code })
  gate.emit('event', { level: 'warning', code, time: new Date(), text: TEXTS[code] })
}

/** An identity that is what a caller writes, or his address. */
function lookAtIdentity(gate, identity, { forwarded, address, peer }) {
  if (identity === forwarded) tell('TIDEGATE_KEY_FORWARDED', gate)
  else if (identity === (address ?? peer)) tell('TIDEGATE_KEY_ADDRESS', gate)
}

/** A proxy's field that nobody decided about; `memory` remembers that everybody is trusted. */
function lookAtForwarded(gate, memory, { forwarded, hasForwarded, address, peer, trustsAll }) {
  if (!address && !peer && !gate.trustsProxies) tell('TIDEGATE_ADDRESS_UNKNOWN', gate)
  if (!forwarded) {
    if (hasForwarded) tell('TIDEGATE_FORWARDED_UNREAD', gate)
  } else if (address === undefined) {
    if (!gate.trustsProxies) tell('TIDEGATE_FORWARDED', gate)
  } else if (!told.has('TIDEGATE_TRUSTS_ALL') && (memory.trustsAll ??= asked(trustsAll))) {
    tell('TIDEGATE_TRUSTS_ALL', gate)
  }
}

function asked(trustsAll) {
  try {
    return trustsAll?.() ?? false
  } catch {
    return false // a function of the user's that this address was too much for
  }
}

module.exports = { lookAtForwarded, lookAtIdentity }
