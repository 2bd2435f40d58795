// SPDX-License-Identifier: MIT
import tidegate from './index.js'

export const {
  connect,
  callerKey,
  version,
  Gate,
  Limiter,
  Decision,
  Part,
  ConfigError,
  StoreError,
  ClosedError,
} = tidegate
export default tidegate
