// SPDX-License-Identifier: MIT
export * from './fastify.js'
export { rateLimit as default } from './fastify.js'
