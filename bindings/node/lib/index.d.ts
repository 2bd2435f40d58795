// SPDX-License-Identifier: MIT
/// <reference types="node" />
import { EventEmitter } from 'node:events'

export const version: string

export type Source = 'memory' | 'store' | 'fallback' | 'fail_open' | 'fail_closed'
export type Algorithm =
  'token_bucket' | 'gcra' | 'leaky_bucket' | 'fixed_window' | 'sliding_window' | 'sliding_log'
export type Mode = 'enforce' | 'shadow' | 'off'
export type OnFailure = 'local' | 'open' | 'closed'
export type HeaderStyle = 'standard' | 'legacy' | 'legacy-delta'
/** 1 to 512 bytes; a longer one is replaced by its SHA-256. */
export type Key = string | Uint8Array

/** Every option may be in the URL's query too, as timeout_ms. What is given here wins. */
export interface ConnectOptions {
  /** The deadline of a check; 100. */
  timeoutMs?: number
  /** 1000. */
  connectTimeoutMs?: number
  /** The first word of every key in the store; tg. */
  namespace?: string
  /** Who answers while the store cannot: this process (default), all pass, none passes. */
  onFailure?: OnFailure
  /** How many processes share a limit while the store is away; 1. */
  fallbackShare?: number
  /** Failed round trips in a row after which the store is left alone for a while; 5. */
  breakerFailures?: number
  tlsCa?: string
  tlsCert?: string
  tlsKey?: string
  tlsVerify?: boolean
  spinUs?: number
  /** Embedded store: states kept at most; 1000000. */
  maxKeys?: number
  /** Embedded store: memory of states at most. */
  maxBytes?: number
  ipv6Prefix?: number
  trustedProxies?: number | string[]
  clock?: 'system' | 'manual' | Clock
  testing?: boolean | number
  /** testing only: reads the socket in pieces of so many bytes. */
  readBytes?: number
}

/** FakeClock of tidegate/testing. */
export interface Clock {
  readonly nowUs: number
  attach(gate: Gate): void
  detach(gate: Gate): void
  sleep(us: number, signal?: AbortSignal): Promise<void>
}

export interface LimiterOptions {
  /** [A-Za-z0-9_.-]{1,64}; by default the numbers: 100-per-60s. */
  name?: string
  algorithm?: Algorithm
  mode?: Mode
  onFailure?: OnFailure
}

export interface CheckOptions {
  /** An integer of 0 or more; 1. */
  cost?: number
  /** The deadline of this check. */
  timeoutMs?: number
}

export interface RefundOptions extends CheckOptions {
  /** Who decided (decision.source): the tokens go back there. */
  source?: Source | null
}

export interface WaitOptions {
  cost?: number
  timeoutMs?: number
  signal?: AbortSignal
}

/** One rate of one part of a request. */
export interface Part {
  readonly allowed: boolean
  readonly shadow: boolean
  readonly name: string
  readonly limit: number | null
  readonly remaining: number | null
  readonly retryAfterMs: number | null
  readonly resetAfterMs: number | null
  /** The least wait after which `remaining` grows. */
  readonly nextAfterMs: number | null
  toJSON(): object
}

/** The answer to a check. Its figures are the part's that speaks for the request; null: unknown. */
export interface Decision {
  readonly allowed: boolean
  /** A limiter in shadow mode would have denied it. */
  readonly wouldDeny: boolean
  readonly name: string | null
  readonly limit: number | null
  readonly remaining: number | null
  /** Milliseconds, rounded up; 0 when allowed; Infinity: this cost never fits. */
  readonly retryAfterMs: number | null
  readonly resetAfterMs: number | null
  readonly source: Source | null
  readonly parts: readonly Part[]
  /** 200, 429, or 503 where the failure policy closed. */
  readonly status: number
  /** The HTTP fields of this decision; by default standard and legacy. */
  headers(styles?: HeaderStyle | HeaderStyle[]): Record<string, string>
  /** The application/problem+json body of a refusal. */
  problem(): string
  toJSON(): object
}

export interface Rate {
  limit: number
  windowMs: number
  burst: number | null
  capacity: number
  algorithm: Algorithm
  mode: Mode
  onFailure: OnFailure
}

export interface Limiter {
  readonly gate: Gate
  readonly name: string
  readonly rates: Rate[]
  /** Rejects for misuse only, never for a denial or a store that is down. A number is the cost. */
  consume(key: Key, options?: CheckOptions | number): Promise<Decision>
  /** Embedded store only. */
  consumeSync(key: Key, options?: { cost?: number } | number): Decision
  /** Writes nothing. */
  peek(key: Key, options?: CheckOptions | number): Promise<Decision>
  peekSync(key: Key, options?: { cost?: number } | number): Decision
  /** Gives tokens back, never beyond untouched. Not idempotent. */
  refund(key: Key, options?: RefundOptions | number): Promise<void>
  /** Forgets the caller. */
  reset(key: Key, options?: { timeoutMs?: number }): Promise<void>
  /**
   * Asks again after each retryAfter. The denied decision comes back at once when the wait would
   * exceed the time left, or is never. Rejects with the signal's reason.
   */
  wait(key: Key, options?: WaitOptions): Promise<Decision>
  /** New numbers for the same limiter, at once; what is not given stays. */
  change(rates?: string | null, options?: Omit<LimiterOptions, 'name'>): this
}

/** [limiter, key, cost] */
export type RequestPart = [limiter: Limiter, key: Key, cost?: number]

export interface Stats {
  allowed: number
  denied: number
  wouldDeny: number
  byMemory: number
  byStore: number
  byFallback: number
  byFailOpen: number
  byFailClosed: number
  keys: number
  bytes: number
  evictedIdle: number
  evictedHarmless: number
  evictedOwing: number
  roundTrips: number
  batches: number
  merged: number
  scriptLoads: number
  connects: number
  breakerOpened: number
  breakerOpen: number
  lateReplies: number
  timeouts: number
  connectErrors: number
  authErrors: number
  tlsErrors: number
  protocolErrors: number
  clusterErrors: number
  oomErrors: number
  readonlyErrors: number
  loadingErrors: number
  busyErrors: number
  nopermErrors: number
  wrongtypeErrors: number
  otherErrors: number
  nameConflicts: number
  eventsDropped: number
}

/** A change of state, told once: the store is lost, or back; two services differ about a name. */
export interface GateEvent {
  level: 'info' | 'warning' | 'error'
  code: string | null
  time: Date
  text: string
}

export interface Gate extends EventEmitter {
  /** Its password replaced. */
  readonly url: string
  readonly embedded: boolean
  readonly closed: boolean
  /** The same name and numbers: the same limiter. The name with other numbers: a ConfigError. */
  limiter(rates: string, options?: LimiterOptions): Limiter
  /** One atomic request, all or nothing. */
  consume(parts: RequestPart[], options?: { timeoutMs?: number }): Promise<Decision>
  /** Embedded store only. */
  consumeSync(parts: RequestPart[]): Decision
  peek(parts: RequestPart[], options?: { timeoutMs?: number }): Promise<Decision>
  refund(
    parts: RequestPart[],
    options?: { timeoutMs?: number; source?: Source | null },
  ): Promise<void>
  reset(parts: RequestPart[], options?: { timeoutMs?: number }): Promise<void>
  /** Resolves to the milliseconds it took; rejects with what is wrong with the store. */
  ping(options?: { timeoutMs?: number }): Promise<number>
  stats(): Stats
  /** What is in flight is rejected with ClosedError. */
  close(): Promise<void>
  on(event: 'event', listener: (event: GateEvent) => void): this
  on(event: string | symbol, listener: (...args: any[]) => void): this
}

/** No I/O yet. connect() is the embedded store, or what the environment's TIDEGATE_URL names. */
export function connect(url?: string, options?: ConnectOptions): Gate
export function connect(options: ConnectOptions): Gate

/** The key that a middleware uses: a caller's identity, or where there is none the address. */
export function callerKey(identity?: string | null, address?: string | null): string

/** A rate, option, name, key or cost that cannot be; `code` is the C ABI's, such as TG_ERATE. */
export class ConfigError extends RangeError {
  readonly code: string
  /** Where in the text, if it was a text. */
  readonly position?: number
}
/** What ping() found wrong. */
export class StoreError extends Error {
  readonly code: string
}
export class ClosedError extends Error {
  readonly code: 'TG_ECLOSED'
}
