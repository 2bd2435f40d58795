// SPDX-License-Identifier: MIT
use std::fmt;

use tidegate_sys as sys;

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Nobody was asked: all limiters of the request are off.
    None,
    /// The embedded store.
    Memory,
    /// The server.
    Store,
    /// This process, because the server did not answer (`OnFailure::Local`).
    Fallback,
    /// The failure policy let it through.
    FailOpen,
    /// The failure policy refused it.
    FailClosed,
    /// A policy's ban or exemption; no limit was asked.
    Policy,
    /// A copy in this process.
    Near,
}

impl Source {
    pub(crate) fn of(flags: u32) -> Self {
        match sys::tg_source(flags) {
            sys::TG_SOURCE_MEMORY => Source::Memory,
            sys::TG_SOURCE_STORE => Source::Store,
            sys::TG_SOURCE_FALLBACK => Source::Fallback,
            sys::TG_SOURCE_FAIL_OPEN => Source::FailOpen,
            sys::TG_SOURCE_FAIL_CLOSED => Source::FailClosed,
            sys::TG_SOURCE_POLICY => Source::Policy,
            sys::TG_SOURCE_NEAR => Source::Near,
            _ => Source::None,
        }
    }

    pub(crate) fn flags(self) -> u32 {
        sys::tg_source_flags(match self {
            Source::None => sys::TG_SOURCE_NONE,
            Source::Memory => sys::TG_SOURCE_MEMORY,
            Source::Store => sys::TG_SOURCE_STORE,
            Source::Fallback => sys::TG_SOURCE_FALLBACK,
            Source::FailOpen => sys::TG_SOURCE_FAIL_OPEN,
            Source::FailClosed => sys::TG_SOURCE_FAIL_CLOSED,
            Source::Policy => sys::TG_SOURCE_POLICY,
            Source::Near => sys::TG_SOURCE_NEAR,
        })
    }

    /// As it is written in every language: `memory`, `store`, `fallback`, `fail_open`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            Source::None => "none",
            Source::Memory => "memory",
            Source::Store => "store",
            Source::Fallback => "fallback",
            Source::FailOpen => "fail_open",
            Source::FailClosed => "fail_closed",
            Source::Policy => "policy",
            Source::Near => "near",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
