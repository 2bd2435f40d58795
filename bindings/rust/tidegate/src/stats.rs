// SPDX-License-Identifier: MIT

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the gate was opened; gauges are marked.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        impl Stats {
            pub(crate) fn of(record: &tidegate_sys::tg_stats) -> Self {
                Self { $($name: u64::try_from(record.$name).unwrap_or(0),)* }
            }
        }
    };
}

stats! {
    /// Decisions that allowed.
    allowed,
    /// Decisions that denied.
    denied,
    /// Decisions in which a shadow limiter would have denied.
    would_deny,
    /// Decisions of the embedded store.
    by_memory,
    /// Decisions of the server.
    by_store,
    /// Decisions of this process in the server's stead.
    by_fallback,
    /// Requests let through because nobody could be asked.
    by_fail_open,
    /// Requests refused because nobody could be asked.
    by_fail_closed,
    /// Gauge: states held in this process.
    keys,
    /// Gauge: their memory.
    bytes,
    /// States dropped for room that owed nothing.
    evicted_idle,
    /// States dropped for room that owed little.
    evicted_harmless,
    /// States dropped for room that owed more.
    evicted_owing,
    /// Round trips to the server.
    round_trips,
    /// Batches sent.
    batches,
    /// Requests that left merged into an equal one.
    merged,
    /// Times the program had to be sent whole.
    script_loads,
    /// Connections made.
    connects,
    /// Times the breaker opened.
    breaker_opened,
    /// Gauge: 1 while the breaker is open.
    breaker_open,
    /// Answers that came after their deadline.
    late_replies,
    /// Requests without an answer within their deadline.
    timeouts,
    /// Requests without a connection.
    connect_errors,
    /// Requests refused a login.
    auth_errors,
    /// Requests whose TLS handshake failed.
    tls_errors,
    /// Requests answered with something that makes no sense.
    protocol_errors,
    /// Requests to a cluster-enabled server.
    cluster_errors,
    /// Requests to a server at its maxmemory.
    oom_errors,
    /// Requests to a replica.
    readonly_errors,
    /// Requests to a server that was loading.
    loading_errors,
    /// Requests to a server that was busy with a script.
    busy_errors,
    /// Requests that the ACL forbids.
    noperm_errors,
    /// Requests whose key held something foreign.
    wrongtype_errors,
    /// Requests that failed otherwise.
    other_errors,
    /// Limiters found to have other numbers elsewhere.
    name_conflicts,
    /// Events that nobody took in time.
    events_dropped,
}
