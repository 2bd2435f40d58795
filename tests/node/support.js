// SPDX-License-Identifier: MIT
// What the tests share: real servers on unix sockets in folders of their own, child processes,
// HTTP.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')

const ROOT = process.env.TIDEGATE_ROOT
const SERVERS = (process.env.TIDEGATE_SERVERS || 'redis=/usr/bin/redis-server')
  .split(':')
  .filter(Boolean)
  .map((entry) => entry.split('='))
  .map(([name, program]) => ({ name, program }))

const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function until(what, condition, ms = 5000) {
  const end = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`)
    await delay(5)
  }
}

function freePort() {
  return new Promise((resolve) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

function connectable(target) {
  return new Promise((resolve) => {
    const socket = net.connect(target, () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

// A server of one's own; `stop` may be called at any time, `pause` and `resume` freeze it.
async function startServer({ program = SERVERS[0].program, port = 0, args = [] } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-node-'))
  const socket = path.join(folder, 's')
  const child = spawn(
    program,
    [
      '--port',
      String(port),
      '--unixsocket',
      socket,
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      folder,
      ...args,
    ],
    { stdio: 'ignore' },
  )
  const gone = new Promise((resolve) => child.once('exit', resolve))
  const target = port ? { port, host: '127.0.0.1' } : { path: socket }
  await until(program, () => connectable(target))
  return {
    url: port ? `redis://127.0.0.1:${port}` : `unix://${socket}`,
    socket,
    pid: child.pid,
    pause: () => process.kill(child.pid, 'SIGSTOP'),
    resume: () => process.kill(child.pid, 'SIGCONT'),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await gone
      fs.rmSync(folder, { recursive: true, force: true })
    },
  }
}

// One command in the inline protocol's careful form; answers the raw reply.
function command(server, ...words) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(server.socket)
    let reply = ''
    socket.on('data', (data) => {
      reply += data.toString('latin1')
      socket.end()
    })
    socket.on('close', () => resolve(reply))
    socket.on('error', reject)
    socket.write(
      Buffer.concat([
        Buffer.from(`*${words.length}\r\n`),
        ...words.map((word) => {
          const bytes = Buffer.from(word)
          return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
        }),
      ]),
    )
  })
}

// Runs a program of this Node; resolves to { code, signal, out, ms }.
function run(source, { env = {}, timeout = 20_000, args = ['-e', source], cwd = __dirname } = {}) {
  return new Promise((resolve) => {
    const started = Date.now()
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    })
    let out = ''
    child.stdout.on('data', (data) => {
      out += data
    })
    child.stderr.on('data', (data) => {
      out += data
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, out, ms: Date.now() - started })
    })
  })
}

// A request whose headers go out as they are; resolves to { status, headers, body }.
function request(port, { method = 'GET', path: where = '/', headers = [] } = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(
      {
        port,
        host: '127.0.0.1',
        method,
        path: where,
        agent: false,
        headers: ['Host', `127.0.0.1:${port}`, ...headers.flat()],
      },
      (res) => {
        const chunks = []
        res.on('data', (chunk) => chunks.push(chunk))
        res.on('end', () =>
          resolve({
            status: res.statusCode,
            headers: res.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        )
        res.on('error', reject)
      },
    )
    req.on('error', reject)
    req.end()
  })
}

function listen(listener) {
  return new Promise((resolve) => {
    const server =
      typeof listener.listen === 'function' && typeof listener !== 'function'
        ? listener
        : http.createServer(listener)
    server.listen(0, '127.0.0.1', () =>
      resolve({
        port: server.address().port,
        close: () =>
          new Promise((done) => {
            server.closeAllConnections()
            server.close(done)
          }),
      }),
    )
  })
}

// A server for handlers of the web standard, (request, env) => Response: what an adapter such as
// @hono/node-server does.
function listenWeb(handler) {
  return listen(async (req, res) => {
    const url = `http://${req.headers.host}${req.url}`
    const headers = new Headers()
    for (let i = 0; i < req.rawHeaders.length; i += 2)
      headers.append(req.rawHeaders[i], req.rawHeaders[i + 1])
    const body = ['GET', 'HEAD'].includes(req.method)
      ? undefined
      : require('node:stream').Readable.toWeb(req)
    const request = new Request(url, { method: req.method, headers, body, duplex: 'half' })
    let response
    try {
      response = await handler(request, { incoming: req })
    } catch (error) {
      response = new Response(error.message, { status: error.status ?? 500 })
    }
    res.writeHead(response.status, Object.fromEntries(response.headers))
    if (response.body && req.method !== 'HEAD')
      for await (const chunk of response.body) if (!res.destroyed) res.write(chunk)
    res.end()
  })
}

module.exports = {
  ROOT,
  SERVERS,
  delay,
  until,
  freePort,
  startServer,
  command,
  run,
  request,
  listen,
  listenWeb,
}
