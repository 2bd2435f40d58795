// SPDX-License-Identifier: MIT
// The table of requests and answers that every language's middleware is held to:
// tests/http/cases.json.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { connect } = require('tidegate')
const { rateLimit } = require('tidegate/express')
const { withRateLimit } = require('tidegate/http')
const { rateLimit: plugin, routeRateLimit } = require('tidegate/fastify')
const { FakeClock } = require('tidegate/testing')
const { hono, withRateLimit: withWebLimit } = require('tidegate/web')
const { ROOT, request, listen, listenWeb } = require('./support.js')

const cases = JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/http/cases.json')))
const LIMIT_FIELDS = [
  'ratelimit-policy',
  'ratelimit',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'retry-after',
]

const from = (header) => (req) => req.headers[header.toLowerCase()]

function attributesFrom(headers) {
  return (req) =>
    Object.fromEntries(Object.entries(headers).map(([name, header]) => [name, from(header)(req)]))
}

// Absent is as null.
function optionsOf(middleware, gate) {
  const { limits, key_headers: keys, policy, identity_header: identity } = middleware
  const { tier_header: tier, attribute_headers: attributes, cost_header: costs } = middleware
  const { cost, headers, exempt, message, trusted_proxies: trustedProxies } = middleware
  const shared = {
    store: gate,
    headers,
    trustedProxies,
    exempt,
    message: message ?? undefined,
    policy: policy ?? undefined,
    identity: identity ? from(identity) : undefined,
    tier: tier ? from(tier) : undefined,
    attributes: attributes ? attributesFrom(attributes) : undefined,
  }
  if (limits.length === 0) return [shared]
  return limits.map(({ rates, name, algorithm, mode }, i) => {
    const header = keys ? keys[i] : middleware.key_header
    return {
      ...shared,
      limit: rates,
      name: name ?? undefined,
      algorithm,
      mode,
      key: header ? from(header) : undefined,
      cost: costs ? (req) => Number(from(costs)(req) ?? cost) : cost,
    }
  })
}

function handlerOf(appFields = []) {
  return (req, res) => {
    res.setHeader('Content-Type', 'text/plain')
    for (const [name, value] of appFields) res.setHeader(name, value)
    res.end(req.method === 'HEAD' ? '' : 'ok')
  }
}

function expressApp(name) {
  return ({ outer, inner, appFields }) => {
    const app = require(name)()
    app.use(rateLimit(...outer))
    if (inner) app.all('/inner', rateLimit(...inner))
    app.use(handlerOf(appFields))
    return listen(app)
  }
}

const apps = {
  'Express 5': expressApp('express'),
  'Express 4': expressApp('express4'),
  'node:http': ({ outer, inner, appFields }) => {
    const handler = handlerOf(appFields)
    const within = inner ? withRateLimit(inner, handler) : handler
    return listen(
      withRateLimit(outer, (req, res) => (req.url === '/inner' ? within : handler)(req, res)),
    )
  },
  Fastify: async ({ outer, inner, appFields = [] }) => {
    const app = require('fastify')({ exposeHeadRoutes: false })
    app.addContentTypeParser('*', (req, payload, done) => done(null))
    await app.register(plugin, { limits: outer })
    const handler = (req, reply) => {
      for (const [name, value] of appFields) reply.header(name, value)
      return reply.type('text/plain').send(req.method === 'HEAD' ? '' : 'ok')
    }
    if (inner) app.all('/inner', { onRequest: routeRateLimit(...inner) }, handler)
    app.all('/*', handler)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: app.server.address().port, close: () => app.close() }
  },
  Hono: async ({ outer, inner, appFields = [] }) => {
    const { Hono } = await import('hono')
    const app = new Hono()
    app.use(hono(...byContext(outer)))
    if (inner) app.use('/inner', hono(...byContext(inner)))
    app.all('*', (c) => {
      for (const [name, value] of appFields) c.header(name, value)
      return c.text('ok')
    })
    return listenWeb((request, env) => app.fetch(request, env))
  },
  'a handler of the web': ({ outer, inner, appFields = [] }) => {
    const handler = () =>
      new Response('ok', { headers: [['content-type', 'text/plain'], ...appFields] })
    const within = inner ? withWebLimit(byRequest(inner), handler) : handler
    return listenWeb(
      withWebLimit(byRequest(outer), (request, env) =>
        (new URL(request.url).pathname === '/inner' ? within : handler)(request, env),
      ),
    )
  },
}

// The table's functions read req.headers[name].
const plain = (request) => ({ headers: Object.fromEntries(request.headers) })
function reading(options, request) {
  return options.map((one) =>
    Object.fromEntries(
      Object.entries(one).map(([name, value]) => [
        name,
        typeof value === 'function' ? (given) => value(plain(request(given))) : value,
      ]),
    ),
  )
}
const byContext = (options) => reading(options, (c) => c.req.raw)
const byRequest = (options) => reading(options, (request) => request)

function checkValue(name, expected, actual, before, after) {
  if (typeof expected !== 'object') return assert.equal(actual, expected, name)
  const least = Math.ceil((before + expected.epoch_after_us) / 1e6)
  const most = Math.ceil((after + expected.epoch_after_us) / 1e6)
  assert.ok(
    Number(actual) >= least && Number(actual) <= most,
    `${name}: ${actual} not in ${least} to ${most}`,
  )
}

async function play(wanted, port, clock) {
  clock.nowUs = wanted.at_us
  const before = Date.now() * 1000
  const got = await request(port, wanted)
  const after = Date.now() * 1000 + 1000
  const { status, headers, body } = wanted.expect
  assert.equal(got.status, status)
  assert.equal(got.body, body)
  const listed = new Set(headers.map(([name]) => name.toLowerCase()))
  for (const name of LIMIT_FIELDS)
    if (!listed.has(name)) assert.equal(got.headers[name], undefined, name)
  for (const [name, value] of headers)
    checkValue(name, value, got.headers[name.toLowerCase()], before, after)
}

for (const [framework, start] of Object.entries(apps)) {
  for (const { title, middleware, requests } of cases) {
    test(`${framework}: ${title}`, async () => {
      const clock = new FakeClock()
      const gate = connect('memory://', { clock })
      const app = await start({
        outer: optionsOf(middleware, gate),
        inner: middleware.inner && optionsOf(middleware.inner, gate),
        appFields: middleware.app_fields,
      })
      try {
        for (const wanted of requests) await play(wanted, app.port, clock)
      } finally {
        await app.close()
        await gate.close()
      }
    })
  }
}
