// SPDX-License-Identifier: MIT
import web from './web.js'

export const { decisionOf, hono, rateLimit, withRateLimit } = web
