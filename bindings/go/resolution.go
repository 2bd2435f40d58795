// SPDX-License-Identifier: MIT

package tidegate

import "encoding/json"

// Resolution is what applies to a request by a policy: see package policy, and
// [GatePolicy.Explain].
type Resolution struct {
	Verdict string       `json:"verdict"` // "limits", "exempt", "banned" or "error"
	Parts   []PolicyPart `json:"parts"`   // one atomic check, in the order of the rules
	Rules   []int        `json:"rules"`   // that matched

	// Of a ban: when nothing bans any more, in microseconds since 1970, and how long until then; nil:
	// never.
	UntilUS      *int64  `json:"until_us"`
	RetryAfterUS *int64  `json:"retry_after_us"`
	Reason       *string `json:"reason"`

	// A mistake of the program: "tier", "cost" or "parts".
	Error string `json:"error"`
}

// PolicyPart is one limit of a request's check.
type PolicyPart struct {
	Limiter string          `json:"limiter"`
	Rates   string          `json:"rates"` // as in the name that they give a limiter: "100-per-60s"
	Mode    string          `json:"mode"`
	Key     string          `json:"key"`
	Cost    int64           `json:"cost"`
	Count   json.RawMessage `json:"count,omitempty"`  // "failed", "successful", or statuses
	Settle  string          `json:"settle,omitempty"` // "{tokens_used}"
}

// Explanation is what applies to a request, why, and how its limits stand.
type Explanation struct {
	Resolution
	Caller   string        `json:"caller"` // the key of who is calling
	Address  string        `json:"address"`
	Tier     *string       `json:"tier"`
	TierFrom *string       `json:"tier_from"` // "caller", "request" or "default"
	Entries  []PolicyEntry `json:"entries"`   // that speak of him, the closest first
	Why      []PolicyRule  `json:"why"`
	States   []PolicyState `json:"states"` // of every rate of the parts
	Source   string        `json:"source"` // who was asked for the states
}

// PolicyEntry is what is said of a caller, an address or a network. nil: nothing of it.
type PolicyEntry struct {
	Name    string `json:"name"`
	Live    bool   `json:"live"` // by the live document
	Ban     *bool  `json:"ban"`
	Exempt  *bool  `json:"exempt"`
	Tier    string `json:"tier"`
	UntilUS *int64 `json:"until_us"`
}

// PolicyRule says whether a rule matched; nil: it was not looked at. Unmet is the attribute that
// did not match.
type PolicyRule struct {
	Rule    int    `json:"rule"`
	Matched *bool  `json:"matched"`
	Unmet   string `json:"unmet"`
}

// PolicyState is how one rate of a limit stands. nil is unknown, or never.
type PolicyState struct {
	Limiter      string `json:"limiter"`
	Policy       string `json:"policy"` // the rate's name in fields
	Key          string `json:"key"`
	Cost         int64  `json:"cost"`
	Mode         string `json:"mode"`
	Allowed      bool   `json:"allowed"` // would the cost fit now?
	Limit        *int64 `json:"limit"`
	WindowUS     *int64 `json:"window_us"`
	Capacity     *int64 `json:"capacity"`
	Remaining    *int64 `json:"remaining"`
	RetryAfterUS *int64 `json:"retry_after_us"`
	NextUS       *int64 `json:"next_us"`
	ResetAfterUS *int64 `json:"reset_after_us"`
}

// PolicyFault is what is wrong with a policy, and where.
type PolicyFault struct {
	Path    string `json:"path"` // "rules[0].limit"
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Text    string `json:"text"` // all of it on one line
}
