// SPDX-License-Identifier: MIT
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidegate_sys as sys;

use crate::boundary::{self, Spec};
use crate::error::Error;
use crate::gate::Gate;
use crate::request::{Check, Command, Part};
use crate::reservation::Reserve;
use crate::slot::SlotRequest;
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
        /// Two windows that start at multiples of their length; the one before counts by the share of
        /// it that is still inside.
        SlidingWindow = "sliding_window",
        /// Exact; at most 10,000 charges.
        SlidingLog = "sliding_log",
        /// Slots, `"5 at once"`: how many may be under way. Rates that say so need no algorithm.
        Concurrency = "concurrency",
    }
}

impl Algorithm {
    fn of(text: &str) -> Self {
        let words = [Self::FixedWindow, Self::SlidingWindow, Self::SlidingLog, Self::Concurrency];
        words.into_iter().find(|word| word.as_str() == text).unwrap_or(Self::TokenBucket)
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

        /// How long slots (`"5 at once"`) stay with a holder who does not renew them: 1 ms to 1 day,
        /// 30 s unless given. Another lease is another state: who held slots counts no more.
        pub fn lease(mut self, lease: Duration) -> Self {
            self.wish.spec.lease = format!("{}us", lease.as_micros());
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
    /// Tokens per window, or slots.
    pub limit: u64,
    /// The window; of slots, the lease.
    pub window: Duration,
    /// Tokens that may be spent at once.
    pub capacity: u64,
    /// Tokens beyond the capacity that debits may leave owing.
    pub overdraft: u64,
    /// How they come back.
    pub algorithm: Algorithm,
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

    /// The rates it has now.
    pub fn rates(&self) -> Result<Vec<Rate>, Error> {
        let records = self.gate.inner.client.rates(self.handle)?;
        Ok(records
            .iter()
            .map(|record| Rate {
                limit: figure(record.limit),
                window: Duration::from_micros(figure(record.window_us)),
                capacity: figure(record.capacity),
                overdraft: figure(record.overdraft),
                algorithm: Algorithm::of(&boundary::of_field(&record.algorithm)),
            })
            .collect())
    }

    /// A part of a request of several parts; costs 1 unless it says otherwise.
    pub fn part<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Part<'a> {
        Part { limiter: self, key: key.as_ref(), cost: 1, id: None }
    }

    /// Takes tokens from a key's state, if they are there. A key is 1 byte or more, any bytes.
    pub fn consume<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Check<'a> {
        Check::new(&self.gate, sys::TG_OP_CONSUME, self.part(key).into())
    }

    /// What `consume` would answer; writes nothing.
    pub fn peek<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Check<'a> {
        Check::new(&self.gate, sys::TG_OP_PEEK, self.part(key).into())
    }

    /// Charges what was used already: never denied, and in debt (`"100/minute overdraft 50"`) what
    /// comes next waits. [`PartDecision::shortfall`](crate::PartDecision::shortfall) says what did
    /// not fit.
    pub fn debit<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K, cost: u64) -> Check<'a> {
        Check::new(&self.gate, sys::TG_OP_DEBIT, self.part(key).cost(cost).into())
    }

    /// Takes an estimate of what is going to be used; [`Reservation::settle`] then gives back or
    /// debits the difference.
    ///
    /// ```
    /// # let gate = tidegate::Gate::connect("memory://")?;
    /// let tokens = gate.limiter("90000/minute overdraft 20000").name("tokens").open()?;
    /// let reservation = tokens.reserve("k_1", 800).call()?; // or, on tokio, .await?
    /// if reservation.allowed() {
    ///     let used = 1200; // an early return, `?` or panic before settle gives all back
    ///     reservation.settle(used).call()?;
    /// }
    /// assert_eq!(tokens.peek("k_1").call()?.remaining(), Some(88_800));
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    ///
    /// [`Reservation::settle`]: crate::Reservation::settle
    pub fn reserve<'a, K: AsRef<[u8]> + ?Sized>(
        &'a self,
        key: &'a K,
        estimate: u64,
    ) -> Reserve<'a> {
        Reserve::new(&self.gate, self.part(key).cost(estimate).into())
    }

    /// Takes a slot of a key (of a limiter `"5 at once"`) and holds it until it is dropped.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let gate = tidegate::Gate::connect("memory://")?;
    /// let generations = gate.limiter("2 at once").lease(Duration::from_secs(30)).open()?;
    /// let slot = generations.slot("k_1").timeout(Duration::from_secs(2)).call()?; // or .await?
    /// if slot.allowed() {
    ///     // It renews itself while it is held.
    ///     assert_eq!(generations.peek("k_1").call()?.remaining(), Some(1));
    /// }
    /// drop(slot);
    /// assert_eq!(generations.peek("k_1").call()?.remaining(), Some(2));
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn slot<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> SlotRequest<'a> {
        SlotRequest::new(self.part(key))
    }

    /// Takes slots under an id of 1 to 16 bytes, for a lease. [`Limiter::slot`] does that, renews
    /// them and gives them back by itself.
    pub fn acquire<'a, K, I>(&'a self, key: &'a K, id: &'a I) -> Check<'a>
    where
        K: AsRef<[u8]> + ?Sized,
        I: AsRef<[u8]> + ?Sized,
    {
        Check::new(&self.gate, sys::TG_OP_CONSUME, self.part(key).id(id).into())
    }

    /// The lease of an id's slots runs anew. It is `acquire` again: an id that holds none any more
    /// takes them anew, and its part is not
    /// [renewed](crate::PartDecision::is_renewed).
    pub fn renew<'a, K, I>(&'a self, key: &'a K, id: &'a I) -> Check<'a>
    where
        K: AsRef<[u8]> + ?Sized,
        I: AsRef<[u8]> + ?Sized,
    {
        self.acquire(key, id)
    }

    /// Gives all slots of an id back; may be repeated.
    pub fn release<'a, K, I>(&'a self, key: &'a K, id: &'a I) -> Command<'a>
    where
        K: AsRef<[u8]> + ?Sized,
        I: AsRef<[u8]> + ?Sized,
    {
        Command::new(&self.gate, sys::TG_OP_REFUND, self.part(key).id(id).into())
    }

    /// Gives tokens back, never beyond untouched. Not idempotent.
    pub fn refund<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K, cost: u64) -> Command<'a> {
        Command::new(&self.gate, sys::TG_OP_REFUND, self.part(key).cost(cost).into())
    }

    /// Forgets a key's state.
    pub fn reset<'a, K: AsRef<[u8]> + ?Sized>(&'a self, key: &'a K) -> Command<'a> {
        Command::new(&self.gate, sys::TG_OP_RESET, self.part(key).into())
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

fn figure(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("name", &self.name).finish_non_exhaustive()
    }
}
