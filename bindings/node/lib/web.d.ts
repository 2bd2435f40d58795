// SPDX-License-Identifier: MIT
import { Decision } from './index.js'
import { SharedOptions } from './middleware.js'

type Awaitable<T> = T | Promise<T>

/** The options of every middleware; functions get what the adapter hands them. */
export interface WebRateLimitOptions<
  Args extends unknown[],
  First = Args[0],
> extends SharedOptions<Args> {
  /**
   * The socket's address: Bun, Deno and @hono/node-server are known. Where no server tells it,
   * trustedProxies says how much of X-Forwarded-For to believe.
   */
  address?: ((...args: Args) => Awaitable<string | undefined>) | undefined
  /** In place of the refusal. Returning next() lets the request go on; nothing: the refusal. */
  onDenied?:
    | ((
        request: First,
        next: () => Promise<Response>,
        decision: Decision,
      ) => Awaitable<Response | void>)
    | undefined
  /** An answer to what the limit's own functions throw; nothing: it is thrown. */
  onError?:
    | ((
        request: First,
        next: () => Promise<Response>,
        error: unknown,
      ) => Awaitable<Response | void>)
    | undefined
}

/** (request, next, ...context) => the response, with the fields. next makes it. */
export function rateLimit<Context extends unknown[] = any[]>(
  ...options: WebRateLimitOptions<[request: Request, ...context: Context]>[]
): (
  request: Request,
  next: (decision?: Decision) => Awaitable<Response>,
  ...context: Context
) => Promise<Response>

/** A handler with limits before it: Next.js route handlers, Bun.serve, Deno.serve. */
export function withRateLimit<R extends Request, Context extends unknown[]>(
  options:
    | WebRateLimitOptions<[request: R, ...context: any[]]>
    | WebRateLimitOptions<[request: R, ...context: any[]]>[],
  handler: (request: R, ...context: Context) => Awaitable<Response>,
): (request: R, ...context: Context) => Promise<Response>

/** The decision of the last limit that a request met. */
export function decisionOf(request: Request): Decision | undefined

/** What of Hono's context is used. */
export interface HonoContext {
  req: { raw: Request; method: string; routePath?: string }
  res: Response
  env: any
  set(name: string, value: unknown): void
}

/** A middleware of Hono; its functions get the context. The decision is c.get('rateLimit'). */
export function hono<C extends HonoContext = any>(
  ...options: WebRateLimitOptions<[c: C]>[]
): (c: C, next: () => Promise<void>) => Promise<Response | void>
