// SPDX-License-Identifier: MIT
import http from './http.js'

export const { rateLimit, withRateLimit } = http
