// SPDX-License-Identifier: MIT
// The app under load: argv: bare | tidegate | peer, and the store's socket or ''. Says its port;
// ends with its parent.
'use strict'

const express = require('express')
const [kind, socket] = process.argv.slice(2)
const app = express()
app.disable('etag')

if (kind === 'tidegate') {
  const { connect } = require('tidegate')
  const { rateLimit } = require('tidegate/express')
  const gate = socket ? connect(`unix://${socket}`, { timeoutMs: 5000 }) : connect('memory://')
  app.use(rateLimit({ limit: '1000000/second', store: gate }))
} else if (kind === 'peer') {
  const { rateLimit } = require('express-rate-limit')
  const options = { windowMs: 1000, limit: 1e6, standardHeaders: 'draft-8', legacyHeaders: true }
  if (socket) {
    const { RedisStore } = require('rate-limit-redis')
    const client = new (require('ioredis'))({ path: socket })
    options.store = new RedisStore({ sendCommand: (...words) => client.call(...words) })
  }
  app.use(rateLimit(options))
}

app.get('/', (req, res) => res.send('ok'))
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit(0)).resume()
