// SPDX-License-Identifier: MIT
// Of policies.
import { Decision, Mode, OnFailure } from './index.js'

export type Verdict = 'limits' | 'exempt' | 'banned'
/** What a policy sees of a request: method, path, identity, and whatever the application adds. */
export interface Attributes {
  [name: string]: string | number | bigint | boolean | null | undefined
}
/** A path, a text of YAML or JSON (it has a newline or begins with {), or an object. */
export type PolicySource = string | URL | object

export interface CheckRequestOptions {
  after?: Decision | undefined
  timeoutMs?: number | undefined
}

/** What is wrong with a policy, and where. */
export interface PolicyFault {
  path: string
  line: number
  column: number
  message: string
}

/** When it ends: a Date, RFC 3339, or how long from now ("1h", milliseconds). */
export type Until = Date | string | number

export interface EditOptions {
  /** Who does it, for the audit stream; by default this host and process. */
  by?: string | undefined
}

export interface CallerRule extends EditOptions {
  /** true, or how long: "1h", milliseconds. false lifts a ban of the caller's network. */
  ban?: boolean | string | number | undefined
  reason?: string | undefined
  exempt?: boolean | undefined
  tier?: string | undefined
  /** Other numbers for him: { images: '100/minute' }. */
  limits?: Record<string, string> | undefined
  until?: Until | undefined
}

/**
 * gate.policy: what requests meet and why, and the live document over the policy, which all
 * processes on one server share. What edits it resolves to its new version.
 */
export interface GatePolicy {
  /** Which rules match and why, the caller's entries, and how each limit stands. */
  explain(attributes: Attributes): Promise<any>
  validate(policy: PolicySource): PolicyFault[]
  /** Another policy in place of the gate's own. A faulty one changes nothing. */
  load(policy: PolicySource): void
  /** At most a second old. */
  live(): { version: number; live: any }
  /** Other numbers for a limiter of the policy; null: its own again. */
  setLimit(
    name: string,
    rate: string | null | undefined,
    options?: EditOptions & {
      until?: Until | undefined
      mode?: Mode | undefined
      onFailure?: OnFailure | undefined
    },
  ): Promise<number>
  /** Other limiters for a tier of the policy; null: its own again. */
  setTier(
    name: string,
    limiters: string[] | null,
    options?: EditOptions & { until?: Until | undefined },
  ): Promise<number>
  /** An identity, an address, or a network; in place of what was set before. */
  setCaller(key: string, rule: CallerRule): Promise<number>
  clear(key: string, options?: EditOptions): Promise<number>
  /** This live document in place of the one that is there. */
  replace(document: PolicySource, options?: EditOptions): Promise<number>
}
