// SPDX-License-Identifier: MIT
// Compiled, not run: what users write, under tsc --strict.
import http from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import tidegate, {
  connect,
  callerKey,
  ignoredOfLive,
  resolvePolicy,
  validatePolicy,
  ConfigError,
  Decision,
  Gate,
  Limiter,
  Part,
  Reservation,
  SettleError,
  Slot,
  type DecisionJSON,
  type PolicyFault,
  type Settlement,
  type Stats,
} from 'tidegate'
import { rateLimit } from 'tidegate/express'
import { rateLimit as plugin, routeRateLimit } from 'tidegate/fastify'
import { rateLimit as check, withRateLimit } from 'tidegate/http'
import { FakeClock } from 'tidegate/testing'
import { decisionOf, hono, rateLimit as limitWeb, withRateLimit as withWeb } from 'tidegate/web'

const gate: Gate = connect('redis://localhost', {
  timeoutMs: 50,
  onFailure: 'local',
  clock: new FakeClock(),
})
const api: Limiter = gate.limiter('100/minute burst 20', {
  name: 'api',
  algorithm: 'token_bucket',
  mode: 'shadow',
})
const decision: Decision = await api.consume('user:42', { cost: 1, timeoutMs: 20 })
const wait: number | null = decision.retryAfterMs
const headers: Record<string, string> = decision.headers(['standard'])
const both: Decision = await gate.consume([
  [api, 'a'],
  [api, Buffer.from('b'), 3],
])
const names: string[] = both.parts.map((part) => part.name)
const sync: boolean = connect().limiter('1/s').consumeSync('k', { cost: 2 }).allowed
await api.wait('k', { timeoutMs: 10, signal: AbortSignal.timeout(5) })
await api.refund('k', { cost: 1, source: decision.source })
api.change('200/minute', { onFailure: 'closed' })
const stats: Stats = gate.stats()
gate.on('event', (event) =>
  console.log(event.level.length, event.code?.length, event.time.getTime(), event.text),
)
const key: string = callerKey(null, '203.0.113.7')
if (!(new Error() instanceof ConfigError))
  console.log(tidegate.version, wait, headers, names, sync, stats.allowed, key)

// What they are at run time, classes; what an injector takes for tokens.
const tokens: Function[] = [Gate, Limiter, Decision, Part]
const { retryAfterMs }: DecisionJSON = decision.toJSON()
const never: boolean = retryAfterMs === 'never'
if (gate instanceof Gate && api instanceof Limiter) console.log(tokens, never, api.closed)
await api.consume(42, { cost: undefined, timeoutMs: undefined })
await gate.consume([[api, 42n, undefined]], { timeoutMs: undefined })
connect(new URL('redis://localhost'), { timeoutMs: undefined, namespace: undefined })
callerKey(false, null)
await api.debit('k', { cost: 5, source: decision.source })
await gate.debit([[api, 'k', 5]])
const slots: Limiter = gate.limiter('2 at once', { lease: '30s' })
gate.limiter('3 at once', { lease: 30_000 })
const acquired: Decision = await slots.acquire('k', 'id', { cost: 1 })
const renewed: boolean = acquired.parts[0]!.renewed
await slots.renew('k', Buffer.from('id'))
await slots.release('k', 'id', { source: acquired.source })
await gate.consume([[slots, 'k', 1, 'id']])
{
  await using reservation: Reservation = await api.reserve('k', 800)
  const { charged, decision: debit }: Settlement = await reservation.settle(500)
  await using both = await gate.reserve([
    [api, 'k', 5],
    [api, 'l', 5],
  ])
  await both.settle([1, 2]).catch((error) => error instanceof SettleError)
  await using slot: Slot = await slots.slot('k', {
    cost: 1,
    timeoutMs: 2000,
    signal: AbortSignal.timeout(5),
    onLost: () => console.log('lost'),
  })
  if (slot.allowed && !slot.lost) console.log(slot.id?.length, charged, debit?.parts[0]!.shortfall)
  await slot.release()
  console.log(renewed, slots.leaseMs, slots.rates[0]?.overdraft)
}
api.close()
{
  await using own = connect()
  own.limiter('1/s')
}

const app = express()
app.use(rateLimit({ limit: '60/minute' }))
app.use(
  rateLimit({
    limit: '60/minute',
    name: undefined,
    store: new URL('redis://localhost'),
    key: (req) => req.get('x-api-key') !== undefined && 5,
    message: undefined,
    onDenied: undefined,
    handler: (req, res, next, options) => res.status(options.statusCode).send(options.message),
  }),
)
app.post(
  '/expensive',
  rateLimit(
    {
      limit: (req) => (req.get('x-tier') === 'gold' ? api : '5/minute'),
      store: gate,
      key: (req) => req.get('x-api-key'),
      cost: () => 1,
      skip: async () => false,
      headers: ['standard', 'legacy'],
      onDenied: (req, res, next, denied) =>
        res.status(429).json({ wait: denied.retryAfterMs, path: req.path }),
    },
    { limit: '1/s' },
  ),
  (req, res) => {
    res.json(req.rateLimit?.remaining)
  },
)
app.use(
  rateLimit({
    windowMs: 60_000,
    max: 5,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    message: { error: 1 },
  }),
)

const limited = check({ limit: '5/minute' })
http.createServer(async (req, res) => {
  if (await limited(req, res)) res.end('ok')
})
http.createServer(
  withRateLimit({ limit: '5/minute', key: (req) => req.headers.host }, (req, res) => {
    res.end(String(req.rateLimit?.remaining))
  }),
)

const fastify = Fastify()
await fastify.register(plugin, { limit: '5/minute', key: (request) => request.ip })
fastify.get(
  '/',
  { onRequest: routeRateLimit({ limit: '1/s' }) },
  async (request) => request.rateLimit?.remaining,
)

const guarded = connect('memory://', { policy: new URL('file:///limits.yaml') })
const checked: Decision = await guarded.check(
  { path: '/', identity: 'k', images: 4, hd: true, tenant: undefined },
  { after: decision, timeoutMs: 20 },
)
await checked.finish(200, { used: 350 })
const [verdict, reason, fields]: [string, string | null, Record<string, string>] = [
  checked.verdict,
  checked.reason,
  checked.fields,
]
const faults: PolicyFault[] = validatePolicy({ version: 1 })
const version: number = await guarded.policy.setCaller('k', { ban: '1h', reason: 'r', by: 'me' })
await guarded.policy.setLimit('images', '20/minute', { until: new Date(), mode: 'shadow' })
await guarded.policy.setTier('pro', ['api'])
await guarded.policy.replace({}, { by: 'me' })
console.log(verdict, reason, fields, faults[0]?.line, version, guarded.policy.live().version)
console.log(resolvePolicy('a.yaml', { path: '/' }, { live: {}, nowUs: 0 }).verdict)
const left: string[] = ignoredOfLive({ version: 1 }, '{}')
console.log(left, guarded.checkSync({ path: '/' }).status, await guarded.policy.explain({ path: '/' }))

app.use(
  rateLimit({
    store: guarded,
    identity: (req) => req.get('x-api-key'),
    tier: async (req) => req.get('x-tier'),
    attributes: (req) => ({ images: Number(req.query.n), tenant: undefined }),
    settle: (req, res) => ({ used: res.locals.used }),
    onError: (req, res, next, error) => next(error),
  }),
)
app.use(
  rateLimit({
    limit: ['10/minute', (req) => (req.secure ? '5/minute' : api)],
    key: [null, (req) => req.get('x-api-key')],
    name: ['a', undefined],
    cost: [1, () => 2],
  }),
)
await fastify.register(plugin, { policy: { version: 1 }, tier: 'pro', lease: '10s' })

export const GET = withWeb(
  { limit: '5/minute', key: (request) => request.headers.get('x-api-key'), trustedProxies: 1 },
  async (request, { params }: { params: Promise<{ id: string }> }) =>
    Response.json({ id: (await params).id, left: decisionOf(request)?.remaining }),
)
const one = limitWeb({ limit: '5/minute', onDenied: (request, next) => next() })
const answered: Response = await one(new Request('http://a/'), async () => new Response('ok'))
const web = new Hono()
web.use(hono({ limit: '5/minute', key: (c) => c.req.header('x-api-key') }))
console.log(answered.status)
