// SPDX-License-Identifier: MIT
import fastify from './fastify.js'

export const { rateLimit, routeRateLimit } = fastify
export default rateLimit
