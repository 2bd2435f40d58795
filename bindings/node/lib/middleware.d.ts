// SPDX-License-Identifier: MIT
import {
  Algorithm,
  Decision,
  Gate,
  HeaderStyle,
  Identity,
  Limiter,
  Mode,
  OnFailure,
} from './index.js'

type Awaitable<T> = T | Promise<T>
type ByRequest<Req, Res, T> = (req: Req, res: Res) => Awaitable<T>

/** What express-rate-limit hands to a handler: the options, and what is to be sent. */
export interface HandlerOptions {
  /** 429, or 503 where the failure policy closed. */
  statusCode: number
  /** The message of the options, a function's result too; without one a text. */
  message: any
  [option: string]: any
}

/** What every middleware takes. Several names of one option mean the same; give one of them. */
export interface RateLimitOptions<Req, Res> {
  /** "5/minute", a limiter, or a function that returns one. A number needs windowMs. */
  limit?: string | number | Limiter | ByRequest<Req, Res, string | number | Limiter> | undefined
  max?: number | undefined
  /** Beside a limit or max that is a number. */
  windowMs?: number | undefined
  points?: number | undefined
  /** Seconds, beside points. */
  duration?: number | undefined
  requestsPerMinute?: number | undefined
  /** The burst, beside requestsPerMinute, points or windowMs. */
  capacity?: number | undefined
  name?: string | undefined
  algorithm?: Algorithm | undefined
  mode?: Mode | undefined
  onFailure?: OnFailure | undefined
  /** A gate, or a URL. Without it all middleware of the process share one gate. */
  store?: Gate | string | URL | undefined
  /** Who is calling; nothing (whatever is falsy) returned: the address. */
  key?: ByRequest<Req, Res, Identity | void> | undefined
  identifier?: ByRequest<Req, Res, Identity | void> | undefined
  keyGenerator?: ByRequest<Req, Res, Identity | void> | undefined
  cost?: number | ByRequest<Req, Res, number> | undefined
  skip?: ByRequest<Req, Res, boolean> | undefined
  exempt?: string[] | ((req: Req) => Awaitable<boolean>) | undefined
  /** Replaces the problem+json body: a text, or an object that is sent as JSON. */
  message?: string | object | ByRequest<Req, Res, string | object> | undefined
  /** Default: standard and legacy. */
  headers?: HeaderStyle[] | false | undefined
  /** The fields of drafts 8 to 10; those of 6 and 7 are not written. */
  standardHeaders?: boolean | 'draft-8' | 'draft-10' | undefined
  legacyHeaders?: boolean | undefined
  /** In place of the 429. Calling next lets the request go on. */
  onDenied?:
    | ((req: Req, res: Res, next: (error?: unknown) => void, decision: Decision) => unknown)
    | undefined
  /** The same as express-rate-limit calls it; the decision is req.rateLimit. */
  handler?:
    | ((req: Req, res: Res, next: (error?: unknown) => void, options: HandlerOptions) => unknown)
    | undefined
  /** How much of X-Forwarded-For to believe: a number of proxies, or their networks. */
  trustedProxies?: number | string[] | undefined
  ipv6Prefix?: number | undefined
}
