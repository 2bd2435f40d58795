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
const { rateLimit: plugin } = require('tidegate/fastify')
const { FakeClock } = require('tidegate/testing')
const { ROOT, request, listen } = require('./support.js')

const cases = JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/http/cases.json')))
const LIMIT_FIELDS = [
  'ratelimit-policy',
  'ratelimit',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'retry-after',
]

function optionsOf(middleware, gate) {
  const {
    limits,
    headers,
    key_header: keyHeader,
    trusted_proxies: trustedProxies,
    exempt,
    cost,
    cost_header: costHeader,
    message,
  } = middleware
  return limits.map(({ rates, name, algorithm, mode }) => ({
    limit: rates,
    name: name ?? undefined,
    algorithm,
    mode,
    store: gate,
    headers,
    trustedProxies,
    exempt,
    key: keyHeader === null ? undefined : (req) => req.headers[keyHeader.toLowerCase()],
    cost:
      costHeader === null ? cost : (req) => Number(req.headers[costHeader.toLowerCase()] ?? cost),
    message: message ?? undefined,
  }))
}

const ok = (req, res) => {
  res.setHeader('Content-Type', 'text/plain')
  res.end(req.method === 'HEAD' ? '' : 'ok')
}

function expressApp(name) {
  return (options) => {
    const app = require(name)()
    app.use(rateLimit(...options), ok)
    return listen(app)
  }
}

const apps = {
  'Express 5': expressApp('express'),
  'Express 4': expressApp('express4'),
  'node:http': (options) => listen(withRateLimit(options, ok)),
  Fastify: async (options) => {
    const app = require('fastify')({ exposeHeadRoutes: false })
    app.addContentTypeParser('*', (req, payload, done) => done(null))
    await app.register(plugin, { limits: options })
    app.all('/*', (req, reply) => reply.type('text/plain').send(req.method === 'HEAD' ? '' : 'ok'))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: app.server.address().port, close: () => app.close() }
  },
}

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
      const app = await start(optionsOf(middleware, gate))
      try {
        for (const wanted of requests) await play(wanted, app.port, clock)
      } finally {
        await app.close()
        await gate.close()
      }
    })
  }
}
