// SPDX-License-Identifier: MIT
import { Clock, Gate } from './index.js'

/** A clock that stands still until it is moved: connect(url, { clock: new FakeClock() }). */
export class FakeClock implements Clock {
  constructor(options?: { nowUs?: number })
  /** Microseconds; may be set back too. */
  nowUs: number
  advance(ms: number): void
  attach(gate: Gate): void
  detach(gate: Gate): void
  sleep(us: number, signal?: AbortSignal): Promise<void>
}
