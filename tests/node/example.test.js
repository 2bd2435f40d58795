// SPDX-License-Identifier: MIT
// examples/express as a user starts it, twice on two ports against one server.
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { test } = require('node:test')
const { request, startServer } = require('./support.js')

function start(store) {
  const words = ['app.mjs', '--port', '0', '--store', store, '--policy', 'policy.yaml']
  const child = spawn(process.execPath, words, { cwd: __dirname })
  let out = ''
  child.stderr.on('data', (data) => {
    out += data
  })
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => {
      out += data
      const found = /:(\d+) on /.exec(out)
      if (found) resolve({ port: Number(found[1]), out: () => out, stop })
    })
    child.once('exit', (code) => reject(new Error(`exit ${code}: ${out}`)))
  })
  function stop() {
    return new Promise((resolve) => {
      child.removeAllListeners('exit')
      child.once('exit', resolve)
      child.kill('SIGTERM')
    })
  }
}

const as = (key) => [['x-api-key', key]]
const admin = [
  ['x-admin-token', 'let-me-in'],
  ['content-type', 'application/json'],
]

async function check(apps) {
  const ask = async (i, path, headers, method) =>
    request(apps[i % apps.length].port, { path, headers, method })
  let passed = 0
  for (let i = 0; i < 8; ++i) passed += (await ask(i, '/report', as('alice'), 'POST')).status === 200
  assert.equal(passed, 5)
  passed = 0
  for (let i = 0; i < 40; ++i) passed += (await ask(i, '/items', as('bob'))).status === 200
  assert.ok(passed >= 20 && passed < 30, `${passed} of 20`) // 100 a minute come back meanwhile
  for (let i = 0; i < 40; ++i) assert.equal((await ask(i, '/health', as('bob'))).status, 200)
  for (let i = 0; i < 60; ++i) assert.equal((await ask(i, '/items', as('pro-1'))).status, 200)
  const noKey = await ask(0, '/items', [])
  assert.equal(noKey.status, 200)
  assert.match(noKey.headers['ratelimit-policy'], /"basic";q=100;w=60/)
  assert.equal((await ask(0, '/admin/stats', [])).status, 403)
  const stats = JSON.parse((await ask(0, '/admin/stats', admin)).body)
  assert.ok(stats.allowed > 0 && stats.denied > 0)
  await checkLive(apps, ask)
  await checkGenerations(apps)
}

// What one of them is told, the other follows.
async function checkLive(apps, ask) {
  const until = async (status, i) => {
    const end = Date.now() + 10_000
    while ((await ask(i, '/items', as('evil'))).status !== status)
      assert.ok(Date.now() < end, `no ${status}`)
  }
  const change = async (method, what, body) => {
    const url = `http://127.0.0.1:${apps[0].port}/admin/${what}`
    const headers = Object.fromEntries(admin)
    return (await fetch(url, { method, headers, body: body && JSON.stringify(body) })).status
  }
  assert.equal((await ask(1, '/items', as('evil'))).status, 200)
  assert.equal(await change('PUT', 'callers/evil', { ban: '1h', reason: 'scraping' }), 200)
  await until(403, 0)
  await until(403, 1)
  // The middleware's guard and the gate's own follow one behind the other.
  const said = async () => JSON.parse((await ask(1, '/admin/callers/evil', admin)).body).verdict
  const end = Date.now() + 10_000
  while ((await said()) !== 'banned') assert.ok(Date.now() < end, 'it is not said')
  assert.equal(await change('DELETE', 'callers/evil'), 200)
  await until(200, 1)
  assert.equal(await change('PUT', 'callers/evil', { tier: 'gold' }), 400)
  assert.equal(await change('PUT', 'limits/nothing', { rate: '1/minute' }), 400)
  assert.equal(await change('PUT', 'limits/report', {}), 400)
}

// Two at once for each caller, wherever they ask; what was not used is given back.
async function checkGenerations(apps) {
  const generate = async (i, most, body = 'one two three') => {
    const { port } = apps[i % apps.length]
    const response = await fetch(`http://127.0.0.1:${port}/generate?max_tokens=${most}`, {
      method: 'POST',
      headers: { 'x-api-key': 'erin' },
      body,
    })
    const used = response.headers.get('x-tokens-used')
    const type = response.headers.get('content-type')
    return { status: response.status, type, used, text: await response.text() }
  }
  // Places and tokens are given back behind the answer.
  const generateSoon = async (i, most, body) => {
    for (let n = 0; n < 200; ++n) {
      const answer = await generate(i, most, body)
      if (answer.status !== 429) return answer.status
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return 429
  }
  const answers = await Promise.all([0, 1, 2, 3].map((i) => generate(i, 2990)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 429, 429])
  const passed = answers.find(({ status }) => status === 200)
  assert.deepEqual([passed.text, passed.used], ['ONE TWO THREE\n', '6'])
  assert.match(answers.find(({ status }) => status === 429).type, /problem\+json/)
  // Each took 6 of the 2,990 that it reserved, or the tokens would not reach.
  for (let i = 0; i < 2; ++i) assert.equal(await generateSoon(i, 2990), 200)
  assert.equal((await generate(0, 7000)).status, 429)
  assert.equal(await generateSoon(0, 500, ' '), 400)
}

test('two instances share one server', async () => {
  const server = await startServer()
  const apps = [await start(server.url), await start(server.url)]
  await check(apps)
  assert.deepEqual(await Promise.all(apps.map((app) => app.stop())), [0, 0])
  await server.stop()
})

test('alone, on the embedded store', async () => {
  const app = await start('memory://')
  await check([app])
  assert.equal(await app.stop(), 0)
})
