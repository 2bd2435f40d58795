// SPDX-License-Identifier: MIT
'use strict'

// What the headers and the target of a request of node:http say.

/** The path of a request line's target, as it came: without a query, or the host before it. */
function pathOf(target) {
  const path = target.startsWith('/')
    ? target
    : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  const end = path.search(/[?#]/)
  return (end < 0 ? path : path.slice(0, end)) || '/'
}

/** What an adapter tells of a request: middleware.js. */
function aboutOf({ method = 'GET', headers = {}, socket }, target = '/') {
  return {
    method,
    path: pathOf(target),
    host: headers.host,
    origin: headers.origin,
    requestedMethod: headers['access-control-request-method'],
    forwarded: headers['x-forwarded-for'],
    hasForwarded: headers.forwarded !== undefined,
    peer: socket?.remoteAddress,
  }
}

module.exports = { aboutOf, pathOf }
