// SPDX-License-Identifier: MIT
/// <reference types="node" />
import { EventEmitter } from 'node:events'
import {
  Attributes,
  CheckRequestOptions,
  GatePolicy,
  PolicyFault,
  PolicySource,
  Verdict,
} from './policy_types.js'
import { Lookup, PastEvent, Report } from './report_types.js'

export * from './policy_types.js'
export * from './report_types.js'

export const version: string

export type Source =
  'memory' | 'store' | 'fallback' | 'fail_open' | 'fail_closed' | 'policy' | 'near'
export type Algorithm =
  | 'token_bucket'
  | 'gcra'
  | 'leaky_bucket'
  | 'fixed_window'
  | 'sliding_window'
  | 'sliding_log'
  | 'concurrency'
export type Mode = 'enforce' | 'shadow' | 'off'
export type OnFailure = 'local' | 'open' | 'closed'
export type HeaderStyle = 'standard' | 'legacy' | 'legacy-delta'
/** 1 to 512 bytes; a longer one is replaced by its SHA-256. A whole number is its decimal text. */
export type Key = string | Uint8Array | number | bigint

/** Every option may be in the URL's query too, as timeout_ms. What is given here wins. */
export interface ConnectOptions {
  /** What gate.check() and middleware go by. A file is read again when it has changed. */
  policy?: PolicySource | undefined
  /** The deadline of a check; 100. */
  timeoutMs?: number | undefined
  /** 1000. */
  connectTimeoutMs?: number | undefined
  /** The first word of every key in the store; tg. */
  namespace?: string | undefined
  /** Who answers while the store cannot: this process (default), all pass, none passes. */
  onFailure?: OnFailure | undefined
  /** How many processes share a limit while the store is away; 1. */
  fallbackShare?: number | undefined
  /** Failed round trips in a row after which the store is left alone for a while; 5. */
  breakerFailures?: number | undefined
  tlsCa?: string | undefined
  tlsCert?: string | undefined
  tlsKey?: string | undefined
  tlsVerify?: boolean | undefined
  spinUs?: number | undefined
  /** Embedded store: states kept at most; 1000000. */
  maxKeys?: number | undefined
  /** Embedded store: memory of states at most. */
  maxBytes?: number | undefined
  /** Figures of each limiter: none, counts, or callers, series and events too; 'on'. */
  stats?: 'off' | 'totals' | 'on' | undefined
  /** How figures show a caller: three characters and a hash, a hash, his key; 'masked'. */
  labels?: 'masked' | 'hashed' | 'clear' | undefined
  /** Memory of figures at most; 2097152. */
  statsBytes?: number | undefined
  ipv6Prefix?: number | undefined
  trustedProxies?: number | string[] | undefined
  clock?: 'system' | 'manual' | Clock | undefined
  testing?: boolean | number | undefined
  /** testing only: reads the socket in pieces of so many bytes. */
  readBytes?: number | undefined
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
  name?: string | undefined
  algorithm?: Algorithm | undefined
  mode?: Mode | undefined
  onFailure?: OnFailure | undefined
  /** Of slots, how long who does not renew keeps them: '30s' (default), or milliseconds. */
  lease?: string | number | undefined
}

export interface CheckOptions {
  /** An integer of 0 or more; 1. */
  cost?: number | undefined
  /** The deadline of this check. */
  timeoutMs?: number | undefined
}

export interface RefundOptions extends CheckOptions {
  /** Who decided (decision.source): the tokens go back there. */
  source?: Source | null | undefined
}

export interface SlotOptions {
  /** Slots to take, 1 or more; 1. */
  cost?: number | undefined
  /** How long to wait for them; 0: not at all. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | null | undefined
  /** A renewal found the slots gone. */
  onLost?: (() => void) | undefined
}

export interface WaitOptions {
  cost?: number | undefined
  timeoutMs?: number | undefined
  signal?: AbortSignal | null | undefined
}

/** One rate of one part of a request. */
export class Part {
  private constructor()
  readonly allowed: boolean
  readonly shadow: boolean
  readonly name: string
  readonly limit: number | null
  readonly remaining: number | null
  readonly retryAfterMs: number | null
  readonly resetAfterMs: number | null
  /** The least wait after which `remaining` grows. */
  readonly nextAfterMs: number | null
  /** Of a debit: tokens of its cost that did not fit. */
  readonly shortfall: number | null
  /** Of slots: the id held them already, and none were taken. */
  readonly renewed: boolean
  toJSON(): PartJSON
}

/** null: not known; "never": this cost never fits (JSON has no Infinity). */
export type RetryAfterJSON = number | 'never' | null

export interface PartJSON {
  allowed: boolean
  name: string
  limit: number | null
  remaining: number | null
  retryAfterMs: RetryAfterJSON
  resetAfterMs: number | null
  nextAfterMs: number | null
  shortfall: number | null
}

export interface DecisionJSON {
  allowed: boolean
  wouldDeny: boolean
  name: string | null
  limit: number | null
  remaining: number | null
  retryAfterMs: RetryAfterJSON
  resetAfterMs: number | null
  source: Source | null
  parts: PartJSON[]
}

/** The answer to a check. Its figures are the part's that speaks for the request; null: unknown. */
export class Decision {
  private constructor()
  readonly allowed: boolean
  /** A limiter in shadow mode would have denied it. */
  readonly wouldDeny: boolean
  readonly name: string | null
  readonly limit: number | null
  readonly remaining: number | null
  /** Milliseconds, rounded up; 0 when allowed; Infinity: this cost never fits ("never" in JSON). */
  readonly retryAfterMs: number | null
  readonly resetAfterMs: number | null
  readonly source: Source | null
  readonly parts: readonly Part[]
  /** 200, 429, 503 where the failure policy closed, or 403 of a ban. */
  readonly status: number
  /** Of gate.check(): whether limits were asked. */
  readonly verdict: Verdict
  /** Of gate.check(): whom it charged; null of others. */
  readonly caller: string | null
  /** Of a ban, if the policy gives one; not for the caller. */
  readonly reason: string | null
  /** Of gate.check(): the HTTP fields, with those of earlier checks of the request. */
  readonly fields: Record<string, string>
  /**
   * Of gate.check(), when the response is done: gives back or charges what its rules count or
   * settle by the response, lets go of slots. Once.
   */
  finish(status?: number, attributes?: Attributes): Promise<void>
  /** The HTTP fields of this decision; by default standard and legacy, or `fields`. */
  headers(styles?: HeaderStyle | HeaderStyle[]): Record<string, string>
  /** The application/problem+json body of a refusal. */
  problem(): string
  toJSON(): DecisionJSON
}

/** What settle() did. */
export interface Settlement {
  /** False: the policy let the reservation pass and nobody charged it, so nothing was done. */
  charged: boolean
  /** Tokens given back, of all parts. */
  givenBack: number
  /** Tokens charged beyond the estimate, of all parts. */
  debited: number
  /** Of that debit; its parts say what did not fit. */
  decision: Decision | null
}

/**
 * Tokens that were taken by estimate. `await using` of one that is not settled gives all back; a
 * store that is away then is told by the gate's events.
 */
export class Reservation {
  private constructor()
  readonly allowed: boolean
  readonly decision: Decision
  readonly settled: boolean
  /**
   * What was really used: less than the estimate is given back, more is charged as a debit, there
   * where the reservation was made. Of several parts the same number, or an array of one for each.
   * Once: again, and of a denied one, it rejects with SettleError, also after a StoreError.
   */
  settle(used: number | number[]): Promise<Settlement>
  [Symbol.asyncDispose](): Promise<void>
}

/** Slots that are held, and renewed every third of their lease; or the denial. */
export class Slot {
  private constructor()
  readonly allowed: boolean
  readonly decision: Decision
  /** Under which they are held; null when denied. */
  readonly id: Uint8Array | null
  /** A renewal found them gone, or none succeeded for a lease: others may have had them. */
  readonly lost: boolean
  /** May be repeated. Rejects with StoreError where the store is away; `await using` does not. */
  release(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface Rate {
  limit: number
  /** Of slots: the lease. */
  windowMs: number
  burst: number | null
  capacity: number
  /** Tokens beyond the capacity that debits may leave owing. */
  overdraft: number
  algorithm: Algorithm
  mode: Mode
  onFailure: OnFailure
}

/** One limit by name; gate.limiter() makes it. */
export class Limiter {
  private constructor()
  readonly gate: Gate
  readonly name: string
  readonly rates: Rate[]
  /** Rejects for misuse only, never for a denial or a store that is down. A number is the cost. */
  consume(key: Key, options?: CheckOptions | number): Promise<Decision>
  /** Embedded store only. */
  consumeSync(key: Key, options?: { cost?: number | undefined } | number): Decision
  /** Writes nothing. */
  peek(key: Key, options?: CheckOptions | number): Promise<Decision>
  peekSync(key: Key, options?: { cost?: number | undefined } | number): Decision
  /**
   * Gives tokens back, never beyond untouched. Not idempotent. Rejects with StoreError where the
   * store is away, but for what it did not decide: give decision.source.
   */
  refund(key: Key, options?: RefundOptions | number): Promise<void>
  /** Forgets the caller. Rejects with StoreError where the store is away. */
  reset(key: Key, options?: { timeoutMs?: number | undefined }): Promise<void>
  /**
   * Charges what was used already, down to the overdraft: never denied. Rejects with StoreError
   * where the store is away and onFailure is not local.
   */
  debit(key: Key, options?: RefundOptions | number): Promise<Decision>
  /** Takes an estimate, to be settled when the use is known. */
  reserve(
    key: Key,
    estimate: number,
    options?: { timeoutMs?: number | undefined },
  ): Promise<Reservation>
  /** Slots that renew themselves: await using slot = await limiter.slot(key). */
  slot(key: Key, options?: SlotOptions): Promise<Slot>
  /** Takes slots under an id of 1 to 16 bytes, or renews what it holds: part.renewed says which. */
  acquire(key: Key, id: SlotId, options?: CheckOptions): Promise<Decision>
  renew(key: Key, id: SlotId, options?: { timeoutMs?: number | undefined }): Promise<Decision>
  /** Gives back all that the id holds; may be repeated. */
  release(
    key: Key,
    id: SlotId,
    options?: { timeoutMs?: number | undefined; source?: Source | null | undefined },
  ): Promise<void>
  /** How long slots are kept that nobody renews; undefined where there are none. */
  readonly leaseMs: number | undefined
  /**
   * Asks again after each retryAfter. The denied decision comes back at once when the wait would
   * exceed the time left, or is never. Rejects with the signal's reason.
   */
  wait(key: Key, options?: WaitOptions): Promise<Decision>
  /** New numbers for the same limiter, at once; what is not given stays. */
  change(rates?: string | null, options?: Omit<LimiterOptions, 'name'>): this
  /**
   * Makes room for another: a gate has 65,536 limiters at most. What is asked of it afterwards is a
   * ConfigError, and so are headers() and problem() of its decisions from then on; the callers'
   * states stay in the store.
   */
  close(): void
  readonly closed: boolean
}

/** Whose slots: 1 to 16 bytes. */
export type SlotId = string | Uint8Array

/** [limiter, key, cost, id]; the id belongs to slots. */
export type RequestPart = [
  limiter: Limiter,
  key: Key,
  cost?: number | undefined,
  id?: SlotId | undefined,
]

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

/**
 * A change of state, told once: the store is lost, or back; two services differ about a name. Of
 * middleware, once per process: what a request shows to be set up wrongly (TIDEGATE_...).
 */
export interface GateEvent {
  level: 'info' | 'warning' | 'error'
  code: string | null
  time: Date
  text: string
}

/** A store, and the limiters that share it; connect() makes it. */
export class Gate extends EventEmitter {
  constructor(url?: string | URL, options?: ConnectOptions)
  /** Its password replaced. */
  readonly url: string
  readonly embedded: boolean
  readonly closed: boolean
  /** The same name and numbers: the same limiter. The name with other numbers: a ConfigError. */
  limiter(rates: string, options?: LimiterOptions): Limiter
  /** One atomic request, all or nothing. */
  consume(parts: RequestPart[], options?: { timeoutMs?: number | undefined }): Promise<Decision>
  /** Embedded store only. */
  consumeSync(parts: RequestPart[]): Decision
  peek(parts: RequestPart[], options?: { timeoutMs?: number | undefined }): Promise<Decision>
  refund(
    parts: RequestPart[],
    options?: { timeoutMs?: number | undefined; source?: Source | null | undefined },
  ): Promise<void>
  /** Charges what was used already: never denied, each part for itself. */
  debit(
    parts: RequestPart[],
    options?: { timeoutMs?: number | undefined; source?: Source | null | undefined },
  ): Promise<Decision>
  /** One atomic request of estimates, to be settled when the use is known. */
  reserve(
    parts: RequestPart[],
    options?: { timeoutMs?: number | undefined },
  ): Promise<Reservation>
  reset(parts: RequestPart[], options?: { timeoutMs?: number | undefined }): Promise<void>
  /**
   * What the policy says of one request, as one atomic check: status 200, 429, 503, or 403 of a
   * ban. `after`: the decision of an earlier check of the same request, which charges once and
   * whose fields are joined.
   */
  check(attributes: Attributes, options?: CheckRequestOptions): Promise<Decision>
  /** Embedded store only. */
  checkSync(attributes: Attributes, options?: { after?: Decision | undefined }): Decision
  readonly policy: GatePolicy
  /** Resolves to the milliseconds it took; rejects with what is wrong with the store. */
  ping(options?: { timeoutMs?: number | undefined }): Promise<number>
  stats(): Stats
  /** All figures; with a period ("1h", 48 h at most) `series` too, step by step ("1m"). */
  report(options?: {
    period?: string | undefined
    step?: string | undefined
    limiter?: string | undefined
  }): Report
  /** The callers that a limiter denied most often, or that cost it most; 128 at most. */
  top(
    limiter: string,
    options?: { by?: 'denied' | 'cost' | undefined; n?: number | undefined },
  ): { caller: string; denied?: number; cost?: number }[]
  /** Who was denied last and cannot pass yet, most denials first. */
  limitedNow(
    limiter: string,
    options?: { n?: number | undefined },
  ): { caller: string; denied: number; retry_after_us: number }[]
  /** What each open limiter would say to a caller now; nothing is charged. */
  lookUp(key: Key): Promise<Lookup>
  /** The last of 1,000 that are kept, oldest first; after: behind the one of that id. */
  events(options?: { after?: number | undefined; limit?: number | undefined }): PastEvent[]
  /** What Prometheus scrapes: its text format 0.0.4, or OpenMetrics. */
  metrics(options?: { openmetrics?: boolean | undefined }): string
  /** What is in flight, and who waits, is rejected with ClosedError. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  on(event: 'event', listener: (event: GateEvent) => void): this
  on(event: string | symbol, listener: (...args: any[]) => void): this
}

/** No I/O yet. connect() is the embedded store, or what the environment's TIDEGATE_URL names. */
export function connect(url?: string | URL, options?: ConnectOptions): Gate
export function connect(options: ConnectOptions): Gate

/** What applies to a request by a policy, and a live document over it; asks no store. */
export function resolvePolicy(
  policy: PolicySource,
  request: Attributes,
  options?: { live?: PolicySource | null | undefined; nowUs?: number | undefined },
): any
/** The places of a live document whose limiters and tiers a policy has not: they are left out. */
export function ignoredOfLive(policy: PolicySource, live: PolicySource): string[]
/** What is wrong with a policy; empty where nothing is. */
export function validatePolicy(policy: PolicySource): PolicyFault[]

/** Who a caller says he is. Whatever is falsy is none; a whole number is its decimal text. */
export type Identity = string | number | bigint | false | null | undefined
/** The key that a middleware uses: a caller's identity, or where there is none the address. */
export function callerKey(identity?: Identity, address?: string | null): string

/** A rate, option, name, key or cost that cannot be; `code` is the C ABI's, such as TG_ERATE. */
export class ConfigError extends RangeError {
  readonly code: string
  /** Where in the text, if it was a text. */
  readonly position?: number
}
/** What ping(), refund() and reset() found wrong with the store. */
export class StoreError extends Error {
  readonly code: string
}
export class ClosedError extends Error {
  readonly code: 'TG_ECLOSED' | 'TG_EFORK'
}
/** A reservation that is settled already, or was denied. */
export class SettleError extends Error {
  readonly code: 'ERR_TIDEGATE_SETTLE'
}
