// SPDX-License-Identifier: MIT
//! Policies: which limits a request meets, said by a text instead of code.
//!
//! ```
//! use tidegate::{policy, Attributes, Gate};
//!
//! let text = r#"
//! version: 1
//! limiters: { basic: 100/minute, images: 10/minute }
//! rules:
//!   - { when: { path: /health }, exempt: true }
//!   - { when: { path: /v1/images/*, method: POST }, limit: images, cost: "{images}" }
//!   - limit: basic
//! "#;
//! let request = Attributes::new().method("POST").path("/v1/images/x").identity("k_1");
//! let request = request.with("images", 4);
//!
//! let gate = Gate::builder().url("memory://").policy(text).open()?; // or a file's path
//! let decision = gate.check(&request).call()?; // or, on tokio, .await?
//! assert_eq!((decision.status(), decision.parts().len()), (200, 2));
//!
//! gate.policy().set_caller("k_1").ban().until("2126-12-01T00:00:00Z").reason("scraping").apply()?;
//! assert_eq!(gate.check(&request).call()?.status(), 403);
//! gate.policy().clear("k_1")?;
//!
//! // The pure function behind it: no gate, no store. Teams test their policies with it.
//! let found = policy::resolve(text, &request, None, None)?;
//! assert!(found.contains(r#""verdict":"limits""#));
//! # Ok::<(), tidegate::Error>(())
//! ```

mod edits;
mod finish;
mod guards;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tidegate_sys as sys;

use crate::attributes::Attributes;
use crate::boundary;
use crate::error::Error;
use crate::gate::Gate;

pub use edits::{CallerEdit, LimitEdit, TierEdit, Until};
#[cfg(feature = "tower")]
pub(crate) use finish::command;
pub use finish::Finish;
#[cfg(feature = "tower")]
pub(crate) use guards::OwnGuard;
pub(crate) use guards::{GuardOptions, Guards};

/// A policy: its text (YAML or JSON), or the path of a file with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// The text itself.
    Text(String),
    /// A file, which is read now, and by a gate again when it has changed.
    File(PathBuf),
}

impl From<&str> for Document {
    /// What has a newline or begins with `{` is a text, all else a path.
    fn from(given: &str) -> Self {
        if given.contains('\n') || given.starts_with('{') {
            Self::Text(given.to_owned())
        } else {
            Self::File(given.into())
        }
    }
}

impl From<&String> for Document {
    fn from(given: &String) -> Self {
        given.as_str().into()
    }
}

impl From<String> for Document {
    fn from(given: String) -> Self {
        given.as_str().into()
    }
}

impl From<&Path> for Document {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<PathBuf> for Document {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl Document {
    fn read(self) -> Result<String, Error> {
        match self {
            Self::Text(text) => Ok(text),
            Self::File(path) => fs::read_to_string(&path).map_err(|why| {
                let message = format!("policy file {}: {why}", path.display());
                Error::new(sys::TG_EPOLICY, message, None)
            }),
        }
    }
}

/// What is wrong with a policy: a JSON list, empty where nothing is, of `path`, `line`, `column`
/// and `message`.
///
/// ```
/// let faults = tidegate::policy::validate("version: 1\nlimiters: {a: 1/fortnight}\n")?;
/// assert!(faults.contains(r#""path":"limiters.a""#), "{faults}");
/// # Ok::<(), tidegate::Error>(())
/// ```
pub fn validate(policy: impl Into<Document>) -> Result<String, Error> {
    boundary::validate(&policy.into().read()?)
}

/// What applies to a request by a policy and perhaps a live document over it, as JSON: `verdict`,
/// `parts`, `rules`. A pure function; `now_us` (epoch) is the time at which bans end, now unless
/// given. A faulty document is [`Error::Policy`].
pub fn resolve(
    policy: impl Into<Document>,
    request: impl Into<Attributes>,
    live: Option<&str>,
    now_us: Option<i64>,
) -> Result<String, Error> {
    let now_us = now_us.unwrap_or_else(wall_us);
    let (policy, request) = (policy.into().read()?, request.into());
    boundary::resolve(&policy, live.unwrap_or_default(), request.bytes(), now_us)
}

/// Of a live document over a policy: a JSON list of the places that name limiters and tiers which
/// the policy has not, and which are left out, since services share the document.
pub fn ignored(policy: impl Into<Document>, live: &str) -> Result<String, Error> {
    boundary::ignored(&policy.into().read()?, live)
}

fn wall_us() -> i64 {
    UNIX_EPOCH.elapsed().map_or(0, |age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

/// A gate's policy: what it says, and what is said over it while it runs. Made by
/// [`Gate::policy`].
///
/// Edits go into the live document over all policies of the gate: on a server that of every
/// process there, each of which has it within a second. They wait for the store on this thread;
/// within a runtime use `spawn_blocking`.
#[derive(Clone, Copy)]
pub struct Policy<'a> {
    gate: &'a Gate,
    who: &'a str,
}

impl fmt::Debug for Policy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("gate", self.gate).finish_non_exhaustive()
    }
}

impl<'a> Policy<'a> {
    pub(crate) fn new(gate: &'a Gate) -> Self {
        Self { gate, who: "" }
    }

    /// Who makes the edits, for the audit stream.
    pub fn by(mut self, who: &'a str) -> Self {
        self.who = who;
        self
    }

    fn guard(&self) -> Result<u64, Error> {
        self.gate.guard()
    }

    /// What applies to a request and why, as JSON: rules, the caller's entries, the parts with
    /// their present state. Asks the store as a peek does, and waits for it.
    pub fn explain(&self, request: impl Into<Attributes>) -> Result<String, Error> {
        self.gate.inner.client.explain(self.guard()?, request.into().bytes())
    }

    /// Another policy in place of the gate's own, at once, for the states that are there. A faulty
    /// one changes nothing.
    pub fn load(&self, policy: impl Into<Document>) -> Result<(), Error> {
        self.gate.inner.guards.load(&self.gate.inner.client, &policy.into().read()?)
    }

    /// The live document, as this process has it: `{"version": 12, "live": {...}}`.
    pub fn live(&self) -> Result<String, Error> {
        self.gate.inner.client.live()
    }

    /// Another live document in place of the one there is. The version that it has.
    pub fn replace(&self, document: &str) -> Result<u64, Error> {
        let client = &self.gate.inner.client;
        client.edit_live(self.guard()?, sys::TG_EDIT_REPLACE, document, self.who)
    }

    /// Merges a patch, which is a live document in JSON: an entry takes the place of the one of its
    /// name, null takes it away. The version that is there then.
    pub fn edit(&self, patch: &str) -> Result<u64, Error> {
        self.gate.inner.client.edit_live(self.guard()?, 0, patch, self.who)
    }

    /// Other numbers for one of the policy's limiters.
    pub fn set_limit(&self, name: &str, rate: &str) -> LimitEdit<'a> {
        LimitEdit::new(*self, name, rate)
    }

    /// Other limiters for one of the policy's tiers.
    pub fn set_tier<L: AsRef<str>>(
        &self,
        name: &str,
        limiters: impl IntoIterator<Item = L>,
    ) -> TierEdit<'a> {
        TierEdit::new(*self, name, limiters)
    }

    /// What is said of a caller: his identity, an address, or a network.
    pub fn set_caller(&self, key: &str) -> CallerEdit<'a> {
        CallerEdit::new(*self, key)
    }

    /// Takes away what the live document says of a caller.
    pub fn clear(&self, caller: &str) -> Result<u64, Error> {
        self.edit(&edits::patch("callers", caller, "null"))
    }

    /// Takes away what it says of a limiter.
    pub fn clear_limit(&self, name: &str) -> Result<u64, Error> {
        self.edit(&edits::patch("limiters", name, "null"))
    }

    /// Takes away what it says of a tier.
    pub fn clear_tier(&self, name: &str) -> Result<u64, Error> {
        self.edit(&edits::patch("tiers", name, "null"))
    }

    fn now_us(&self) -> i64 {
        self.gate.inner.clock.as_ref().map_or_else(wall_us, crate::testing::FakeClock::now_us)
    }
}
