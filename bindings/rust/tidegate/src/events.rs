// SPDX-License-Identifier: MIT
use std::time::SystemTime;

/// How much an [`Event`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Good news: the store is back.
    Info,
    /// Something to look at.
    Warning,
    /// Something is wrong.
    Error,
}

/// A change of state: store lost, breaker open, store back, names that disagree. One per state, not
/// one per request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// How much it matters.
    pub level: Level,
    /// The `TG_E...` code behind it, or 0.
    pub code: i32,
    /// When.
    pub at: SystemTime,
    /// One line; no secret and no caller's key is in it.
    pub text: String,
}
