// SPDX-License-Identifier: MIT
'use strict'

// Where a route of Express stands, in the words of the program. What Express tells of a mount,
// req.baseUrl, are the caller's words: /API and /api lead to one router, and so do /users/1 and
// /users/2. So the router that holds the route is looked for among what was registered.

const UNMATCHED = '/unmatched' // for a mount path that cannot be told
const MOST_DEPTH = 32
const MOST_KNOWN = 64 // spellings of one route's mount that are remembered

// How path-to-regexp 0.1 writes a parameter, and the end of a mount path.
const PARAMETER = /\(\?:\\\/\(\[\^\\?\/\]\+\?\)\)|\\\/\(\?:\(\[\^\\?\/\]\+\?\)\)/g
const END = '\\/?(?=\\/|$)'

// Express 4 keeps the expression only: /^\/users(?:\/([^/]+?))\/?(?=\/|$)/i was /users/:id.
function patternOf(layer) {
  const { source } = layer.regexp
  if (!source.startsWith('^') || !source.endsWith(END)) return source
  const names = layer.keys.map(({ name }) => name)
  const text = source
    .slice(1, -END.length)
    .replace(PARAMETER, () => `/:${names.shift()}`)
    .replace(/\\([/.-])/g, '$1')
  return names.length > 0 || /[\\()[\]{}|*+?^$]/.test(text) ? source : text
}

// A router before 2.3 has neither text nor expression. A mount without parameters that is no
// expression is what was matched, in whatever case.
function patternOfMatch(matcher, match) {
  const literal = matcher.name !== 'regexpMatcher' && Object.keys(match.params).length === 0
  return literal ? match.path.toLowerCase() : UNMATCHED
}

// { text, pattern }: what of the path a layer takes, and how that was registered.
function matchOf(layer, path) {
  if (layer.slash || layer.regexp?.fast_slash) return { text: '', pattern: '' }
  if (layer.regexp) {
    const found = layer.regexp.exec(path)
    return found && { text: found[0], pattern: patternOf(layer) }
  }
  for (const [i, matcher] of (layer.matchers ?? []).entries()) {
    const match = matcher(path)
    if (!match) continue
    const raw = Array.isArray(layer.rawPath) ? layer.rawPath[i] : layer.rawPath
    return {
      text: match.path,
      pattern: raw === undefined ? patternOfMatch(matcher, match) : String(raw),
    }
  }
  return null
}

function stackOf(handle) {
  if (Array.isArray(handle.stack)) return handle.stack
  return typeof handle.handle === 'function' && handle.settings
    ? (handle._router ?? handle.router)?.stack
    : undefined
}

function withoutSlash(text) {
  return text.endsWith('/') ? text.slice(0, -1) : text
}

// The mount path of what `is` finds, below a stack, or undefined. `apps`: the applications from
// there on inwards; `base`: what the routers took of the path.
function find(stack, apps, base, path, is, depth = 0) {
  if (base === '' && stack.some((layer) => layer.route && is(layer))) return ''
  if (depth === MOST_DEPTH) return undefined
  for (const layer of stack) {
    if (layer.route) continue
    if (is(layer)) {
      const match = matchOf(layer, path)
      if (match && withoutSlash(match.text) === base) return withoutSlash(match.pattern)
      continue
    }
    const [, inner, ...others] = apps
    const enters = inner !== undefined && layer.handle.name === 'mounted_app'
    const below = stackOf(enters ? inner : layer.handle)
    const match = below && matchOf(layer, path)
    if (!match) continue
    const taken = withoutSlash(match.text)
    if (!base.startsWith(taken)) continue
    const left = [base.slice(taken.length), path.slice(taken.length) || '/']
    const rest = find(below, enters ? [inner, ...others] : apps, ...left, is, depth + 1)
    if (rest !== undefined) return withoutSlash(match.pattern) + rest
  }
  return undefined
}

function look(req, is) {
  const apps = []
  for (let app = req.app; app && apps.length < MOST_DEPTH; app = app.parent) apps.unshift(app)
  try {
    const stack = apps.length > 0 ? stackOf(apps[0]) : undefined
    return stack && find(stack, apps, req.baseUrl, req.baseUrl + req.path, is)
  } catch {
    return undefined // a path that cannot be decoded, or an Express that keeps all this elsewhere
  }
}

const known = new WeakMap() // by owner: { base: mount path }

/**
 * The mount path of what handles a request, '' at the top; undefined where it is not found. `is`
 * says which layer that is, `owner` stands for it.
 */
function mountOf(req, owner, is) {
  const base = req.baseUrl
  if (!base) return ''
  let mounts = known.get(owner)
  if (!mounts) known.set(owner, (mounts = new Map()))
  if (mounts.has(base)) return mounts.get(base)
  const mount = look(req, is)
  if (mounts.size >= MOST_KNOWN) mounts.clear()
  mounts.set(base, mount)
  return mount
}

module.exports = { UNMATCHED, mountOf }
