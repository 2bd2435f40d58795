// SPDX-License-Identifier: MIT
// An API behind two limits: 60 requests a minute for everything, 5 a minute for what is expensive,
// counted by API key or by address. /generate stands for a call of a language model: two at once
// for each caller, and tokens a minute, taken by estimate and settled when the use is known. Start
// it twice on two ports with one store, and the limits are shared:
//
//   node app.js --port 3000 --store redis://localhost
//   node app.js --port 3001 --store redis://localhost
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import express from 'express'
import { callerKey, connect } from 'tidegate'
import { rateLimit } from 'tidegate/express'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: process.env.PORT ?? '3000' },
    store: { type: 'string', default: process.env.TIDEGATE_URL ?? 'memory://' },
    limit: { type: 'string', default: '60/minute' },
    name: { type: 'string', default: 'global' },
    'admin-key': { type: 'string', default: process.env.ADMIN_KEY ?? 'letmein' },
  },
})

const gate = connect(options.store)
const overall = gate.limiter(options.limit, { name: options.name })
const expensive = gate.limiter('5/minute', { name: 'expensive' })
const tokens = gate.limiter('6000/minute overdraft 2000', { name: 'tokens' })
const generations = gate.limiter('2 at once', { name: 'generations', lease: '30s' })
const limiters = { global: overall, expensive, tokens, generations }
const byApiKey = (req) => req.get('x-api-key')

gate.on('event', ({ level, text }) => console.error(`${level}: ${text}`))

const app = express()
app.set('trust proxy', false) // behind a proxy: the number of proxies
app.disable('x-powered-by')

// The admin side is not limited, so that an operator gets in while a caller is denied.
const admin = express.Router()
admin.use((req, res, next) => {
  if (req.get('x-admin-key') === options['admin-key']) return next()
  res.status(401).json({ error: 'x-admin-key: missing or wrong' })
})
admin.get('/stats', (req, res) => res.json({ store: gate.url, ...gate.stats() }))
admin.get('/bucket/:caller', async (req, res) => {
  const buckets = await Promise.all(
    Object.entries(limiters).map(async ([name, limiter]) => [
      name,
      await limiter.peek(keyOf(req.params.caller)),
    ]),
  )
  res.json(Object.fromEntries(buckets))
})
admin.post('/reset/:caller', async (req, res) => {
  await Promise.all(
    Object.values(limiters).map((limiter) => limiter.reset(keyOf(req.params.caller))),
  )
  res.json({ reset: req.params.caller })
})
app.use('/admin', admin)

app.get('/health', (req, res) => res.json({ ok: true }))

app.use(rateLimit({ limit: overall, key: byApiKey }))
app.get('/api/data', (req, res) =>
  res.json({ data: [1, 2, 3], remaining: req.rateLimit.remaining }),
)
app.get('/api/expensive', rateLimit({ limit: expensive, key: byApiKey }), (req, res) =>
  res.json({ answer: 42, remaining: req.rateLimit.remaining }),
)

// The model cannot say beforehand what it will use, so its bound is reserved.
app.post('/generate', express.json(), async (req, res) => {
  const { prompt, maxTokens = 500 } = req.body ?? {}
  if (typeof prompt !== 'string' || !(Number.isInteger(maxTokens) && maxTokens > 0))
    return res.status(400).json({ error: 'expected {"prompt": text, "maxTokens": integer}' })
  const caller = callerKey(byApiKey(req), req.ip)
  const slot = await generations.slot(caller)
  try {
    if (!slot.allowed) return refuse(res, slot.decision)
    const reservation = await tokens.reserve(caller, wordsOf(prompt) + maxTokens)
    try {
      if (!reservation.allowed) return refuse(res, reservation.decision)
      const { answer, used } = await languageModel(prompt, maxTokens)
      await reservation.settle(used)
      res.json({ answer, used })
    } finally {
      await reservation[Symbol.asyncDispose]() // not settled: all is given back
    }
  } finally {
    await slot.release()
  }
})

function refuse(res, decision) {
  res.status(decision.status).set(decision.headers()).type('application/problem+json')
  res.send(decision.problem())
}

const wordsOf = (text) => text.split(/\s+/).filter(Boolean).length

// A stand-in: it "thinks", and says what it used. A prompt "fail" is too much for it.
async function languageModel(prompt, maxTokens) {
  await delay(300)
  if (prompt === 'fail') throw new Error('the model is confused')
  const answer = prompt.toUpperCase().split(/\s+/).filter(Boolean).slice(0, maxTokens)
  return { answer: answer.join(' '), used: wordsOf(prompt) + answer.length }
}

// Callers are asked for by API key, or as @address.
function keyOf(caller) {
  return caller.startsWith('@') ? callerKey(null, caller.slice(1)) : callerKey(caller)
}

const server = app.listen(Number(options.port), '127.0.0.1', (error) => {
  if (error) throw error
  console.log(`http://127.0.0.1:${server.address().port} on ${gate.url}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => gate.close())
    server.closeIdleConnections()
  })
}
