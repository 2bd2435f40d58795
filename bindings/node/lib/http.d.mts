// SPDX-License-Identifier: MIT
export * from './http.js'
