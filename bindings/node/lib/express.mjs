// SPDX-License-Identifier: MIT
import express from './express.js'

export const { rateLimit } = express
export default rateLimit
