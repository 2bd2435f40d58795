// SPDX-License-Identifier: MIT
use std::ops::BitOr;

use tidegate_sys as sys;

use crate::boundary::{into_string, Options};
use crate::error::Error;

/// Which header fields a response carries; several with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderStyles(u32);

impl HeaderStyles {
    /// None but `Retry-After`.
    pub const NONE: Self = Self(0);
    /// `RateLimit-Policy` and `RateLimit`.
    pub const STANDARD: Self = Self(sys::TG_HEADERS_STANDARD);
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, in epoch seconds.
    pub const LEGACY: Self = Self(sys::TG_HEADERS_LEGACY);
    /// The same, `-Reset` in seconds from now.
    pub const LEGACY_DELTA: Self = Self(sys::TG_HEADERS_LEGACY_DELTA);

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// As a guard is told: empty, where they are its default.
    #[cfg(feature = "tower")]
    pub(crate) fn words(self) -> String {
        if self == Self::default() {
            return String::new();
        }
        let all = [
            (Self::STANDARD, "standard"),
            (Self::LEGACY, "legacy"),
            (Self::LEGACY_DELTA, "legacy-delta"),
        ];
        let words = all.iter().filter(|(style, _)| self.0 & style.0 != 0).map(|(_, word)| *word);
        let words = words.collect::<Vec<_>>().join(",");
        if words.is_empty() {
            "none".to_owned()
        } else {
            words
        }
    }
}

impl Default for HeaderStyles {
    /// `STANDARD | LEGACY`.
    fn default() -> Self {
        Self::STANDARD | Self::LEGACY
    }
}

impl BitOr for HeaderStyles {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The key of a caller, as every middleware uses it: his identity, or where there is none his
/// address (`@203.0.113.7`). For admin pages that look a caller up.
pub fn caller_key(identity: Option<&str>, address: &str) -> Result<String, Error> {
    let key = Options::caller_key(None, address, "", identity.unwrap_or("").as_bytes())?;
    Ok(into_string(key))
}

/// Whom to believe about a caller's address; behind every middleware.
#[derive(Debug)]
pub struct Callers(Options);

impl Callers {
    /// `trusted_proxies`: a count of hops (`"1"`), or networks (`"10.0.0.0/8, ::1/128"`), read from
    /// the right of `X-Forwarded-For`. `ipv6_prefix`: bits of an IPv6 address that make a caller.
    pub fn new(trusted_proxies: &str, ipv6_prefix: u8) -> Result<Self, Error> {
        let mut options = Options::new()?;
        options.set("trusted_proxies", trusted_proxies)?;
        options.set("ipv6_prefix", &ipv6_prefix.to_string())?;
        Ok(Self(options))
    }

    /// The key of a caller. `peer`: his socket's address, or empty; `forwarded_for`: the
    /// `X-Forwarded-For` lines joined by commas.
    pub fn key(
        &self,
        peer: &str,
        forwarded_for: &str,
        identity: Option<&str>,
    ) -> Result<String, Error> {
        let identity = identity.unwrap_or("").as_bytes();
        self.key_of_bytes(peer, forwarded_for, identity).map(into_string)
    }

    /// The same of an identity that may be any bytes; empty where there is none.
    pub fn key_of_bytes(
        &self,
        peer: &str,
        forwarded_for: &str,
        identity: &[u8],
    ) -> Result<Vec<u8>, Error> {
        Options::caller_key(Some(&self.0), peer, forwarded_for, identity)
    }
}
