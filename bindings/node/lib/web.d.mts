// SPDX-License-Identifier: MIT
export * from './web.js'
