// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import "runtime"

// Stats are counters since the gate was opened; Keys, Bytes and BreakerOpen are of this moment.
type Stats struct {
	// Decisions.
	Allowed, Denied, WouldDeny int64
	// Decisions by source: see [Source].
	ByMemory, ByStore, ByFallback, ByFailOpen, ByFailClosed int64

	// States in the process, and their memory.
	Keys, Bytes int64
	// States dropped for lack of room: those that owed nothing, those that owed little, and those
	// whose callers start anew too early.
	EvictedIdle, EvictedHarmless, EvictedOwing int64

	// What was asked of the server.
	RoundTrips, Batches, Merged, ScriptLoads, Connects int64

	BreakerOpened int64
	BreakerOpen   bool
	LateReplies   int64

	// Requests that the failure policy answered, by cause.
	Timeouts, ConnectErrors, AuthErrors, TLSErrors           int64
	ProtocolErrors, ClusterErrors, OOMErrors, ReadOnlyErrors int64
	LoadingErrors, BusyErrors, NoPermErrors, WrongTypeErrors int64
	OtherErrors                                              int64

	// Services that disagree about a limit's name, and events that nobody fetched in time.
	NameConflicts, EventsDropped int64
}

// Stats reads the counters.
func (g *Gate) Stats() (Stats, error) {
	if !g.core.enter() {
		return Stats{}, errClosed
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	var s C.tg_stats
	if status := C.tgo_stats(g.core.client, &s); status < 0 {
		return Stats{}, failed(int32(status), "")
	}
	return Stats{
		Allowed:   int64(s.allowed),
		Denied:    int64(s.denied),
		WouldDeny: int64(s.would_deny),

		ByMemory:     int64(s.by_memory),
		ByStore:      int64(s.by_store),
		ByFallback:   int64(s.by_fallback),
		ByFailOpen:   int64(s.by_fail_open),
		ByFailClosed: int64(s.by_fail_closed),

		Keys:            int64(s.keys),
		Bytes:           int64(s.bytes),
		EvictedIdle:     int64(s.evicted_idle),
		EvictedHarmless: int64(s.evicted_harmless),
		EvictedOwing:    int64(s.evicted_owing),

		RoundTrips:  int64(s.round_trips),
		Batches:     int64(s.batches),
		Merged:      int64(s.merged),
		ScriptLoads: int64(s.script_loads),
		Connects:    int64(s.connects),

		BreakerOpened: int64(s.breaker_opened),
		BreakerOpen:   s.breaker_open != 0,
		LateReplies:   int64(s.late_replies),

		Timeouts:        int64(s.timeouts),
		ConnectErrors:   int64(s.connect_errors),
		AuthErrors:      int64(s.auth_errors),
		TLSErrors:       int64(s.tls_errors),
		ProtocolErrors:  int64(s.protocol_errors),
		ClusterErrors:   int64(s.cluster_errors),
		OOMErrors:       int64(s.oom_errors),
		ReadOnlyErrors:  int64(s.readonly_errors),
		LoadingErrors:   int64(s.loading_errors),
		BusyErrors:      int64(s.busy_errors),
		NoPermErrors:    int64(s.noperm_errors),
		WrongTypeErrors: int64(s.wrongtype_errors),
		OtherErrors:     int64(s.other_errors),

		NameConflicts: int64(s.name_conflicts),
		EventsDropped: int64(s.events_dropped),
	}, nil
}
