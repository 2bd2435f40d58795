// SPDX-License-Identifier: MIT
'use strict'

// What a Request of the web standard says, and what may be done with a Response.
const { addToHeaders } = require('./fields.js')

// The socket's address, where what a server hands to a handler beside the request tells it.
function peerOf(request, context) {
  return (
    context?.requestIP?.(request)?.address ?? // Bun
    context?.remoteAddr?.hostname ?? // Deno
    (context?.incoming ?? context?.env?.incoming)?.socket?.remoteAddress // @hono/node-server
  )
}

function aboutOf(request, peer, place) {
  const { method, headers } = request
  const url = new URL(request.url)
  return {
    method,
    path: url.pathname,
    host: headers.get('host') ?? url.host,
    origin: headers.get('origin') ?? undefined,
    requestedMethod: headers.get('access-control-request-method') ?? undefined,
    forwarded: headers.get('x-forwarded-for') ?? undefined,
    hasForwarded: headers.has('forwarded'),
    peer,
    place,
    route: place?.template || undefined,
  }
}

// The body of a response whose end is waited for, however it ends.
function watched(body, end) {
  const reader = body.getReader()
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (!done) return controller.enqueue(value)
        controller.close()
      } catch (error) {
        controller.error(error)
      }
      return end()
    },
    cancel(reason) {
      end()
      return reader.cancel(reason)
    },
  })
}

function withFields(response, pairs) {
  if (pairs.length === 0) return response
  try {
    addToHeaders(response.headers, pairs)
    return response
  } catch {
    const open = new Response(response.body, response) // of a fetch, or a redirect
    addToHeaders(open.headers, pairs)
    return open
  }
}

module.exports = { aboutOf, peerOf, watched, withFields }
