// SPDX-License-Identifier: MIT
export * from './express.js'
export { rateLimit as default } from './express.js'
