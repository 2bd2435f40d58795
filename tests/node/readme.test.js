// SPDX-License-Identifier: MIT
// What the README shows of policies and of the web runs, and prints what it says behind it.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { test } = require('node:test')
const { listen, request, run } = require('./support.js')

const README = fs.readFileSync(
  path.join(path.dirname(require.resolve('tidegate')), '../README.md'),
  'utf8',
)

function blocks(heading, language) {
  const from = README.indexOf(`\n## ${heading}`)
  const section = README.slice(from, README.indexOf('\n## ', from + 1))
  const found = section.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))
  return [...found].map(([, text]) => text)
}

for (const heading of [
  'Policies',
  'Hono, Next.js, Bun, Deno',
  "In place of other libraries' lines",
])
  test(heading, async (t) => {
    const folder = fs.mkdtempSync(path.join(__dirname, 'readme-'))
    t.after(() => fs.rmSync(folder, { recursive: true }))
    for (const policy of blocks(heading, 'yaml'))
      fs.writeFileSync(path.join(folder, 'limits.yaml'), policy)
    const code = blocks(heading, 'js').join('\n')
    const expected = [...code.matchAll(/^console\.log\(.*\) +\/\/ (.*)$/gm)].map(([, text]) => text)
    assert.ok(expected.length > 0)
    fs.writeFileSync(path.join(folder, 'it.mjs'), code)
    const done = await run('', { args: ['it.mjs'], cwd: folder })
    assert.deepEqual([done.code, done.out.trim().split('\n')], [0, expected])
  })

// One handshake.
async function handshake(upgrade) {
  const server = http.createServer()
  server.on('upgrade', async (req, socket) => {
    if (await upgrade(req, socket)) socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
  })
  const { port, close } = await listen(server)
  const ask = () =>
    new Promise((resolve) => {
      const headers = { connection: 'Upgrade', upgrade: 'websocket' }
      const req = http.get({ port, host: '127.0.0.1', headers, agent: false })
      req.on('response', (res) => res.resume().on('end', () => resolve(res.statusCode)))
      req.on('upgrade', (res, socket) => resolve(socket.destroy() && res.statusCode))
    })
  const status = await ask()
  await close()
  return status
}

test('Recipes', async (t) => {
  const file = path.join(__dirname, 'recipes.mjs')
  fs.writeFileSync(file, blocks('Recipes', 'js')[0])
  t.after(() => fs.rmSync(file))
  const { both, login, stream, koa, upgrade } = await import(file)
  const app = require('express')()
  let end
  app.get('/both', both, (req, res) => res.json(req.rateLimit.parts.map(({ name }) => name)))
  app.get('/login', login, (req, res) => res.sendStatus(req.query.ok ? 200 : 401))
  app.get('/stream', stream, (req, res) => {
    end = () => res.end()
    res.write('a')
  })
  const Koa = require('koa').default ?? require('koa')
  const served = [
    await listen(app),
    await listen(
      new Koa()
        .use(koa)
        .use((ctx) => (ctx.body = 'ok'))
        .callback(),
    ),
  ]
  t.after(() => Promise.all(served.map((one) => one.close())))
  const ask = async (path, n = 1, port = served[0].port) => {
    const answers = []
    for (let i = 0; i < n; ++i) answers.push(await request(port, { path }))
    return answers
  }
  const statuses = async (...args) => (await ask(...args)).map(({ status }) => status)
  assert.equal((await ask('/both'))[0].body, '["ip","key"]')
  assert.deepEqual(await statuses('/login?ok=1', 6), Array(6).fill(200))
  assert.deepEqual(await statuses('/login', 6), [401, 401, 401, 401, 401, 429])
  const streams = Array.from({ length: 6 }, () => request(served[0].port, { path: '/stream' }))
  const denied = await Promise.race(streams)
  assert.equal(denied.status, 429)
  assert.equal(typeof end, 'function')
  assert.equal(await handshake(upgrade), 101)
  const koas = await ask('/', 60, served[1].port)
  assert.deepEqual([koas[58].body, koas[58].headers['x-ratelimit-remaining']], ['ok', '0'])
  assert.equal(await handshake(upgrade), 429, 'it shares its limit with Koa here')
  assert.deepEqual([koas[59].status, JSON.parse(koas[59].body).status], [429, 429])
})
