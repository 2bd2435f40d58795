// SPDX-License-Identifier: MIT
import { Algorithm, Decision, Gate, HeaderStyle, Limiter, Mode, OnFailure } from './index.js'

type Awaitable<T> = T | Promise<T>

/** What every middleware takes. Several names of one option mean the same; give one of them. */
export interface RateLimitOptions<Req, Res> {
  /** "5/minute", a limiter, or a function that returns one. A number needs windowMs. */
  limit?: string | number | Limiter | ((req: Req, res: Res) => Awaitable<string | number | Limiter>)
  max?: number
  windowMs?: number
  points?: number
  /** Seconds. */
  duration?: number
  requestsPerMinute?: number
  /** The burst, beside requestsPerMinute, points or windowMs. */
  capacity?: number
  name?: string
  algorithm?: Algorithm
  mode?: Mode
  onFailure?: OnFailure
  /** A gate, or a URL. Without it all middleware of the process share one gate. */
  store?: Gate | string
  /** Who is calling; nothing returned: the address. */
  key?: (req: Req, res: Res) => Awaitable<string | number | null | undefined>
  identifier?: (req: Req, res: Res) => Awaitable<string | number | null | undefined>
  keyGenerator?: (req: Req, res: Res) => Awaitable<string | number | null | undefined>
  cost?: number | ((req: Req, res: Res) => Awaitable<number>)
  skip?: (req: Req, res: Res) => Awaitable<boolean>
  exempt?: string[] | ((req: Req) => Awaitable<boolean>)
  /** Replaces the problem+json body: a text, or an object that is sent as JSON. */
  message?: string | object | ((req: Req, res: Res) => Awaitable<string | object>)
  /** Default: standard and legacy. */
  headers?: HeaderStyle[] | false
  standardHeaders?: boolean | string
  legacyHeaders?: boolean
  onDenied?: (req: Req, res: Res, next: (error?: unknown) => void, decision: Decision) => unknown
  handler?: (req: Req, res: Res, next: (error?: unknown) => void, decision: Decision) => unknown
  /** How much of X-Forwarded-For to believe: a number of proxies, or their networks. */
  trustedProxies?: number | string[]
  ipv6Prefix?: number
}
