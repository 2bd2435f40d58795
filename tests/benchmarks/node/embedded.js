// SPDX-License-Identifier: MIT
// consumeSync on the embedded store beside rate-limiter-flexible's memory store, and what requiring
// the package costs.
'use strict'

const { connect } = require('tidegate')
const { RateLimiterMemory } = require('rate-limiter-flexible')
const { interleaved, median, row, versionOf, node } = require('./common.js')

const COUNT = 200_000

async function embedded() {
  const rows = []
  for (const keys of [1, 100_000]) {
    const gate = connect('memory://')
    const ours = gate.limiter('1000000000/second')
    const theirs = new RateLimiterMemory({ points: 1e9, duration: 1 })
    const names = Array.from({ length: keys }, (_, i) => `user:${i}`)
    const nsOf = (started) => Number(process.hrtime.bigint() - started) / COUNT
    const found = await interleaved({
      sync() {
        const started = process.hrtime.bigint()
        for (let i = 0; i < COUNT; ++i) ours.consumeSync(names[i % keys])
        return nsOf(started)
      },
      async await() {
        const started = process.hrtime.bigint()
        for (let i = 0; i < COUNT; ++i) await ours.consume(names[i % keys])
        return nsOf(started)
      },
      async peer() {
        const started = process.hrtime.bigint()
        for (let i = 0; i < COUNT; ++i) await theirs.consume(names[i % keys])
        return nsOf(started)
      },
    })
    const version = versionOf('rate-limiter-flexible')
    const label = keys === 1 ? 'one key' : `${keys.toLocaleString('en')} keys`
    rows.push(
      row(
        `embedded consumeSync, ${label}`,
        found.sync,
        found.peer,
        `${version} memory`,
        3,
        'ns',
        'more',
        found.peer / found.sync,
      ),
    )
    rows.push(
      row(
        `embedded await consume, ${label}`,
        found.await,
        found.peer,
        `${version} memory`,
        1,
        'ns',
        'more',
        found.peer / found.await,
      ),
    )
    await gate.close()
  }
  return rows
}

function requireTime() {
  const timed = `const s = process.hrtime.bigint(); require('tidegate'); console.log(Number(process.hrtime.bigint() - s) / 1e6)`
  const ms = median(Array.from({ length: 7 }, () => Number(node(timed))))
  return row('require("tidegate")', ms, 0, 'an empty process', 30, 'ms', 'less', ms)
}

module.exports = async () => [...(await embedded()), requireTime()]
