// SPDX-License-Identifier: MIT
// A small API under examples/policy.yaml: tiers by API key or by address, an expensive endpoint,
// tokens and generations of a language model, and an admin side that changes all that live. Start
// it twice on two ports with one store, and the limits are shared:
//
//   node app.js --port 3000 --store redis://localhost
//   node app.js --port 3001 --store redis://localhost
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import express from 'express'
import { connect } from 'tidegate'
import { rateLimit } from 'tidegate/express'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: process.env.PORT ?? '3000' },
    store: { type: 'string', default: process.env.TIDEGATE_URL ?? 'memory://' },
    policy: { type: 'string', default: fileURLToPath(new URL('../policy.yaml', import.meta.url)) },
    'admin-token': { type: 'string', default: process.env.ADMIN_TOKEN ?? 'let-me-in' },
  },
})

const gate = connect(options.store, { policy: options.policy })
gate.on('event', ({ level, text }) => console.error(`${level}: ${text}`))

const app = express()
app.set('trust proxy', false) // behind a proxy: the number of proxies
app.disable('x-powered-by')

app.use(
  rateLimit({
    store: gate,
    identity: (req) => req.get('x-api-key'),
    attributes: (req) => ({ tokens: maxTokens(req) }),
    settle: (req, res) => ({ tokens_used: res.locals.tokensUsed }),
  }),
)

app.get('/health', (req, res) => res.json({ status: 'ok' }))
app.get('/items', (req, res) =>
  res.json([
    { id: 1, name: 'first' },
    { id: 2, name: 'second' },
  ]),
)
app.post('/report', (req, res) => res.json({ report: 'done' })) // 5 a minute, whatever the tier

// The policy has reserved one of two places and the most that the model may use.
app.post('/generate', express.text({ type: () => true, limit: '1mb' }), async (req, res) => {
  if (typeof req.body !== 'string' || !req.body.trim())
    return res.status(400).json({ error: "expected a prompt as the request's body" })
  const { answer, used } = await languageModel(req.body, maxTokens(req))
  res.locals.tokensUsed = used
  res.set('X-Tokens-Used', String(used)).type('text/plain').send(`${answer}\n`)
})

function maxTokens(req) {
  const given = req.query.max_tokens
  return typeof given === 'string' && /^\d{1,6}$/.test(given) ? Number(given) : 500
}

const wordsOf = (text) => text.split(/\s+/).filter(Boolean)

// A stand-in: it "thinks", and says what it used. A prompt "fail" is too much for it.
async function languageModel(prompt, most) {
  await delay(300)
  if (prompt === 'fail') throw new Error('the model is confused')
  const answer = wordsOf(prompt.toUpperCase()).slice(0, most)
  return { answer: answer.join(' '), used: wordsOf(prompt).length + answer.length }
}

// The policy exempts the admin side, so that an operator gets in while a caller is denied.
const admin = express.Router()
app.use('/admin', admin)
admin.use(express.json(), (req, res, next) => {
  if (req.get('x-admin-token') === options['admin-token']) return next()
  res.status(403).json({ error: 'X-Admin-Token is missing or wrong' })
})
admin.get('/stats', (req, res) => res.json({ store: gate.url, ...gate.stats() }))
admin.get('/callers/:caller', async (req, res) =>
  res.json(
    await gate.policy.explain({ method: 'GET', path: '/items', identity: req.params.caller }),
  ),
)
// What every process on the store follows within a second: {"ban": "1h", "reason": "scraping"}, or
// {"tier": "pro"}; and {"rate": "10/minute"} for a limit.
admin.put('/callers/:caller', (req, res) => {
  const { ban, tier, reason } = req.body ?? {}
  return change(res, gate.policy.setCaller(req.params.caller, { ban, tier, reason }))
})
admin.delete('/callers/:caller', (req, res) => change(res, gate.policy.clear(req.params.caller)))
admin.put('/limits/:name', (req, res) =>
  change(res, gate.policy.setLimit(req.params.name, String(req.body?.rate))),
)
admin.delete('/limits/:name', (req, res) => change(res, gate.policy.setLimit(req.params.name, null)))

async function change(res, edit) {
  try {
    res.json({ version: await edit })
  } catch (error) {
    if (error.name !== 'ConfigError' && !(error instanceof TypeError)) throw error
    res.status(400).json({ error: error.message })
  }
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
