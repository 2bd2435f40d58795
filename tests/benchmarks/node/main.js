// SPDX-License-Identifier: MIT
// main.js JSON-FILE [embedded] [store] [middleware]: runs the parts (all), prints a table, writes
// the rows.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { machine, markdown } = require('./common.js')

const [file, ...chosen] = process.argv.slice(2)
const parts = chosen.length ? chosen : ['embedded', 'store', 'middleware']

async function startServer(program) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-bench-'))
  const socket = path.join(folder, 's')
  const child = spawn(
    program,
    ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder],
    { stdio: 'ignore' },
  )
  while (!fs.existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 10))
  return {
    socket,
    stop: () => {
      child.kill()
      fs.rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function main() {
  const server = await startServer(process.env.TIDEGATE_BENCH_SERVER)
  const rows = []
  try {
    for (const part of parts)
      rows.push(
        ...(await require(`./${part}.js`)({
          socket: server.socket,
          raw: process.env.TIDEGATE_BENCH_RAW,
        })),
      )
  } finally {
    server.stop()
  }
  fs.writeFileSync(file, `${JSON.stringify(rows, null, 1)}\n`)
  const table = `${machine()}\n\n${markdown(rows)}\n`
  fs.writeFileSync(file.replace(/\.json$/, '.md'), table)
  console.log(table)
}

main()
