// SPDX-License-Identifier: MIT
// A server: many checks in flight beside rate-limiter-flexible and rate-limit-redis over ioredis,
// what they cost the main thread, and one caller beside a raw blocking EVALSHA of the same program.
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const Redis = require('ioredis')
const { RateLimiterRedis } = require('rate-limiter-flexible')
const { RedisStore } = require('rate-limit-redis')
const { connect } = require('tidegate')
const { interleaved, median, quantile, row, versionOf } = require('./common.js')

const COUNT = Number(process.env.COUNT ?? 40_000)

// Decisions a second, and CPU microseconds of this process for each.
async function load(inFlight, consume) {
  let next = 0
  const worker = async () => {
    while (next < COUNT) await consume(`user:${next++}`)
  }
  const cpu = process.cpuUsage(),
    started = performance.now()
  await Promise.all(Array.from({ length: inFlight }, worker))
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { rate: COUNT / seconds, cpu: (user + system) / COUNT }
}

async function inFlight(socket) {
  const gate = connect(`unix://${socket}`, { timeoutMs: 5000 })
  const ours = gate.limiter('1000000/second', { name: 'bench' })
  const client = new Redis({ path: socket })
  const flexible = new RateLimiterRedis({ storeClient: client, points: 1e6, duration: 1 })
  const store = new RedisStore({ sendCommand: (...words) => client.call(...words), prefix: 'rl:' })
  store.init({ windowMs: 1000 })
  const version = `${versionOf('rate-limiter-flexible')} + ${versionOf('ioredis')}`
  const rows = []
  for (const [n, target] of [
    [64, 2.5],
    [512, 3],
  ]) {
    const cpu = { ours: [], flexible: [], store: [] }
    const measured = (name, consume) => async () => {
      const found = await load(n, consume)
      cpu[name].push(found.cpu)
      return found.rate
    }
    const found = await interleaved({
      ours: measured('ours', (key) => ours.consume(key)),
      flexible: measured('flexible', (key) => flexible.consume(key)),
      store: measured('store', (key) => store.increment(key)),
    })
    rows.push(
      row(
        `${n} in flight, distinct keys`,
        found.ours,
        found.flexible,
        version,
        target,
        '/s',
        'more',
      ),
    )
    rows.push(
      row(
        `${n} in flight, distinct keys`,
        found.ours,
        found.store,
        `${versionOf('rate-limit-redis')} + ioredis`,
        target,
        '/s',
        'more',
      ),
    )
    const mine = median(cpu.ours),
      theirs = median(cpu.flexible)
    rows.push(
      row(`${n} in flight: CPU for each decision`, mine, theirs, version, 0.2, 'us', 'less'),
    )
  }
  client.disconnect()
  await gate.close()
  return rows
}

// MONITOR shows bytes as \xHH.
function unescaped(word) {
  return word.replace(/\\x([0-9a-f]{2})|\\(.)/g, (all, hex, sign) =>
    hex
      ? String.fromCharCode(parseInt(hex, 16))
      : ({ n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' }[sign] ?? sign),
  )
}

// The very command that we send, as the server's MONITOR shows it, sent again by a blocking client
// in C.
async function captured(socket, consume) {
  const client = new Redis({ path: socket })
  const monitor = await client.monitor()
  const seen = new Promise((resolve) =>
    monitor.on('monitor', (time, words) => {
      if (words[0].toUpperCase() === 'EVALSHA') resolve(words.map(unescaped))
    }),
  )
  await consume('user:raw')
  const words = await seen
  monitor.disconnect()
  client.disconnect()
  return words
}

async function oneCaller(socket, raw) {
  const gate = connect(`unix://${socket}`, { timeoutMs: 5000 })
  const ours = gate.limiter('1000000/second', { name: 'bench' })
  await ours.consume('user:raw')
  const words = await captured(socket, (key) => ours.consume(key))
  const file = `${socket}.command`
  fs.writeFileSync(
    file,
    words.map((word) => `${Buffer.byteLength(word, 'latin1')}\n${word}\n`).join(''),
    'latin1',
  )
  const client = new Redis({ path: socket })
  const flexible = new RateLimiterRedis({ storeClient: client, points: 1e6, duration: 1 })
  const p50 = (consume) => async () => {
    const times = []
    for (let i = 0; i < 4000; ++i) {
      const started = process.hrtime.bigint()
      await consume('user:raw')
      times.push(Number(process.hrtime.bigint() - started) / 1000)
    }
    return quantile(
      times.sort((a, b) => a - b),
      0.5,
    )
  }
  const measures = {
    ours: p50((key) => ours.consume(key)),
    flexible: p50((key) => flexible.consume(key)),
  }
  if (raw)
    measures.raw = async () =>
      Number(execFileSync(raw, [socket, file, '4000'], { encoding: 'utf8' }))
  const found = await interleaved(measures)
  const rows = [
    row(
      'one caller, p50',
      found.ours,
      found.flexible,
      `${versionOf('rate-limiter-flexible')} + ${versionOf('ioredis')}`,
      1,
      'us',
      'less',
    ),
  ]
  if (raw)
    rows.unshift(
      row('one caller, p50', found.ours, found.raw, 'a raw hiredis EVALSHA', 1.1, 'us', 'less'),
    )
  client.disconnect()
  await gate.close()
  return rows
}

module.exports = async ({ socket, raw }) => [
  ...(await oneCaller(socket, raw)),
  ...(await inFlight(socket)),
]
