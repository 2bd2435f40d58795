#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict'

// The command line: `npx tidegate`. Thin over what the package does.
const fs = require('node:fs')
const { parseArgs } = require('node:util')
const { connect, validatePolicy, version } = require('./index.js')

const HELP = `tidegate COMMAND ...

  check FILE...                          what is wrong with policies, by line and column
  explain FILE [NAME=VALUE...] [--url U] what applies to a request and why, and how its limits stand
  ban KEY [--for 1h] [--reason R]        bans a caller; every process follows within a second
  unban KEY                              takes away what the live policy says of a caller

  --url URL    the store; default: $TIDEGATE_URL, or this process
  --who NAME   for the audit stream of ban and unban
  --version, --help
`

async function withGate(url, options, work) {
  const gate = connect(url, options)
  try {
    return await work(gate)
  } finally {
    gate.close()
  }
}

function check(files) {
  if (files.length === 0) throw new Error('check: expected a file')
  let faulty = false
  for (const file of files) {
    const faults = validatePolicy(fs.readFileSync(file, 'utf8'))
    for (const { line, column, path, message } of faults)
      console.log(`${file}:${line}:${column}: ${path ? `${path}: ` : ''}${message}`)
    if (faults.length === 0) console.log(`${file}: valid`)
    faulty ||= faults.length > 0
  }
  return faulty ? 1 : 0
}

async function explain([file, ...pairs], { url }) {
  if (file === undefined) throw new Error('explain: expected a file')
  const attributes = pairs.map((pair) => {
    const at = pair.indexOf('=')
    if (at < 1) throw new Error(`${pair}: expected NAME=VALUE, such as path=/v1/images`)
    return [pair.slice(0, at), pair.slice(at + 1)]
  })
  const found = await withGate(url, { policy: fs.readFileSync(file, 'utf8') }, (gate) =>
    gate.policy.explain(Object.fromEntries(attributes)),
  )
  console.log(JSON.stringify(found, null, 2))
  return 0
}

async function ban([key], { url, who, reason, for: span }) {
  if (key === undefined) throw new Error('ban: expected a caller')
  const entry = { ban: span ?? true, reason, by: who }
  const said = await withGate(url, {}, (gate) => gate.policy.setCaller(key, entry))
  console.log(`${key} is banned; version ${said} of the live policy`)
  return 0
}

async function unban([key], { url, who }) {
  if (key === undefined) throw new Error('unban: expected a caller')
  const said = await withGate(url, {}, (gate) => gate.policy.clear(key, { by: who }))
  console.log(`nothing is said of ${key}; version ${said} of the live policy`)
  return 0
}

const COMMANDS = { check, explain, ban, unban }

async function main() {
  const text = { type: 'string' }
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: text,
      who: text,
      reason: text,
      for: text,
      version: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.version) return console.log(version)
  const [name, ...rest] = positionals
  if (values.help) return process.stdout.write(HELP)
  if (!Object.hasOwn(COMMANDS, name ?? '')) throw new Error(`expected a command\n\n${HELP}`)
  process.exitCode = await COMMANDS[name](rest, values)
}

main().catch((error) => {
  console.error(`tidegate: ${error.message}`)
  process.exitCode = 2
})
