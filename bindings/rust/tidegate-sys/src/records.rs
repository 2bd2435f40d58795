// SPDX-License-Identifier: MIT
//! The records of `tidegate.h` and of the headers beside it.

use core::ffi::{c_char, c_void};
use core::mem::{offset_of, size_of};

/// A record as it is laid out here.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Its name in the header.
    pub name: &'static str,
    /// `sizeof`.
    pub size: usize,
    /// Each field's name, `offsetof` and C type as it is spelt here.
    pub fields: &'static [(&'static str, usize, &'static str)],
}

macro_rules! records {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $kind:ty,)* })*) => {
        $($(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs)]
        pub struct $name { $(pub $field: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                // SAFETY: zeroes are a value of every record: numbers, arrays of numbers, and
                // pointers that may be NULL.
                unsafe { core::mem::zeroed() }
            }
        })*

        /// Every record.
        pub const RECORDS: &[Record] = &[$(Record {
            name: stringify!($name),
            size: size_of::<$name>(),
            fields: &[$((stringify!($field), offset_of!($name, $field), stringify!($kind))),*],
        }),*];
    };
}

records! {
    /// What went wrong; filled only when a function fails.
    struct tg_error {
        code: i32,
        position: i32,
        message: [c_char; 504],
    }

    /// A text that is not closed with NUL.
    struct tg_text {
        data: *const c_char,
        size: u64,
    }

    /// Counters since the client was opened.
    struct tg_stats {
        allowed: i64,
        denied: i64,
        would_deny: i64,
        by_memory: i64,
        by_store: i64,
        by_fallback: i64,
        by_fail_open: i64,
        by_fail_closed: i64,
        keys: i64,
        bytes: i64,
        evicted_idle: i64,
        evicted_harmless: i64,
        evicted_owing: i64,
        round_trips: i64,
        batches: i64,
        merged: i64,
        script_loads: i64,
        connects: i64,
        breaker_opened: i64,
        breaker_open: i64,
        late_replies: i64,
        timeouts: i64,
        connect_errors: i64,
        auth_errors: i64,
        tls_errors: i64,
        protocol_errors: i64,
        cluster_errors: i64,
        oom_errors: i64,
        readonly_errors: i64,
        loading_errors: i64,
        busy_errors: i64,
        noperm_errors: i64,
        wrongtype_errors: i64,
        other_errors: i64,
        name_conflicts: i64,
        events_dropped: i64,
    }

    /// A change of state.
    struct tg_event {
        level: i32,
        code: i32,
        wall_us: i64,
        text: [c_char; 240],
    }

    /// What a limiter is to be.
    struct tg_limiter_spec {
        rates: tg_text,
        name: tg_text,
        algorithm: tg_text,
        mode: tg_text,
        on_failure: tg_text,
        lease: tg_text,
    }

    /// One rate of a limiter.
    struct tg_rate {
        limit: i64,
        window_us: i64,
        burst: i64,
        capacity: i64,
        algorithm: [c_char; 24],
        mode: [c_char; 12],
        on_failure: [c_char; 12],
        overdraft: i64,
    }

    /// One part of a request.
    struct tg_entry {
        user_data: u64,
        op: u32,
        flags: u32,
        handle: u64,
        key: *const c_void,
        key_len: u32,
        value_len: u32,
        value: *const c_void,
        arg: i64,
        arg2: i64,
        arg3: i64,
        timeout_us: i64,
        id: [u8; 16],
    }

    /// One rate of one part of an answered request.
    struct tg_part {
        handle: u64,
        rate: u32,
        flags: u32,
        limit: i64,
        remaining: i64,
        retry_after_us: i64,
        next_us: i64,
        reset_after_us: i64,
        window_us: i64,
        capacity: i64,
        shortfall: i64,
    }

    /// The answer to one request.
    struct tg_result {
        user_data: u64,
        status: i32,
        flags: u32,
        part_count: u32,
        binding: u32,
        parts: *const tg_part,
        data: *const c_void,
        data_len: u64,
        found: *const tg_found,
    }

    /// What a guard's check is answered: the `data` of its result.
    struct tg_answer {
        status: i32,
        verdict: u32,
        fields: tg_text,
        body: tg_text,
        scope: tg_text,
        caller: tg_text,
        reason: tg_text,
        retry_after_us: i64,
        renew_us: i64,
        finish: u32,
        limit: u32,
    }

    /// What a guard is to be.
    struct tg_guard_spec {
        policy: tg_text,
        file: tg_text,
        headers: tg_text,
        trusted_proxies: tg_text,
        ipv6_prefix: i64,
    }

    /// A header that is part of a request's key.
    struct tg_field {
        name: tg_text,
        value: tg_text,
    }

    /// A request whose answer is cached.
    struct tg_request {
        method: tg_text,
        route: tg_text,
        provider: tg_text,
        model: tg_text,
        body: tg_text,
        fields: *const tg_field,
        leave_out: *const tg_text,
        field_count: u32,
        leave_out_count: u32,
        flags: u32,
        reserved: u32,
    }

    /// What a cache is to be.
    struct tg_cache_spec {
        name: tg_text,
        ttl: tg_text,
        stale: tg_text,
        stale_if_error: tg_text,
        jitter: tg_text,
        lease: tg_text,
        wait: tg_text,
        retry: tg_text,
        near: tg_text,
        max_entry: i64,
    }

    /// What a cache says of a request, beside its result.
    struct tg_found {
        size: u32,
        status: u32,
        kind: u32,
        tag_count: u32,
        age_us: i64,
        fresh_us: i64,
        wait_us: i64,
        born_us: i64,
        lease: [u8; 16],
        meta: *const c_void,
        tags: *const c_void,
        meta_len: u64,
        tags_len: u64,
    }
}

/// The sizes of the caller's records, passed wherever results are written.
pub const TG_LAYOUT: u64 = size_of::<tg_entry>() as u64
    | (size_of::<tg_part>() as u64) << 16
    | (size_of::<tg_result>() as u64) << 32;
