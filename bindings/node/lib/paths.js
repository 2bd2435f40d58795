// SPDX-License-Identifier: MIT
'use strict'

/** The path of a request line's target, as it came: without a query, or the host before it. */
function pathOf(target) {
  const path = target.startsWith('/') ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  const end = path.search(/[?#]/)
  return (end < 0 ? path : path.slice(0, end)) || '/'
}

module.exports = { pathOf }
