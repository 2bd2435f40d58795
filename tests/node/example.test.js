// SPDX-License-Identifier: MIT
// examples/express as a user starts it, twice on two ports against one server.
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { test } = require('node:test')
const { request, startServer } = require('./support.js')

function start(store) {
  const child = spawn(process.execPath, ['app.mjs', '--port', '0', '--store', store], {
    cwd: __dirname,
  })
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
const admin = [['x-admin-key', 'letmein']]

async function check(apps) {
  const ask = async (i, path, headers, method) =>
    request(apps[i % apps.length].port, { path, headers, method })
  let passed = 0
  for (let i = 0; i < 8; ++i) passed += (await ask(i, '/api/expensive', as('alice'))).status === 200
  assert.equal(passed, 5)
  passed = 0
  for (let i = 0; i < 70; ++i) passed += (await ask(i, '/api/data', as('bob'))).status === 200
  assert.ok(passed === 60 || passed === 61, `${passed} of 60`) // the minute goes on while 70 requests travel
  const noKey = await ask(0, '/api/data', [])
  assert.equal(noKey.status, 200)
  assert.match(noKey.headers['ratelimit-policy'], /"global";q=60;w=60/)
  assert.equal((await ask(0, '/admin/stats', [])).status, 401)
  const stats = JSON.parse((await ask(0, '/admin/stats', admin)).body)
  assert.ok(stats.allowed > 0 && stats.denied > 0)
  const bucket = JSON.parse((await ask(0, '/admin/bucket/alice', admin)).body)
  assert.equal(bucket.expensive.allowed, false)
  await ask(1, '/admin/reset/alice', admin, 'POST')
  assert.equal((await ask(0, '/api/expensive', as('alice'))).status, 200)
  const own = JSON.parse((await ask(0, '/admin/bucket/@127.0.0.1', admin)).body)
  assert.ok(own.global.remaining < 60)
  await checkGenerations(apps)
}

// Two at once for each caller, wherever they ask; what was not used is given back.
async function checkGenerations(apps) {
  const generate = async (i, body) => {
    const response = await fetch(`http://127.0.0.1:${apps[i % apps.length].port}/generate`, {
      method: 'POST',
      headers: { 'x-api-key': 'erin', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const type = response.headers.get('content-type')
    return { status: response.status, type, text: await response.text() }
  }
  const most = { prompt: 'one two three', maxTokens: 2990 }
  const answers = await Promise.all([0, 1, 2, 3].map((i) => generate(i, most)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 429, 429])
  const passed = answers.find(({ status }) => status === 200)
  assert.deepEqual(JSON.parse(passed.text), { answer: 'ONE TWO THREE', used: 6 })
  assert.match(answers.find(({ status }) => status === 429).type, /problem\+json/)
  // Each took 6 of the 2,993 that it reserved, or the tokens would not reach.
  for (let i = 0; i < 2; ++i) assert.equal((await generate(i, most)).status, 200)
  assert.equal((await generate(0, { ...most, maxTokens: 6000 })).status, 429)
  assert.equal((await generate(0, { prompt: 'fail', maxTokens: 5000 })).status, 500)
  assert.equal((await generate(0, { prompt: 5 })).status, 400)
  const { body } = await request(apps[0].port, { path: '/admin/bucket/erin', headers: admin })
  const { tokens, generations } = JSON.parse(body)
  assert.equal(generations.remaining, 2)
  assert.ok(tokens.remaining >= 6000 - 4 * 6, 'what failed cost nothing')
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
