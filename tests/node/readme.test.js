// SPDX-License-Identifier: MIT
// What the README shows of policies and of the web runs, and prints what it says behind it.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { run } = require('./support.js')

const README = fs.readFileSync(path.join(path.dirname(require.resolve('tidegate')), '../README.md'), 'utf8')

function blocks(heading, language) {
  const from = README.indexOf(`\n## ${heading}`)
  const section = README.slice(from, README.indexOf('\n## ', from + 1))
  const found = section.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))
  return [...found].map(([, text]) => text)
}

for (const heading of ['Policies', 'Hono, Next.js, Bun, Deno'])
  test(heading, async (t) => {
    const folder = fs.mkdtempSync(path.join(__dirname, 'readme-'))
    t.after(() => fs.rmSync(folder, { recursive: true }))
    for (const policy of blocks(heading, 'yaml')) fs.writeFileSync(path.join(folder, 'limits.yaml'), policy)
    const code = blocks(heading, 'js').join('\n')
    const expected = [...code.matchAll(/^console\.log\(.*\) +\/\/ (.*)$/gm)].map(([, text]) => text)
    assert.ok(expected.length > 0)
    fs.writeFileSync(path.join(folder, 'it.mjs'), code)
    const done = await run('', { args: ['it.mjs'], cwd: folder })
    assert.deepEqual([done.code, done.out.trim().split('\n')], [0, expected])
  })
