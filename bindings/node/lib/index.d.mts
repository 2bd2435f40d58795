// SPDX-License-Identifier: MIT
export * from './index.js'
declare const tidegate: typeof import('./index.js')
export default tidegate
