// SPDX-License-Identifier: MIT
// The packed package itself: what is in it, how it is loaded, what it says where it cannot be, its
// types.
'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { ROOT, run } = require('./support.js')

const folder = path.join(path.dirname(require.resolve('tidegate')), '..')
const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json')))

function copied(work) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-package-'))
  const copy = path.join(home, 'tidegate')
  fs.cpSync(folder, copy, { recursive: true })
  return Promise.resolve(work(copy)).finally(() => fs.rmSync(home, { recursive: true }))
}

test('its version is the one of tidegate.h', () => {
  const header = fs.readFileSync(path.join(ROOT, 'capi/include/tidegate.h'), 'utf8')
  const version = /#define TG_VERSION "(.+)"/.exec(header)[1]
  assert.equal(manifest.version, version)
  assert.equal(require('tidegate').version, version)
})

test("it has no install script and no dependencies, but this platform's binary", () => {
  assert.equal(manifest.scripts, undefined)
  assert.equal(manifest.dependencies, undefined)
  assert.equal(manifest.gypfile, undefined)
  const [prebuild] = fs.readdirSync(path.join(folder, 'prebuilds'))
  assert.match(prebuild, new RegExp(`^${process.platform}-${process.arch}-(glibc|musl)$`))
  assert.ok(fs.existsSync(path.join(folder, 'LICENSE')))
})

test('the binary shows nothing but its entry points, and needs neither OpenSSL nor libstdc++', () => {
  const [prebuild] = fs.readdirSync(path.join(folder, 'prebuilds'))
  const binary = path.join(folder, 'prebuilds', prebuild, 'tidegate.node')
  const symbols = execFileSync('nm', ['-D', '--defined-only', binary], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.split(' ').at(-1))
    .filter((name) => name)
  assert.deepEqual(symbols.sort(), [
    'napi_register_module_v1',
    'node_api_module_get_api_version_v1',
  ])
  const needed = execFileSync('readelf', ['-d', binary], { encoding: 'utf8' })
  assert.doesNotMatch(needed, /NEEDED.*(ssl|crypto|stdc\+\+|hiredis|yaml)/)
})

test('it brings the licences of what is linked into it', () => {
  const name = 'THIRD_PARTY_LICENSES'
  const brought = fs.readFileSync(path.join(folder, name), 'utf8')
  assert.equal(brought, fs.readFileSync(path.join(ROOT, 'packaging', name), 'utf8'))
  for (const project of ['hiredis', 'libyaml', 'xxHash', 'OpenSSL', 'node-addon-api'])
    assert.match(brought, new RegExp(`^${project}\\n=+\\n\\n.*Copyright`, 'ms'))
})

test('import and require are one package', async () => {
  const esm = await import('tidegate')
  const cjs = require('tidegate')
  assert.equal(esm.connect, cjs.connect)
  assert.equal(esm.default, cjs)
  for (const part of ['express', 'http', 'fastify', 'web', 'testing']) {
    const [imported, required] = [await import(`tidegate/${part}`), require(`tidegate/${part}`)]
    for (const name of Object.keys(required).filter((key) => key !== 'default'))
      assert.equal(imported[name], required[name], `${part}: ${name}`)
  }
  assert.equal((await import('tidegate/express')).default, require('tidegate/express').rateLimit)
})

test('where no prebuilt fits, the error names platform, libc, what is shipped, and how to build', () =>
  copied(async (copy) => {
    fs.renameSync(
      path.join(copy, 'prebuilds', fs.readdirSync(path.join(copy, 'prebuilds'))[0]),
      path.join(copy, 'prebuilds', 'darwin-arm64'),
    )
    const done = await run(
      `try { require(${JSON.stringify(copy)}) } catch (error) { console.log(error.code, error.message) }`,
    )
    assert.match(done.out, /^ERR_TIDEGATE_NO_BINARY/)
    assert.match(done.out, new RegExp(`${process.platform} ${process.arch}, (glibc|musl)`))
    assert.match(done.out, /ships: darwin-arm64/)
    assert.match(done.out, /To build it, in a clone.*bindings\/node\/pack/)
  }))

test("a binary that does not load says why; one of one's own can be named", () =>
  copied(async (copy) => {
    const binary = path.join(
      copy,
      'prebuilds',
      fs.readdirSync(path.join(copy, 'prebuilds'))[0],
      'tidegate.node',
    )
    const own = path.join(copy, 'own.node')
    fs.renameSync(binary, own)
    fs.writeFileSync(binary, 'no binary')
    const broken = await run(
      `try { require(${JSON.stringify(copy)}) } catch (error) { console.log(error.code, error.message) }`,
    )
    assert.match(broken.out, /ERR_TIDEGATE_NO_BINARY.*Loading it said: /)
    const named = await run(
      `console.log(require(${JSON.stringify(copy)}).connect().limiter('1/s').consumeSync('k').allowed)`,
      { env: { TIDEGATE_NODE_BINARY: own } },
    )
    assert.equal(named.out.trim(), 'true')
  }))

const TSC = [
  '--strict --exactOptionalPropertyTypes --noEmit --target es2022 --types node',
  '--module nodenext --moduleResolution nodenext',
]

function compile(file, ...more) {
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc')
  const options = { cwd: __dirname, stdio: 'pipe', encoding: 'utf8' }
  return execFileSync(process.execPath, [tsc, ...TSC.join(' ').split(' '), ...more, file], options)
}

test('types: tsc --strict, as a module and as CommonJS', { timeout: 120_000 }, () => {
  for (const file of ['types.mts', 'types.cts']) compile(file)
  assert.throws(
    () => compile('types_wrong.mts'),
    ({ stdout }) => {
      const lines = [...stdout.matchAll(/types_wrong\.mts\((\d+),/g)].map(([, line]) =>
        Number(line),
      )
      assert.deepEqual(lines, [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], stdout)
      assert.match(stdout, /'limits' does not exist in type 'RateLimitOptions</)
      return true
    },
  )
})

test('`await using` closes a gate', async () => {
  const gate = require('tidegate').connect()
  await gate[Symbol.asyncDispose]()
  assert.equal(gate.closed, true)
})
