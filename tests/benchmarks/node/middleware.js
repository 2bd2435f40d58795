// SPDX-License-Identifier: MIT
// What a middleware adds to a request's p50 under wrk (one connection: latency, not queueing),
// beside the bare app.
'use strict'

const { execFile, spawn } = require('node:child_process')
const path = require('node:path')
const { promisify } = require('node:util')
const { interleaved, row, versionOf } = require('./common.js')

function start(kind, socket) {
  const child = spawn(process.execPath, [path.join(__dirname, 'http_app.js'), kind, socket ?? ''], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  return new Promise((resolve) => {
    child.stdout.once('data', (data) =>
      resolve({ port: Number(data), stop: () => child.stdin.end() }),
    )
  })
}

const MS = { us: 1e-3, ms: 1, s: 1e3 }

async function p50(port) {
  const { stdout } = await promisify(execFile)('wrk', [
    '-t1',
    '-c1',
    '-d2s',
    '--latency',
    `http://127.0.0.1:${port}/`,
  ])
  const [, value, unit] = /50%\s+([\d.]+)(us|ms|s)/.exec(stdout)
  return Number(value) * MS[unit]
}

module.exports = async ({ socket }) => {
  const kinds = {
    bare: ['bare'],
    memory: ['tidegate'],
    store: ['tidegate', socket],
    peerMemory: ['peer'],
    peerStore: ['peer', socket],
  }
  const apps = {}
  for (const [name, args] of Object.entries(kinds)) apps[name] = await start(...args)
  const found = await interleaved(
    Object.fromEntries(Object.entries(apps).map(([name, { port }]) => [name, () => p50(port)])),
  )
  for (const { stop } of Object.values(apps)) stop()
  const added = (name) => Math.max(0, found[name] - found.bare)
  const peer = versionOf('express-rate-limit')
  return [
    row(
      'Express, added p50, embedded',
      added('memory'),
      added('peerMemory'),
      `${peer} memory`,
      0.05,
      'ms',
      'less',
      added('memory'),
    ),
    row(
      'Express, added p50, server',
      added('store'),
      added('peerStore'),
      `${peer} + ${versionOf('rate-limit-redis')}`,
      0.2,
      'ms',
      'less',
      added('store'),
    ),
  ]
}
