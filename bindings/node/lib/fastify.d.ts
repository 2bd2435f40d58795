// SPDX-License-Identifier: MIT
import { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { Decision } from './index.js'
import { RateLimitOptions } from './middleware.js'

declare module 'fastify' {
  interface FastifyRequest {
    rateLimit?: Decision
  }
}

export type FastifyRateLimitOptions = RateLimitOptions<FastifyRequest, FastifyReply>

/** app.register(rateLimit, { limit: '100/minute' }): every route registered after it. */
export const rateLimit: FastifyPluginAsync<
  FastifyRateLimitOptions | { limits: FastifyRateLimitOptions[] }
>
/** For one route: { onRequest: routeRateLimit({ limit: '5/minute' }) }. */
export function routeRateLimit(
  ...options: FastifyRateLimitOptions[]
): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
export default rateLimit
