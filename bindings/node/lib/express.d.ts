// SPDX-License-Identifier: MIT
import { Request, RequestHandler, Response } from 'express'
import { Decision } from './index.js'
import { RateLimitOptions } from './middleware.js'

declare global {
  namespace Express {
    interface Request {
      /** The decision of the last limit that this request met. */
      rateLimit?: Decision
    }
  }
}

export type ExpressRateLimitOptions = RateLimitOptions<Request, Response>

/** Several options are checked together, as one atomic request. */
export function rateLimit(options: ExpressRateLimitOptions[]): RequestHandler
export function rateLimit(...options: ExpressRateLimitOptions[]): RequestHandler
export default rateLimit
