// SPDX-License-Identifier: MIT
//! Entries of the live document, written as patches.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Policy;
use crate::error::Error;
use crate::json::quoted;
use crate::limiter::{Mode, OnFailure};

/// A patch of one entry.
pub(super) fn patch(kind: &str, name: &str, entry: &str) -> String {
    format!("{{\"{kind}\":{{{}:{entry}}}}}", quoted(name))
}

/// When an entry ends.
#[derive(Clone, Debug)]
pub enum Until {
    /// At this time.
    At(SystemTime),
    /// So long from when it is applied.
    In(Duration),
    /// At this time, as a policy writes it: `2026-12-01T00:00:00Z`.
    Text(String),
}

impl From<SystemTime> for Until {
    fn from(time: SystemTime) -> Self {
        Self::At(time)
    }
}

impl From<Duration> for Until {
    fn from(wait: Duration) -> Self {
        Self::In(wait)
    }
}

impl From<&str> for Until {
    fn from(stamp: &str) -> Self {
        Self::Text(stamp.to_owned())
    }
}

impl From<String> for Until {
    fn from(stamp: String) -> Self {
        Self::Text(stamp)
    }
}

impl Until {
    fn stamp(&self, now_us: i64) -> String {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        match self {
            Self::Text(stamp) => stamp.clone(),
            Self::In(wait) => stamp(now_us.saturating_add(micros(*wait))),
            Self::At(time) => stamp(time.duration_since(UNIX_EPOCH).map_or(0, micros)),
        }
    }
}

/// The last moment that a policy can write.
const LAST_US: i64 = 253_402_300_799_999_999;

/// Microseconds since the epoch, as `2025-11-21T00:00:00.000000Z`.
fn stamp(us: i64) -> String {
    let us = us.clamp(0, LAST_US);
    let (seconds, part) = (us / 1_000_000, us % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March have their leap day at their end: 400 of them are 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{part:06}Z")
}

/// What every edit has.
#[derive(Clone, Debug)]
struct Entry<'a> {
    policy: Policy<'a>,
    kind: &'static str,
    name: String,
    members: Vec<(&'static str, String)>,
    until: Option<Until>,
}

impl<'a> Entry<'a> {
    fn new(policy: Policy<'a>, kind: &'static str, name: &str) -> Self {
        Self { policy, kind, name: name.to_owned(), members: Vec::new(), until: None }
    }

    /// Says a member, in place of what was said of it before.
    fn say(&mut self, member: &'static str, json: String) {
        self.members.retain(|(known, _)| *known != member);
        self.members.push((member, json));
    }

    fn apply(mut self) -> Result<u64, Error> {
        if let Some(until) = self.until.take() {
            self.say("until", quoted(&until.stamp(self.policy.now_us())));
        }
        let mut entry = String::new();
        for (name, json) in &self.members {
            let comma = if entry.is_empty() { "" } else { "," };
            let _ = write!(entry, "{comma}\"{name}\":{json}"); // a String takes everything
        }
        self.policy.edit(&patch(self.kind, &self.name, &format!("{{{entry}}}")))
    }
}

macro_rules! edits {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $($(#[$doc])*
        #[must_use = "nothing changes until it is applied"]
        #[derive(Clone, Debug)]
        pub struct $name<'a>(Entry<'a>);

        impl $name<'_> {
            /// When the entry ends; never unless given.
            pub fn until(mut self, end: impl Into<Until>) -> Self {
                self.0.until = Some(end.into());
                self
            }

            /// Applies it, in place of the entry of its name. The version that is there then.
            pub fn apply(self) -> Result<u64, Error> {
                self.0.apply()
            }
        })*
    };
}

edits! {
    /// Other numbers for a limiter; see [`Policy::set_limit`].
    LimitEdit
    /// Other limiters for a tier; see [`Policy::set_tier`].
    TierEdit
    /// What is said of a caller; see [`Policy::set_caller`].
    CallerEdit
}

impl<'a> LimitEdit<'a> {
    pub(super) fn new(policy: Policy<'a>, name: &str, rate: &str) -> Self {
        let mut entry = Entry::new(policy, "limiters", name);
        entry.say("rate", quoted(rate));
        Self(entry)
    }

    /// Enforce, shadow or off.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.0.say("mode", quoted(mode.as_str()));
        self
    }

    /// Who answers while the store cannot.
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.0.say("on_failure", quoted(policy.as_str()));
        self
    }
}

impl<'a> TierEdit<'a> {
    pub(super) fn new<L: AsRef<str>>(
        policy: Policy<'a>,
        name: &str,
        limiters: impl IntoIterator<Item = L>,
    ) -> Self {
        let names: Vec<_> = limiters.into_iter().map(|name| quoted(name.as_ref())).collect();
        let mut entry = Entry::new(policy, "tiers", name);
        entry.say("limiters", format!("[{}]", names.join(",")));
        Self(entry)
    }
}

impl<'a> CallerEdit<'a> {
    pub(super) fn new(policy: Policy<'a>, key: &str) -> Self {
        Self(Entry::new(policy, "callers", key))
    }

    /// Bans him: 403, and no limit is asked.
    pub fn ban(mut self) -> Self {
        self.0.say("ban", "true".into());
        self
    }

    /// Bans him for so long.
    pub fn ban_for(self, wait: Duration) -> Self {
        self.ban().until(wait)
    }

    /// Lifts a ban of his network for him.
    pub fn allow(mut self) -> Self {
        self.0.say("ban", "false".into());
        self
    }

    /// Why; for operators, it is in no response.
    pub fn reason(mut self, reason: &str) -> Self {
        self.0.say("reason", quoted(reason));
        self
    }

    /// No limit counts for him.
    pub fn exempt(mut self) -> Self {
        self.0.say("exempt", "true".into());
        self
    }

    /// One of the policy's tiers.
    pub fn tier(mut self, tier: &str) -> Self {
        self.0.say("tier", quoted(tier));
        self
    }

    /// Numbers of his own for the policy's limiters, by their names.
    pub fn limits<N: AsRef<str>, R: AsRef<str>>(
        mut self,
        limits: impl IntoIterator<Item = (N, R)>,
    ) -> Self {
        let pair =
            |(name, rate): (N, R)| format!("{}:{}", quoted(name.as_ref()), quoted(rate.as_ref()));
        let pairs: Vec<_> = limits.into_iter().map(pair).collect();
        self.0.say("limits", format!("{{{}}}", pairs.join(",")));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_a_policy_reads_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_000_001, "2000-02-28T23:59:59.000001Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_763_683_200_000_000, "2025-11-21T00:00:00.000000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
        ];
        for (us, text) in cases {
            assert_eq!(stamp(us), text);
        }
        assert_eq!(patch("callers", "a\"\n", "null"), r#"{"callers":{"a\"\u000a":null}}"#);
    }
}
