// SPDX-License-Identifier: MIT
// Starts app.js beside it (or --app FILE) on a free port, lets several callers loose on it over
// HTTP, and shows what each was given. --check verifies the numbers and ends; --store URL shares
// the limits through a Valkey or Redis.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
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

// Who asks for what, and what the policy must give: a burst of 20 and then 100 a minute, 5 reports.
const CALLERS = [
  { name: 'alice', method: 'GET', path: '/items', requests: 15, admitted: 15 },
  { name: 'bob', method: 'GET', path: '/items', requests: 60, admitted: 20 },
  { name: 'carol', method: 'POST', path: '/report', requests: 15, admitted: 5 },
  { name: 'pro-1', method: 'GET', path: '/items', requests: 90, admitted: 90 },
  { name: '(no key)', method: 'GET', path: '/items', requests: 40, admitted: 20 },
]
// Some tokens come back while the callers are at it: 100 a minute, on a machine that may be busy.
const SLACK = 10

// With a server a run has its own callers and live policy.
function freshStore(url) {
  if (url.startsWith('memory:') || url.includes('namespace=')) return url
  return `${url}${url.includes('?') ? '&' : '?'}namespace=demo-${randomUUID().slice(0, 8)}`
}

function startApp() {
  const policy = path.join(here, '..', 'policy.yaml')
  const words = ['--port', '0', '--store', freshStore(options.store), '--policy', policy]
  const child = spawn(process.execPath, [options.app, ...words], {
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
const admin = { 'x-admin-token': 'let-me-in', 'content-type': 'application/json' }

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
  const rows = CALLERS.map(({ name, method, path: where }) => ({
    name,
    path: `${method} ${where}`,
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
        const { status, headers } = await ask(port, caller.path, headersOf(caller), caller.method)
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
  const headers = { 'x-api-key': 'erin' }
  const generate = async (most) =>
    (await ask(port, `/generate?max_tokens=${most}`, headers, 'POST', 'a b c')).status
  // What the one before did not use, and its place, are given back behind its answer.
  const generateSoon = async () => {
    for (let n = 0; n < 100; ++n) {
      if ((await generate(2990)) === 200) return 200
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return 429
  }
  const four = await Promise.all([2990, 2990, 2990, 2990].map(generate))
  verify(String(four.sort()) === '200,200,429,429', `of four generations at once two run: ${four}`)
  const again = [await generateSoon(), await generateSoon()]
  verify(String(again) === '200,200', `what they did not use is there for others: ${again}`)
  const much = await generate(7000)
  verify(much === 429, `nobody reserves more than there is: ${much}`)
}

// What the admin side says holds at once.
async function verifyLive(port) {
  const change = (method, what, body) =>
    ask(port, `/admin/${what}`, admin, method, body && JSON.stringify(body))
  const report = async (caller) =>
    (await ask(port, '/report', { 'x-api-key': caller }, 'POST')).status
  await change('PUT', 'callers/mallory', { ban: '1h', reason: 'scraping' })
  verify((await report('mallory')) === 403, 'who is banned is refused with 403')
  await change('DELETE', 'callers/mallory')
  verify((await report('mallory')) === 200, 'and no longer when the ban is lifted')
  await change('PUT', 'limits/report', { rate: '2/minute' })
  const three = [await report('dave'), await report('dave'), await report('dave')]
  verify(String(three) === '200,200,429', `two reports a minute instead of five: ${three}`)
  await change('DELETE', 'limits/report')
  const { status } = await change('PUT', 'limits/nothing', { rate: '2/minute' })
  verify(status === 400, 'a limit that the policy has not is refused')
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
  const refused = await ask(port, '/report', { 'x-api-key': 'carol' }, 'POST')
  verify(
    refused.status === 429 && JSON.parse(refused.body).status === 429,
    'a refusal is 429 with a problem+json body',
  )
  verify(
    Number(refused.headers['retry-after']) > 0,
    `it says Retry-After: ${refused.headers['retry-after']}`,
  )
  verify((await ask(port, '/admin/stats', {})).status === 403, 'the admin side asks for its token')
  const stats = JSON.parse((await ask(port, '/admin/stats', admin)).body)
  verify(
    stats.denied >= rows.reduce((sum, row) => sum + row.denied, 0),
    `the stats count ${stats.allowed} allowed, ${stats.denied} denied`,
  )
}

function hints(port) {
  const base = `http://127.0.0.1:${port}`
  console.log(`
The app goes on at ${base} until you press Ctrl+C. In another terminal:

  curl -i -X POST ${base}/report -H 'x-api-key: carol'
  curl -i ${base}/items -H 'x-api-key: dave'
  curl '${base}/generate?max_tokens=100' -H 'x-api-key: erin' -d 'a long story'
  curl ${base}/admin/callers/carol -H 'x-admin-token: let-me-in'
  curl -X PUT ${base}/admin/callers/dave -H 'x-admin-token: let-me-in' --json '{"ban": "1m"}'
  curl -X PUT ${base}/admin/limits/report -H 'x-admin-token: let-me-in' --json '{"rate": "2/minute"}'
  curl ${base}/admin/stats -H 'x-admin-token: let-me-in'`)
}

const { child, port } = await startApp()
let code = 0
try {
  if (!options.check)
    console.log(
      `Express under examples/policy.yaml, on ${options.store.replace(/:[^:@/]*@/, ':***@')}\n`,
    )
  const rows = await traffic(port, !options.check && process.stdout.isTTY)
  if (options.check) {
    await verifyAll(port, rows)
    await verifyGenerations(port)
    await verifyLive(port)
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
