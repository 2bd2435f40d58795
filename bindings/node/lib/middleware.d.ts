// SPDX-License-Identifier: MIT
import {
  Algorithm,
  Attributes,
  Decision,
  Gate,
  HeaderStyle,
  Identity,
  Limiter,
  Mode,
  OnFailure,
  PolicySource,
} from './index.js'

type Awaitable<T> = T | Promise<T>
type Asked<Args extends unknown[], T> = (...args: Args) => Awaitable<T>

/** What express-rate-limit hands to a handler: the options, and what is to be sent. */
export interface HandlerOptions {
  /** 429, 503 where the failure policy closed, or 403 of a ban. */
  statusCode: number
  /** The message of the options, a function's result too; without one a text. */
  message: any
  [option: string]: any
}

type Limit<Args extends unknown[]> =
  string | number | Limiter | Asked<Args, string | number | Limiter>

/** What every middleware takes. Several names of one option mean the same; give one of them. */
export interface SharedOptions<Args extends unknown[]> {
  /** A policy of its own; default: the gate's. */
  policy?: PolicySource | undefined
  /** Who is calling; nothing (whatever is falsy) returned: the address. Default: key. */
  identity?: Asked<Args, Identity | void> | undefined
  /** The caller's tier of the policy, where it says nothing else of him. */
  tier?: string | Asked<Args, string | null | undefined | void> | undefined
  /** What the policy's rules ask for besides. */
  attributes?: Attributes | Asked<Args, Attributes | null | undefined | void> | undefined
  /** When the response is done: what a rule's `settle` asks for. */
  settle?: Asked<Args, Attributes | null | undefined | void> | undefined
  /**
   * "5/minute", a limiter, or a function that returns one; or a list, one atomic check. A number
   * needs windowMs.
   */
  limit?: Limit<Args> | Limit<Args>[] | undefined
  max?: number | undefined
  /** Beside a limit or max that is a number. */
  windowMs?: number | undefined
  points?: number | undefined
  /** Seconds, beside points. */
  duration?: number | undefined
  requestsPerMinute?: number | undefined
  /** The burst, beside requestsPerMinute, points or windowMs. */
  capacity?: number | undefined
  name?: string | (string | undefined)[] | undefined
  algorithm?: Algorithm | undefined
  mode?: Mode | undefined
  onFailure?: OnFailure | undefined
  /** Of slots ("5 at once"), which are held until the response is done. */
  lease?: string | number | undefined
  /** A gate, or a URL. Without it all middleware of the process share one gate. */
  store?: Gate | string | URL | undefined
  /**
   * Whom the limit charges; nothing (whatever is falsy) returned: the address. Beside a list of
   * limits a list, null: the address.
   */
  key?:
    | Asked<Args, Identity | void>
    | null
    | (Asked<Args, Identity | void> | null | undefined)[]
    | undefined
  identifier?: Asked<Args, Identity | void> | undefined
  keyGenerator?: Asked<Args, Identity | void> | undefined
  cost?: number | Asked<Args, number> | (number | Asked<Args, number> | undefined)[] | undefined
  skip?: Asked<Args, boolean> | undefined
  exempt?: string[] | Asked<Args, boolean> | undefined
  /** Replaces the problem+json body of a denial: a text, or an object that is sent as JSON. */
  message?: string | object | Asked<Args, string | object> | undefined
  /** Default: standard and legacy. */
  headers?: HeaderStyle[] | false | undefined
  /** The fields of drafts 8 to 10; those of 6 and 7 are not written. */
  standardHeaders?: boolean | 'draft-8' | 'draft-10' | undefined
  legacyHeaders?: boolean | undefined
  /** How much of X-Forwarded-For to believe: a number of proxies, or their networks. */
  trustedProxies?: number | string[] | undefined
  ipv6Prefix?: number | undefined
}

export interface RateLimitOptions<Req, Res> extends SharedOptions<[req: Req, res: Res]> {
  /** In place of the refusal. Calling next lets the request go on. */
  onDenied?:
    | ((req: Req, res: Res, next: (error?: unknown) => void, decision: Decision) => unknown)
    | undefined
  /** The same as express-rate-limit calls it; the decision is req.rateLimit. */
  handler?:
    | ((req: Req, res: Res, next: (error?: unknown) => void, options: HandlerOptions) => unknown)
    | undefined
  /** In place of the framework's answer to what the limit's own functions throw. */
  onError?:
    ((req: Req, res: Res, next: (error?: unknown) => void, error: unknown) => unknown) | undefined
}
