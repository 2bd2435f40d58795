// SPDX-License-Identifier: MIT
// Rounds that take turns, medians, and one row of the table.
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
const ROUNDS = Number(process.env.ROUNDS ?? 5)

// measures: { name: async () => number }. Every round runs each once; the medians by name.
async function interleaved(measures, rounds = ROUNDS) {
  const found = Object.fromEntries(Object.keys(measures).map((name) => [name, []]))
  for (const measure of Object.values(measures)) await measure() // warm
  for (let round = 0; round < rounds; ++round)
    for (const [name, measure] of Object.entries(measures)) found[name].push(await measure())
  return Object.fromEntries(Object.entries(found).map(([name, list]) => [name, median(list)]))
}

// better: which side of the target is good, 'more' or 'less'. The ratio is ours to the peer's.
function row(name, ours, peer, peerVersion, target, unit, better, times = ours / peer) {
  const met = better === 'more' ? times >= target : times <= target
  return {
    row: name,
    ours,
    peer,
    peer_version: peerVersion,
    ratio: times,
    target: `${better === 'more' ? '>=' : '<='} ${target}${unit === 'ms' && times !== ours / peer ? ' ms' : ' x'}`,
    met,
    unit,
  }
}

function versionOf(name) {
  const file = path.join(__dirname, 'node_modules', name, 'package.json')
  return `${name} ${JSON.parse(fs.readFileSync(file)).version}`
}

function round3(value) {
  return value === null
    ? '-'
    : value >= 1000
      ? Math.round(value).toLocaleString('en')
      : String(Number(value.toPrecision(3)))
}

function markdown(rows) {
  return [
    '| what | ours | peer | | ratio | to reach | |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map(
      (r) =>
        `| ${r.row} | ${round3(r.ours)} ${r.unit} | ${round3(r.peer)} ${r.unit} | ${r.peer_version} | ` +
        `${round3(r.ratio)} | ${r.target} | ${r.met ? 'met' : 'not met'} |`,
    ),
  ].join('\n')
}

function machine() {
  const cpus = require('node:os').cpus()
  return `${cpus.length} x ${cpus[0].model}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`
}

const node = (source, env) =>
  execFileSync(process.execPath, ['-e', source], {
    encoding: 'utf8',
    cwd: __dirname,
    env: { ...process.env, ...env },
  })

module.exports = { interleaved, median, quantile, row, versionOf, markdown, machine, node, round3 }
