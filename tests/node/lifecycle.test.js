// SPDX-License-Identifier: MIT
// Processes, workers and their ends.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { test } = require('node:test')
const { delay, run, startServer } = require('./support.js')

async function withServer(work) {
  const server = await startServer()
  try {
    await work(server)
  } finally {
    server.resume()
    await server.stop()
  }
}

const CONNECT = `
  const { connect } = require('tidegate')
  const gate = connect(process.env.STORE, { timeoutMs: Number(process.env.TIMEOUT || 5000) })
  const api = gate.limiter('1000000/hour')
`

const PUMPS = [
  ['the loop polls', {}],
  ['a thread polls', { TIDEGATE_NODE_PUMP_THREAD: '1' }],
]

for (const [pump, env] of PUMPS) {
  test(`${pump}: an idle gate keeps no process alive`, () =>
    withServer(async (server) => {
      const done = await run(`${CONNECT} api.consume('k').then((d) => console.log(d.source))`, {
        env: { STORE: server.url, ...env },
      })
      assert.deepEqual([done.code, done.out.trim()], [0, 'store'])
      const unused = await run(CONNECT, { env: { STORE: server.url, ...env } })
      assert.deepEqual([unused.code, unused.out], [0, ''])
    }))

  test(`${pump}: checks in flight keep it alive until they are done`, () =>
    withServer(async (server) => {
      server.pause()
      const done = await run(
        `${CONNECT} gate.limiter('1/s')
      for (let i = 0; i < 10; ++i) api.consume('k' + i).then((d) => { console.log(d.source) })`,
        { env: { STORE: server.url, TIMEOUT: '300', ...env } },
      )
      assert.equal(done.out.trim(), Array(10).fill('fallback').join('\n'))
      assert.equal(done.code, 0)
    }))

  test(`${pump}: many decisions, exactly`, () =>
    withServer(async (server) => {
      const done = await run(
        `${CONNECT}
      const worker = async (n) => { for (let i = 0; i < 200; ++i) await api.consume('k' + n) }
      Promise.all(Array.from({ length: 64 }, (_, n) => worker(n))).then(() => console.log(gate.stats().byStore))`,
        { env: { STORE: server.url, ...env } },
      )
      assert.deepEqual([done.code, done.out.trim()], [0, '12800'])
    }))

  test(`${pump}: process.exit with work in flight`, () =>
    withServer(async (server) => {
      server.pause()
      const done = await run(
        `${CONNECT}
      for (let i = 0; i < 100; ++i) api.consume('k' + i)
      setTimeout(() => process.exit(7), 50)`,
        { env: { STORE: server.url, ...env } },
      )
      assert.deepEqual([done.code, done.signal, done.out], [7, null, ''])
    }))
}

for (const [pump, env] of PUMPS) {
  test(`${pump}: 100 workers, terminated with work in flight`, () =>
    withServer(async (server) => {
      const done = await run(
        `
      const { Worker } = require('node:worker_threads')
      async function one(i) {
        const worker = new Worker(\`
          const { parentPort } = require('node:worker_threads')
          \${${JSON.stringify(CONNECT)}}
          async function go() { for (;;) await api.consume('w') }
          for (let n = 0; n < 20; ++n) go()
          setTimeout(() => parentPort.postMessage('busy'), 5)\`, { eval: true })
        await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
        await worker.terminate()
      }
      (async () => {
        for (let i = 0; i < 100; i += 2) await Promise.all([one(i), one(i + 1)])
        console.log('survived', process.memoryUsage().rss < 400e6)
      })()`,
        { env: { STORE: server.url, ...env }, timeout: 60_000 },
      )
      assert.deepEqual([done.code, done.signal, done.out.trim()], [0, null, 'survived true'])
    }))
}

test('a gate that nobody holds is collected, and its connection closed', () =>
  withServer(async (server) => {
    const done = await run(
      `
    const { connect } = require('tidegate')
    const fs = require('node:fs')
    const sockets = () => fs.readdirSync('/proc/self/fd').length
    async function use() { const gate = connect(process.env.STORE, { timeoutMs: 5000 }); await gate.limiter('1/s').consume('k') }
    (async () => {
      await use()
      const before = sockets()
      for (let i = 0; i < 50; ++i) await use()
      for (let i = 0; i < 20 && sockets() > before + 10; ++i) { gc(); await new Promise((r) => setTimeout(r, 20)) }
      console.log(sockets() <= before + 10)
    })()`,
      { env: { STORE: server.url, NODE_OPTIONS: '--expose-gc' } },
    )
    assert.deepEqual([done.code, done.out.trim()], [0, 'true'])
  }))

test('workers share the limit with the main thread', () =>
  withServer(async (server) => {
    const { connect } = require('tidegate')
    const gate = connect(server.url, { timeoutMs: 5000 })
    const api = gate.limiter('100/hour', { name: 'shared' })
    const counts = await Promise.all(
      [1, 2].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(
              `
      const { workerData, parentPort } = require('node:worker_threads')
      const api = require('tidegate').connect(workerData, { timeoutMs: 5000 }).limiter('100/hour', { name: 'shared' })
      Promise.all(Array.from({ length: 80 }, () => api.consume('k'))).then((all) =>
        parentPort.postMessage(all.filter((decision) => decision.allowed).length))`,
              { eval: true, workerData: server.url },
            )
            worker.once('message', resolve)
            worker.once('error', reject)
          }),
      ),
    )
    const mine = await Promise.all(Array.from({ length: 80 }, () => api.consume('k')))
    assert.equal(counts[0] + counts[1] + mine.filter((decision) => decision.allowed).length, 100)
    await gate.close()
  }))

test('a cluster admits exactly the quota', () =>
  withServer(async (server) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-cluster-'))
    const script = path.join(folder, 'cluster.js')
    fs.writeFileSync(
      script,
      `
    const cluster = require('node:cluster')
    const { connect } = require(${JSON.stringify(require.resolve('tidegate'))})
    const gate = connect(process.env.STORE, { timeoutMs: 5000 })
    const api = gate.limiter('100/hour', { name: 'shared' })
    if (cluster.isPrimary) {
      let sum = 0, left = 3
      api.consume('k').then((decision) => {
        sum += decision.allowed
        for (let i = 0; i < 3; ++i) cluster.fork().on('message', (n) => { sum += n; if (!--left) console.log(sum) })
      })
    } else {
      Promise.all(Array.from({ length: 60 }, () => api.consume('k'))).then((all) => {
        process.send(all.filter((decision) => decision.allowed).length, () => cluster.worker.disconnect())
      })
    }`,
    )
    const done = await run('', { args: [script], env: { STORE: server.url } })
    fs.rmSync(folder, { recursive: true })
    assert.deepEqual([done.code, done.out.trim()], [0, '100'])
  }))

test('two copies of the package in one process', () =>
  withServer(async (server) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-copy-'))
    const copy = path.join(folder, 'tidegate')
    fs.cpSync(path.join(path.dirname(require.resolve('tidegate')), '..'), copy, { recursive: true })
    const done = await run(
      `
    const copies = [require('tidegate'), require(${JSON.stringify(copy)})]
    const limiters = copies.map(({ connect }) => connect(process.env.STORE, { timeoutMs: 5000 }).limiter('50/hour', { name: 'two' }))
    ;(async () => {
      const all = await Promise.all(Array.from({ length: 80 }, (_, i) => limiters[i % 2].consume('k')))
      console.log(copies[0] !== copies[1], all.filter((decision) => decision.allowed).length)
      const { rateLimit } = require('tidegate/express')
      rateLimit({ limit: '1/s', store: copies[1].connect() })
    })()`,
      { env: { STORE: server.url } },
    )
    fs.rmSync(folder, { recursive: true })
    assert.deepEqual([done.code, done.out.trim()], [0, 'true 50'])
  }))

test('a worker that ends by itself lets go of its gate', () =>
  withServer(async (server) => {
    const exit = await new Promise((resolve, reject) => {
      const worker = new Worker(
        `
      const { workerData } = require('node:worker_threads')
      require('tidegate').connect(workerData).limiter('1/s').consume('k')`,
        { eval: true, workerData: server.url },
      )
      worker.once('exit', resolve)
      worker.once('error', reject)
    })
    assert.equal(exit, 0)
    await delay(1)
  }))

// Bun names libuv's functions and ends the process when one is called: there a thread must watch.
test('where the process is Bun, no function of libuv is called', () =>
  withServer(async (server) => {
    const source = (bun) => `
      ${bun ? "Object.defineProperty(process.versions, 'bun', { value: '1.2.3' })" : ''}
      const threads = () => require('node:fs').readdirSync('/proc/self/task').length
      ${CONNECT}
      const before = threads()
      api.consume('k').then((decision) => console.log(decision.source, threads() - before))`
    const env = { STORE: server.url }
    assert.equal((await run(source(false), { env })).out.trim(), 'store 0')
    assert.equal((await run(source(true), { env })).out.trim(), 'store 1')
  }))
