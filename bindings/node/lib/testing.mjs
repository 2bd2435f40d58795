// SPDX-License-Identifier: MIT
import testing from './testing.js'

export const { FakeClock } = testing
