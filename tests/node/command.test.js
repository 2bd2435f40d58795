// SPDX-License-Identifier: MIT
// The command line, as a user calls it.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const folder = path.join(path.dirname(require.resolve('tidegate')), '..')
const { bin } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json')))
const POLICY =
  'version: 1\nlimiters: {api: 3/minute}\nrules:\n  - {when: {path: /health}, exempt: true}\n  - limit: api\n'

function run(...words) {
  const done = spawnSync(process.execPath, [path.join(folder, bin.tidegate), ...words], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { code: done.status, out: done.stdout, err: done.stderr }
}

function written(text) {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-command-')), 'limits.yaml')
  fs.writeFileSync(file, text)
  return file
}

test('check says what is wrong, and where', () => {
  const valid = written(POLICY)
  assert.deepEqual(run('check', valid), { code: 0, out: `${valid}: valid\n`, err: '' })
  const faulty = written(POLICY.replace('limit: api\n', 'limit: app\n'))
  const said = run('check', faulty, valid)
  assert.equal(said.code, 1)
  assert.ok(said.out.startsWith(`${faulty}:5:12: rules[1].limit: `), said.out)
  assert.equal(run('check', `${valid}.none`).code, 2)
})

test('explain says what applies, and how it stands', () => {
  const said = run('explain', written(POLICY), 'path=/', 'identity=k_1')
  assert.equal(said.code, 0, said.err)
  const answer = JSON.parse(said.out)
  assert.equal(answer.verdict, 'limits')
  assert.equal(answer.states[0].remaining, 3)
  assert.equal(run('explain', written(POLICY), 'path').code, 2)
})

test('ban and unban change the live policy', () => {
  assert.match(run('ban', 'k_1', '--for', '1h', '--reason', 'loud').out, /k_1 is banned; version 1/)
  assert.equal(run('unban', 'k_1').code, 0)
  const wrong = run('ban', '203.0.113.0/99')
  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /^tidegate: .*callers/)
})

test('help, and what is no command', () => {
  assert.match(run('--help').out, /check FILE/)
  assert.equal(run('frobnicate').code, 2)
})
