// SPDX-License-Identifier: MIT
//! The functions of `tidegate.h` and of the headers beside it.

use core::ffi::{c_char, c_void};

use crate::records::*;

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])*
        #[repr(C)]
        #[derive(Debug)]
        pub struct $name {
            _data: [u8; 0],
            _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
        })*
    };
}

opaque! {
    /// Options, before a client is opened with them.
    tg_options;
    /// A client of one store.
    tg_client;
    /// One event loop's window onto a client.
    tg_ring;
}

/// The hook for events; it runs on whichever thread does the I/O.
pub type tg_event_fn = Option<unsafe extern "C" fn(*mut c_void, *const tg_event)>;

/// A function as it is declared here: name, the types of its arguments, its result, as text.
pub type Function = (&'static str, &'static [&'static str], &'static str);

macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $kind:ty),* $(,)?) -> $result:ty;)*) => {
        extern "C" {
            $(#[doc = concat!("`", stringify!($name), "` of the header.")]
            pub fn $name($($argument: $kind),*) -> $result;)*
        }

        /// Every function.
        pub const FUNCTIONS: &[Function] =
            &[$((stringify!($name), &[$(stringify!($kind)),*], stringify!($result))),*];
    };
}

functions! {
    fn tg_abi() -> i32;
    fn tg_version() -> *const c_char;
    fn tg_strerror(code: i32) -> *const c_char;
    fn tg_error_name(code: i32) -> *const c_char;
    fn tg_error_kind(code: i32) -> *const c_char;
    fn tg_is_retriable(code: i32) -> i32;
    fn tg_is_fatal(code: i32) -> i32;
    fn tg_options_new() -> *mut tg_options;
    fn tg_options_set(
        options: *mut tg_options,
        name: *const c_char,
        value: *const c_char,
        error: *mut tg_error,
    ) -> i32;
    fn tg_options_describe(buffer: *mut c_char, size: usize) -> i64;
    fn tg_options_free(options: *mut tg_options) -> ();
    fn tg_client_open(
        url: *const c_char,
        url_len: usize,
        options: *const tg_options,
        client: *mut *mut tg_client,
        error: *mut tg_error,
    ) -> i32;
    fn tg_client_url(client: *const tg_client, buffer: *mut c_char, size: usize) -> i64;
    fn tg_client_close(client: *mut tg_client) -> i32;
    fn tg_client_free(client: *mut tg_client) -> ();
    fn tg_client_set_time(client: *mut tg_client, now_us: i64) -> i32;
    fn tg_client_report(client: *mut tg_client, buffer: *mut c_char, size: usize) -> i64;
    fn tg_client_metrics(client: *mut tg_client, buffer: *mut c_char, size: usize) -> i64;
    fn tg_client_stats_sized(client: *mut tg_client, stats: *mut tg_stats, size: usize) -> i32;
    fn tg_client_on_event_sized(
        client: *mut tg_client,
        hook: tg_event_fn,
        context: *mut c_void,
        size: usize,
    ) -> i32;
    fn tg_client_next_event_sized(client: *mut tg_client, event: *mut tg_event, size: usize) -> i32;
    fn tg_limiter_open_sized(
        client: *mut tg_client,
        spec: *const tg_limiter_spec,
        size: usize,
        handle: *mut u64,
        error: *mut tg_error,
    ) -> i32;
    fn tg_limiter_change_sized(
        client: *mut tg_client,
        handle: u64,
        spec: *const tg_limiter_spec,
        size: usize,
        error: *mut tg_error,
    ) -> i32;
    fn tg_limiter_close(client: *mut tg_client, handle: u64) -> i32;
    fn tg_limiter_rates_sized(
        client: *mut tg_client,
        handle: u64,
        rates: *mut tg_rate,
        size: usize,
        max: i32,
    ) -> i32;
    fn tg_limiter_name(
        client: *mut tg_client,
        handle: u64,
        rate: i32,
        buffer: *mut c_char,
        size: usize,
    ) -> i64;
    fn tg_check_entries_sized(
        entries: *const tg_entry,
        n: i32,
        error: *mut tg_error,
        layout: u64,
    ) -> i32;
    fn tg_call_sized(
        client: *mut tg_client,
        entries: *const tg_entry,
        n: i32,
        result: *mut tg_result,
        max: i32,
        layout: u64,
    ) -> i32;
    fn tg_ring_open_sized(
        client: *mut tg_client,
        capacity: i32,
        flags: u32,
        ring: *mut *mut tg_ring,
        error: *mut tg_error,
        layout: u64,
    ) -> i32;
    fn tg_ring_fd(ring: *mut tg_ring) -> isize;
    fn tg_submit(ring: *mut tg_ring, entries: *const tg_entry, n: i32) -> i32;
    fn tg_ring_flush(ring: *mut tg_ring) -> i32;
    fn tg_reap(ring: *mut tg_ring, result: *mut tg_result, max: i32) -> i32;
    fn tg_ring_wait(ring: *mut tg_ring, result: *mut tg_result, max: i32, timeout_us: i64) -> i32;
    fn tg_cancel(ring: *mut tg_ring, user_data: u64) -> i32;
    fn tg_ring_free(ring: *mut tg_ring) -> ();
    fn tg_decision_status_sized(result: *const tg_result, layout: u64) -> i32;
    fn tg_decision_headers_sized(
        client: *mut tg_client,
        result: *const tg_result,
        flags: u32,
        wall_us: i64,
        buffer: *mut c_char,
        size: usize,
        layout: u64,
    ) -> i32;
    fn tg_decision_problem_sized(
        client: *mut tg_client,
        result: *const tg_result,
        buffer: *mut c_char,
        size: usize,
        layout: u64,
    ) -> i32;
    fn tg_caller_key(
        options: *const tg_options,
        peer: *const c_char,
        peer_len: usize,
        forwarded_for: *const c_char,
        forwarded_for_len: usize,
        identity: *const c_char,
        identity_len: usize,
        buffer: *mut c_char,
        size: usize,
    ) -> i64;
    fn tg_guard_open_sized(
        client: *mut tg_client,
        spec: *const tg_guard_spec,
        size: usize,
        handle: *mut u64,
        error: *mut tg_error,
    ) -> i32;
    fn tg_guard_replace(
        client: *mut tg_client,
        guard: u64,
        policy: *const c_char,
        size: usize,
        error: *mut tg_error,
    ) -> i32;
    fn tg_guard_close(client: *mut tg_client, guard: u64) -> i32;
    fn tg_guard_finish_sized(
        scope: *const c_void,
        size: usize,
        status: i32,
        attributes: *const c_void,
        attributes_size: usize,
        flags: u32,
        entries: *mut tg_entry,
        max: i32,
        layout: u64,
    ) -> i32;
    fn tg_guard_explain(
        client: *mut tg_client,
        guard: u64,
        attributes: *const c_void,
        size: usize,
        buffer: *mut c_char,
        buffer_size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_guard_edit(
        client: *mut tg_client,
        guard: u64,
        flags: u32,
        patch: *const c_char,
        size: usize,
        who: *const c_char,
        who_size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_client_live(client: *mut tg_client, buffer: *mut c_char, size: usize) -> i64;
    fn tg_policy_validate(
        policy: *const c_char,
        size: usize,
        buffer: *mut c_char,
        buffer_size: usize,
    ) -> i64;
    fn tg_policy_resolve(
        policy: *const c_char,
        size: usize,
        live: *const c_char,
        live_size: usize,
        attributes: *const c_void,
        attributes_size: usize,
        now_us: i64,
        buffer: *mut c_char,
        buffer_size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_policy_ignored(
        policy: *const c_char,
        size: usize,
        live: *const c_char,
        live_size: usize,
        buffer: *mut c_char,
        buffer_size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_place_name(
        mount: *const c_char,
        mount_size: usize,
        method: *const c_char,
        method_size: usize,
        route: *const c_char,
        route_size: usize,
        buffer: *mut c_char,
        buffer_size: usize,
    ) -> i64;
    fn tg_client_metrics_as(
        client: *mut tg_client,
        flags: u32,
        buffer: *mut c_char,
        size: usize,
    ) -> i64;
    fn tg_client_top(
        client: *mut tg_client,
        limiter: tg_text,
        by: u32,
        n: i32,
        buffer: *mut c_char,
        size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_client_limited_now(
        client: *mut tg_client,
        limiter: tg_text,
        n: i32,
        buffer: *mut c_char,
        size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_client_look_up(
        client: *mut tg_client,
        key: *const c_void,
        key_len: usize,
        buffer: *mut c_char,
        size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_client_events(
        client: *mut tg_client,
        after: i64,
        n: i32,
        buffer: *mut c_char,
        size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_client_series(
        client: *mut tg_client,
        limiter: tg_text,
        period: tg_text,
        step: tg_text,
        buffer: *mut c_char,
        size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_cache_key(
        values: *const c_void,
        values_len: usize,
        buffer: *mut c_void,
        size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_request_key_sized(
        request: *const tg_request,
        record_size: usize,
        buffer: *mut c_void,
        size: usize,
        error: *mut tg_error,
    ) -> i64;
    fn tg_cache_digest(
        cache: *const c_char,
        cache_len: usize,
        scope: *const c_char,
        scope_len: usize,
        key: *const c_void,
        key_len: usize,
        digest: *mut u8,
        error: *mut tg_error,
    ) -> i32;
    fn tg_cache_open_sized(
        client: *mut tg_client,
        spec: *const tg_cache_spec,
        size: usize,
        handle: *mut u64,
        error: *mut tg_error,
    ) -> i32;
    fn tg_cache_close(client: *mut tg_client, handle: u64) -> i32;
}
