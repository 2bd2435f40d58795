// SPDX-License-Identifier: MIT
import { IncomingMessage, ServerResponse } from 'node:http'
import { Decision } from './index.js'
import { RateLimitOptions } from './middleware.js'

export type LimitedRequest = IncomingMessage & { rateLimit?: Decision }
export type HttpRateLimitOptions = RateLimitOptions<LimitedRequest, ServerResponse>

/** Resolves to whether to go on; where not, the response has been sent. */
export function rateLimit(
  ...options: HttpRateLimitOptions[]
): (req: IncomingMessage, res: ServerResponse) => Promise<boolean>

/**
 * A listener for http.createServer with limits before it. What the limits' own functions throw is
 * answered 500; what the listener throws rejects.
 */
export function withRateLimit(
  options: HttpRateLimitOptions | HttpRateLimitOptions[],
  listener: (req: LimitedRequest, res: ServerResponse) => unknown,
): (req: IncomingMessage, res: ServerResponse) => Promise<void>
