// SPDX-License-Identifier: MIT
//! The `#define`s of `tidegate.h` and of the headers beside it.

macro_rules! constants {
    ($($name:ident: $kind:ty = $value:expr;)*) => {
        $(#[doc = concat!("`", stringify!($name), "` of the header.")]
        pub const $name: $kind = $value;)*

        /// Each constant's name and value.
        pub const CONSTANTS: &[(&str, i64)] = &[$((stringify!($name), $name as i64)),*];
    };
}

constants! {
    TG_ABI: i32 = 1;
    TG_NEVER: i64 = -1;
    TG_MAX_PARTS: usize = 16;
    TG_MAX_RATES: usize = 8;
    TG_MAX_LIMITERS: usize = 65536;
    TG_MAX_TIMEOUT_US: i64 = 3_600_000_000;
    TG_MAX_COST: i64 = 4_503_599_627_370_495;
    TG_OK: i32 = 0;
    TG_EINVAL: i32 = -1;
    TG_ESIZE: i32 = -2;
    TG_ERATE: i32 = -3;
    TG_EOPTION: i32 = -4;
    TG_EURL: i32 = -5;
    TG_EKEY: i32 = -6;
    TG_ECOST: i32 = -7;
    TG_EHANDLE: i32 = -8;
    TG_ENAME: i32 = -9;
    TG_ECONFLICT: i32 = -10;
    TG_ECLOSED: i32 = -11;
    TG_EFORK: i32 = -12;
    TG_ECANCELED: i32 = -13;
    TG_EFULL: i32 = -14;
    TG_ENOMEM: i32 = -15;
    TG_EINTERNAL: i32 = -16;
    TG_EID: i32 = -17;
    TG_EPOLICY: i32 = -18;
    TG_EATTRIBUTE: i32 = -19;
    TG_ESTORE: i32 = -32;
    TG_ETIMEDOUT: i32 = -33;
    TG_ECONNECT: i32 = -34;
    TG_EAUTH: i32 = -35;
    TG_ETLS: i32 = -36;
    TG_EPROTOCOL: i32 = -37;
    TG_ECLUSTER: i32 = -38;
    TG_EOOM: i32 = -39;
    TG_EREADONLY: i32 = -40;
    TG_ELOADING: i32 = -41;
    TG_EBUSY: i32 = -42;
    TG_ENOPERM: i32 = -43;
    TG_EWRONGTYPE: i32 = -44;
    TG_LOG_INFO: i32 = 1;
    TG_LOG_WARNING: i32 = 2;
    TG_LOG_ERROR: i32 = 3;
    TG_OP_CONSUME: u32 = 1;
    TG_OP_PEEK: u32 = 2;
    TG_OP_REFUND: u32 = 3;
    TG_OP_RESET: u32 = 4;
    TG_OP_PING: u32 = 5;
    TG_OP_DEBIT: u32 = 6;
    TG_OP_CHECK: u32 = 7;
    TG_LINK: u32 = 1;
    TG_ALLOWED: u32 = 1;
    TG_WOULD_DENY: u32 = 2;
    TG_SHADOW: u32 = 4;
    TG_OFF: u32 = 8;
    TG_RENEWED: u32 = 64;
    TG_SOURCE_NONE: u32 = 0;
    TG_SOURCE_MEMORY: u32 = 1;
    TG_SOURCE_STORE: u32 = 2;
    TG_SOURCE_FALLBACK: u32 = 3;
    TG_SOURCE_FAIL_OPEN: u32 = 4;
    TG_SOURCE_FAIL_CLOSED: u32 = 5;
    TG_SOURCE_POLICY: u32 = 6;
    TG_SOURCE_NEAR: u32 = 7;
    TG_RING_LOCAL: u32 = 1;
    TG_VERDICT_LIMITS: u32 = 0;
    TG_VERDICT_EXEMPT: u32 = 1;
    TG_VERDICT_BANNED: u32 = 2;
    TG_FINISH_RENEW: u32 = 1;
    TG_FINISH_DENIED: u32 = 2;
    TG_EDIT_REPLACE: u32 = 1;
    TG_METRICS_OPENMETRICS: u32 = 1;
    TG_BY_DENIED: u32 = 1;
    TG_BY_COST: u32 = 2;
    TG_HEADERS_STANDARD: u32 = 1;
    TG_HEADERS_LEGACY: u32 = 2;
    TG_HEADERS_LEGACY_DELTA: u32 = 4;
    TG_CACHE_DIGEST_BYTES: usize = 32;
    TG_REQUEST_NOT_JSON: u32 = 1;
    TG_MAX_CACHES: usize = 1024;
    TG_MAX_TAGS: usize = 16;
    TG_MAX_META: usize = 4096;
    TG_OP_CACHE_GET: u32 = 16;
    TG_OP_CACHE_PUT: u32 = 17;
    TG_OP_CACHE_RELEASE: u32 = 18;
    TG_OP_CACHE_RENEW: u32 = 19;
    TG_OP_CACHE_DELETE: u32 = 20;
    TG_OP_CACHE_PURGE: u32 = 21;
    TG_OP_CACHE_CLEAR: u32 = 22;
    TG_OP_CACHE_TAG: u32 = 23;
    TG_OP_CACHE_META: u32 = 24;
    TG_FILL: u32 = 65_536;
    TG_WAIT: u32 = 131_072;
    TG_FAILED: u32 = 262_144;
    TG_KIND_BYTES: u32 = 0;
    TG_KIND_TEXT: u32 = 1;
    TG_KIND_JSON: u32 = 2;
    TG_CACHE_HIT: u32 = 1;
    TG_CACHE_STALE: u32 = 2;
    TG_CACHE_RESCUED: u32 = 3;
    TG_CACHE_MISS: u32 = 4;
    TG_CACHE_WAITING: u32 = 5;
    TG_CACHE_SHARED: u32 = 6;
    TG_CACHE_FAILED: u32 = 7;
    TG_CACHE_STORED: u32 = 16;
    TG_CACHE_LATE: u32 = 17;
    TG_CACHE_REFUSED: u32 = 18;
    TG_CACHE_DONE: u32 = 19;
    TG_CACHE_NOT: u32 = 20;
}

/// Who decided a result: `TG_SOURCE_...`.
pub const fn tg_source(flags: u32) -> u32 {
    (flags >> 8) & 15
}

/// The flags of a refund or debit that goes to `source`.
pub const fn tg_source_flags(source: u32) -> u32 {
    source << 8
}

/// The flags of a cache's put whose value is of `kind`: `TG_KIND_...`.
pub const fn tg_kind_flags(kind: u32) -> u32 {
    kind << 24
}
