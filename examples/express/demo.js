// SPDX-License-Identifier: MIT
// Starts app.js beside it (or --app FILE) on a free port, lets several callers loose on it over
// HTTP, and shows what each was given. --check verifies the numbers and ends; --store URL shares
// the limits through a Valkey or Redis.
import { spawn } from 'node:child_process'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = path.dirname(fileURLToPath(import.meta.url))
const { values: options } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    store: { type: 'string', default: 'memory://' },
    app: { type: 'string', default: path.join(here, 'app.js') },
  },
})

// Who asks for what, and what the limits of app.js must give: 60 a minute, 5 of them expensive.
const CALLERS = [
  { name: 'alice', path: '/api/data', requests: 30, admitted: 30 },
  { name: 'bob', path: '/api/data', requests: 90, admitted: 60 },
  { name: 'carol', path: '/api/expensive', requests: 20, admitted: 5 },
  { name: '(no key)', path: '/api/data', requests: 70, admitted: 60 },
]
// A token comes back each second while the callers are at it.
const SLACK = 3

function startApp() {
  const child = spawn(process.execPath, [options.app, '--port', '0', '--store', options.store], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let out = ''
    child.stdout.on('data', (data) => {
      out += data
      const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(out)
      if (found) resolve({ child, port: Number(found[1]) })
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the app ended with ${code}`)))
  })
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })

function ask(port, where, headers, method = 'GET', sent = undefined) {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { port, host: '127.0.0.1', path: where, method, headers, agent },
      (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body }),
        )
      },
    )
    request.on('error', reject)
    request.end(sent)
  })
}

const headersOf = ({ name }) => (name.startsWith('(') ? {} : { 'x-api-key': name })
const admin = { 'x-admin-key': 'letmein' }

function table(rows) {
  const line = (row) =>
    `  ${row[0].padEnd(10)} ${row[1].padEnd(16)} ${row
      .slice(2)
      .map((cell) => String(cell).padStart(8))
      .join(' ')}`
  return [
    line(['caller', 'asks for', 'asked', 'admitted', 'denied', 'wait s']),
    ...rows.map(({ name, path: where, asked, admitted, denied, wait }) =>
      line([name, where, asked, admitted, denied, wait ?? '-']),
    ),
  ].join('\n')
}

async function traffic(port, live) {
  const rows = CALLERS.map(({ name, path: where }) => ({
    name,
    path: where,
    asked: 0,
    admitted: 0,
    denied: 0,
    wait: null,
  }))
  let drawn = 0
  const draw = () => {
    if (drawn) process.stdout.write(`\x1b[${drawn}A\x1b[J`)
    const text = table(rows)
    drawn = text.split('\n').length
    console.log(text)
  }
  const timer = live && setInterval(draw, 50)
  await Promise.all(
    CALLERS.map(async (caller, i) => {
      for (let n = 0; n < caller.requests; ++n) {
        const { status, headers } = await ask(port, caller.path, headersOf(caller))
        if (status !== 200 && status !== 429) throw new Error(`${caller.path} answered ${status}`)
        ++rows[i].asked
        ++rows[i][status === 200 ? 'admitted' : 'denied']
        if (status === 429) rows[i].wait = headers['retry-after']
        if (live) await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }),
  )
  clearInterval(timer)
  if (live) draw()
  else console.log(table(rows))
  return rows
}

function verify(is, text) {
  if (!is) throw new Error(`NOT true: ${text}`)
  console.log(`ok  ${text}`)
}

// Two at once for each caller; an estimate is settled by what was used.
async function verifyGenerations(port) {
  const headers = { 'x-api-key': 'erin', 'content-type': 'application/json' }
  const generate = async (maxTokens) =>
    (await ask(port, '/generate', headers, 'POST', JSON.stringify({ prompt: 'a b c', maxTokens })))
      .status
  const four = await Promise.all([2990, 2990, 2990, 2990].map(generate))
  verify(String(four.sort()) === '200,200,429,429', `of four generations at once two run: ${four}`)
  const again = await Promise.all([2990, 2990].map(generate))
  verify(String(again) === '200,200', `what they did not use is there for others: ${again}`)
  const much = await generate(6000)
  verify(much === 429, `nobody reserves more than there is: ${much}`)
}

async function verifyAll(port, rows) {
  rows.forEach(({ name, admitted, asked, denied }, i) => {
    const { admitted: least, requests } = CALLERS[i]
    verify(
      admitted >= least && admitted <= Math.min(requests, least + SLACK),
      `${name}: ${admitted} of ${asked} admitted, the limit gives ${least}`,
    )
    verify(admitted + denied === requests, `${name}: every request was answered`)
  })
  const refused = await ask(port, '/api/expensive', { 'x-api-key': 'carol' })
  verify(
    refused.status === 429 && JSON.parse(refused.body).status === 429,
    'a refusal is 429 with a problem+json body',
  )
  verify(
    Number(refused.headers['retry-after']) > 0,
    `it says Retry-After: ${refused.headers['retry-after']}`,
  )
  verify((await ask(port, '/admin/stats', {})).status === 401, 'the admin side asks for its key')
  const stats = JSON.parse((await ask(port, '/admin/stats', admin)).body)
  verify(
    stats.denied >= rows.reduce((sum, row) => sum + row.denied, 0),
    `the stats count ${stats.allowed} allowed, ${stats.denied} denied`,
  )
  await ask(port, '/admin/reset/carol', admin, 'POST')
  verify(
    (await ask(port, '/api/expensive', { 'x-api-key': 'carol' })).status === 200,
    'after a reset carol is admitted again',
  )
}

function hints(port) {
  const base = `http://127.0.0.1:${port}`
  console.log(`
The app goes on at ${base} until you press Ctrl+C. In another terminal:

  curl -i ${base}/api/expensive -H 'x-api-key: carol'
  curl -i ${base}/api/data -H 'x-api-key: dave'
  curl ${base}/generate -H 'x-api-key: erin' --json '{"prompt": "a long story"}'
  curl ${base}/admin/bucket/carol -H 'x-admin-key: letmein'
  curl -X POST ${base}/admin/reset/carol -H 'x-admin-key: letmein'
  curl ${base}/admin/stats -H 'x-admin-key: letmein'`)
}

const { child, port } = await startApp()
let code = 0
try {
  if (!options.check)
    console.log(
      `Express behind 60/minute for each caller, 5/minute for /api/expensive, on ${options.store.replace(/:[^:@/]*@/, ':***@')}\n`,
    )
  const known = CALLERS.map(({ name }) => (name.startsWith('(') ? '@127.0.0.1' : name))
  known.push('erin')
  for (const caller of known) await ask(port, `/admin/reset/${caller}`, admin, 'POST')
  const rows = await traffic(port, !options.check && process.stdout.isTTY)
  if (options.check) {
    await verifyAll(port, rows)
    await verifyGenerations(port)
  } else {
    hints(port)
    await new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve)
      child.once('exit', resolve)
    })
  }
} catch (error) {
  console.error(`express demo: ${error.message}`)
  code = 1
}
agent.destroy()
child.removeAllListeners('exit')
child.kill('SIGTERM')
process.exitCode = code
