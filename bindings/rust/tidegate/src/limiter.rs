// SPDX-License-Identifier: MIT
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidegate_sys as sys;

use crate::boundary::Spec;
use crate::error::Error;
use crate::gate::Gate;
use crate::request::{Check, Command, Part};
use crate::wait::Wait;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// As it is written in every language.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

words! {
    /// How tokens come back.
    Algorithm {
        /// A meter that drains at an even rate, with room for a burst; GCRA and the leaky bucket
        /// are other names for it. The default.
        TokenBucket = "token_bucket",
        /// Windows that open with their first charge.
        FixedWindow = "fixed_window",
        /// Two weighted counters.
        SlidingWindow = "sliding_window",
        /// Exact; at most 10,000 charges.
        SlidingLog = "sliding_log",
    }
}

words! {
    /// What a limiter does with its verdict.
    Mode {
        /// Denies. The default.
        Enforce = "enforce",
        /// Counts, and only says what it would have done.
        Shadow = "shadow",
        /// Asks nobody.
        Off = "off",
    }
}

words! {
    /// Who answers a check while the store cannot.
    OnFailure {
        /// This process, with the same limit. The client's default.
        Local = "local",
        /// Everything passes.
        Open = "open",
        /// Nothing passes.
        Closed = "closed",
    }
}

/// What a limiter is to be, or to become.
#[derive(Debug)]
struct Wish<'a> {
    spec: Spec<'a>,
}

impl<'a> Wish<'a> {
    fn new(rates: &'a str) -> Self {
        Self { spec: Spec { rates, ..Spec::default() } }
    }
}

macro_rules! wishes {
    () => {
        /// Another algorithm than the token bucket.
        pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
            self.wish.spec.algorithm = algorithm.as_str();
            self
        }

        /// Enforce, shadow or off.
        pub fn mode(mut self, mode: Mode) -> Self {
            self.wish.spec.mode = mode.as_str();
            self
        }

        /// Who answers while the store cannot; else the gate's option says so.
        pub fn on_failure(mut self, policy: OnFailure) -> Self {
            self.wish.spec.on_failure = policy.as_str();
            self
        }
    };
}

/// A limiter to be opened; see [`Gate::limiter`].
#[must_use = "there is no limiter until it is opened"]
#[derive(Debug)]
pub struct LimiterBuilder<'a> {
    gate: &'a Gate,
    wish: Wish<'a>,
}

impl<'a> LimiterBuilder<'a> {
    pub(crate) fn new(gate: &'a Gate, rates: &'a str) -> Self {
        Self { gate, wish: Wish::new(rates) }
    }

    /// `[A-Za-z0-9_.-]{1,64}`. A limiter without a name is called by its numbers, so that equal
    /// limits are one limit; give a name to keep callers' state when the numbers change.
    pub fn name(mut self, name: &'a str) -> Self {
        self.wish.spec.name = name;
        self
    }

    wishes!();

    /// Opens it. The same name and numbers again give the same limiter; other numbers are
    /// [`Error::Conflict`].
    pub fn open(self) -> Result<Limiter, Error> {
        let client = &self.gate.inner.client;
        let handle = client.open_limiter(&self.wish.spec)?;
        let name = client.limiter_name(handle, None)?.into();
        Ok(Limiter { gate: self.gate.clone(), handle, name })
    }
}

/// New numbers for a limiter; see [`Limiter::change`].
#[must_use = "nothing changes until it is applied"]
#[derive(Debug)]
pub struct LimiterChange<'a> {
    limiter: &'a Limiter,
    wish: Wish<'a>,
}

impl LimiterChange<'_> {
    wishes!();

    /// Applies it, at once.
    pub fn apply(self) -> Result<(), Error> {
        self.limiter.gate.inner.client.change_limiter(self.limiter.handle, &self.wish.spec)
    }
}

/// One rate of a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// Tokens per window.
    pub limit: u64,
    /// The window.
    pub window: Duration,
    /// Tokens that may be spent at once.
    pub capacity: u64,
}

/// A name with rates. Cheap to clone; it keeps its gate open. Any thread may use it.
#[derive(Clone)]
pub struct Limiter {
    pub(crate) gate: Gate,
    pub(crate) handle: u64,
    name: Arc<str>,
}

impl Limiter {
    /// Its name, given or made of its numbers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The gate it was opened on.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    #[cfg(feature = "tower")]
    pub(crate) fn is_same(&self, other: &Limiter) -> bool {
        self.handle == other.handle && self.gate.is_same(&other.gate)
    }

    /// The rates it has now.
    pub fn rates(&self) -> Result<Vec<Rate>, Error> {
        let records = self.gate.inner.client.rates(self.handle)?;
        Ok(records
            .iter()
            .map(|record| Rate {
                limit: u64::try_from(record.limit).unwrap_or(0),
                window: Duration::from_micros(u64::try_from(record.window_us).unwrap_or(0)),
                capacity: u64::try_from(record.capacity).unwrap_or(0),
            })
            .collect())
    }

    /// A part of a request of several parts; costs 1 unless it says otherwise.
    pub fn part<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Part<'a> {
        Part { limiter: self, key: key.as_ref(), cost: 1 }
    }

    /// Takes tokens from a key's state, if they are there. A key is 1 byte or more, any bytes.
    pub fn consume<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Check<'a> {
        Check::new(&self.gate, sys::TG_OP_CONSUME, self.part(key).into())
    }

    /// What `consume` would answer; writes nothing.
    pub fn peek<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Check<'a> {
        Check::new(&self.gate, sys::TG_OP_PEEK, self.part(key).into())
    }

    /// Gives tokens back, never beyond untouched. Not idempotent.
    pub fn refund<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K, cost: u64) -> Command<'a> {
        Command::new(&self.gate, sys::TG_OP_REFUND, Some(self.part(key).cost(cost)))
    }

    /// Forgets a key's state.
    pub fn reset<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Command<'a> {
        Command::new(&self.gate, sys::TG_OP_RESET, Some(self.part(key)))
    }

    /// Consumes, and asks again after each `retry_after` until it is allowed. The denied decision
    /// comes back at once where the wait would exceed the time left, or is never. No order among
    /// waiters is promised.
    pub fn wait<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Wait<'a> {
        Wait::new(self.part(key))
    }

    /// New rates for the same states; `""` leaves them as they were. Another algorithm or window
    /// starts anew. The name stays.
    pub fn change<'a>(&'a self, rates: &'a str) -> LimiterChange<'a> {
        LimiterChange { limiter: self, wish: Wish::new(rates) }
    }

    /// Gives its name free, for all clones and every limiter opened under the same name.
    pub fn close(&self) -> Result<(), Error> {
        self.gate.inner.client.close_limiter(self.handle)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("name", &self.name).finish_non_exhaustive()
    }
}
