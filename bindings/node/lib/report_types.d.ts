// SPDX-License-Identifier: MIT
// Of what a gate says of itself.

/** The core's JSON, the same in every language (tests/stats/schema.json): more may come. */
export interface Report {
  version: string
  allowed: number
  denied: number
  limiters: Record<string, LimiterReport>
  durations: Record<'decisions' | 'round_trips', Durations>
  series?: {
    limiter: string
    from_us: number
    step_us: number
    allowed: number[]
    denied: number[]
    cost: number[]
  }
  [figure: string]: unknown
}
export interface LimiterReport {
  allowed: number
  denied: number
  would_deny: number
  cost: number
  /** Callers that cannot pass now. */
  limited: number
  /** False: the option stats_bytes left no room for all. */
  complete: boolean
  decisions: Record<string, Record<string, number>>
}
/** In microseconds. */
export interface Durations {
  count: number
  sum_us: number
  p50_us: number
  p90_us: number
  p99_us: number
  max_us: number
  buckets: [atMost: number, count: number][]
}
export interface Lookup {
  caller: string
  limiters: Record<
    string,
    {
      error?: string
      allowed?: boolean
      source?: string
      denied?: number
      rates?: Record<string, string | number | boolean>[]
    }
  >
  more: number
}
export interface PastEvent {
  id: number
  wall_us: number
  kind: 'state' | 'denied' | 'evicted'
  level: 'info' | 'warning' | 'error'
  code: number
  text: string
  limiter?: string
  caller?: string
}
