// SPDX-License-Identifier: MIT
import tidegate from './index.js'

export const {
  connect,
  callerKey,
  ignoredOfLive,
  resolvePolicy,
  validatePolicy,
  version,
  Gate,
  Limiter,
  Decision,
  Part,
  Reservation,
  Slot,
  ConfigError,
  StoreError,
  ClosedError,
  SettleError,
} = tidegate
export default tidegate
