// SPDX-License-Identifier: MIT
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tidegate_sys as sys;

use crate::attributes::Attributes;
use crate::boundary::{Client, Options};
use crate::error::Error;
use crate::events::Event;
use crate::keeper::Keeper;
use crate::limiter::LimiterBuilder;
use crate::policy::{Document, GuardOptions, Guards, Policy};
use crate::request::{Check, Command, Guarded, Part, Parts};
use crate::reservation::Reserve;
#[cfg(feature = "tokio")]
use crate::ring::Driver;
use crate::stats::Stats;
use crate::testing::FakeClock;

/// A store of limits: a server that every process shares, or this process's own.
///
/// Cheap to clone; dropping the last clone closes it, limiters being clones too. Any thread may
/// use it.
///
/// ```
/// use tidegate::Gate;
///
/// let gate = Gate::connect("memory://")?;
/// let api = gate.limiter("100/minute burst 20").name("api").open()?;
/// let decision = api.consume("user:42").call()?; // or, on tokio, .await?
/// assert!(decision.allowed());
/// # Ok::<(), tidegate::Error>(())
/// ```
#[derive(Clone)]
pub struct Gate {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    #[cfg(feature = "tokio")]
    pub(crate) driver: Driver, // stopped before the client goes
    pub(crate) keeper: Keeper,
    pub(crate) guards: Guards,
    pub(crate) client: Arc<Client>,
    pub(crate) is_embedded: bool,
    pub(crate) clock: Option<FakeClock>,
    pub(crate) timeout: Duration,
}

impl Gate {
    /// Opens a gate on the store of a URL: `redis://`, `rediss://`, `valkey://`, `valkeys://`,
    /// `unix://`, or `memory://` for this process's own. No I/O is done; options may stand in the
    /// URL's query.
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::builder().url(url).open()
    }

    /// Opens a gate on `$TIDEGATE_URL`, or on the embedded store where that is not set.
    pub fn new() -> Result<Self, Error> {
        Self::builder().open()
    }

    /// A gate with options.
    pub fn builder() -> GateBuilder {
        GateBuilder::default()
    }

    /// The gate that everybody in this process shares who asks for the same URL (None:
    /// `$TIDEGATE_URL`, else the embedded store); closed by its last user.
    pub fn shared(url: Option<&str>) -> Result<Self, Error> {
        static SHARED: Mutex<Option<HashMap<String, Weak<Inner>>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let gates = shared.get_or_insert_with(HashMap::new);
        let name = url.unwrap_or_default();
        if let Some(inner) = gates.get(name).and_then(Weak::upgrade) {
            return Ok(Self { inner });
        }
        let gate = url.map_or_else(Self::new, Self::connect)?;
        gates.retain(|_, inner| inner.strong_count() > 0);
        gates.insert(name.to_owned(), Arc::downgrade(&gate.inner));
        Ok(gate)
    }

    /// A limiter with these rates: `"100/minute burst 20"`, `"10/second; 1000/hour"`.
    pub fn limiter<'a>(&'a self, rates: &'a str) -> LimiterBuilder<'a> {
        LimiterBuilder::new(self, rates)
    }

    /// One request of several parts, all or nothing, in one round trip.
    ///
    /// ```
    /// # let gate = tidegate::Gate::connect("memory://")?;
    /// # let per_ip = gate.limiter("10/second").open()?;
    /// # let per_key = gate.limiter("1000/hour").open()?;
    /// let parts = [per_ip.part("203.0.113.7"), per_key.part("k_1").cost(3)];
    /// let decision = gate.consume(parts).call()?;
    /// assert_eq!(decision.parts().len(), 2);
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn consume<'a>(&'a self, parts: impl IntoIterator<Item = Part<'a>>) -> Check<'a> {
        Check::new(self, sys::TG_OP_CONSUME, parts.into_iter().collect())
    }

    /// What `consume` would answer; writes nothing.
    pub fn peek<'a>(&'a self, parts: impl IntoIterator<Item = Part<'a>>) -> Check<'a> {
        Check::new(self, sys::TG_OP_PEEK, parts.into_iter().collect())
    }

    /// Charges what was used already, each part for itself; never denied. Its parts say what did
    /// not fit: [`PartDecision::shortfall`](crate::PartDecision::shortfall).
    pub fn debit<'a>(&'a self, parts: impl IntoIterator<Item = Part<'a>>) -> Check<'a> {
        Check::new(self, sys::TG_OP_DEBIT, parts.into_iter().collect())
    }

    /// What a request meets by the gate's policy, in one atomic check: all its limits let it pass,
    /// or none is charged. The decision has a [`status`](crate::Decision::status),
    /// [`headers`](crate::Decision::headers) and a [`problem`](crate::Decision::problem) for it.
    ///
    /// ```
    /// # let gate = tidegate::Gate::connect("memory://")?;
    /// let decision = gate.check([("method", "GET"), ("path", "/"), ("identity", "k_1")]).call()?;
    /// assert!(decision.allowed(), "a gate without a policy has no rule for it");
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn check(&self, request: impl Into<Attributes>) -> Check<'_> {
        self.check_by(self.guard(), request.into(), Vec::new())
    }

    pub(crate) fn check_by(
        &self,
        guard: Result<u64, Error>,
        said: Attributes,
        scope: Vec<u8>,
    ) -> Check<'_> {
        Check::new(self, sys::TG_OP_CHECK, Parts::Guarded(Guarded { guard, said, scope }))
    }

    /// The gate's policy: what applies to whom, and what is said over it while it runs.
    pub fn policy(&self) -> Policy<'_> {
        Policy::new(self)
    }

    /// The guard of its policy, or of none.
    pub(crate) fn guard(&self) -> Result<u64, Error> {
        self.inner.guards.of(&self.inner.client, &GuardOptions::default())
    }

    /// Gives tokens back, never beyond untouched: not idempotent. Of slots it gives back all that
    /// an id holds.
    pub fn refund<'a>(&'a self, parts: impl IntoIterator<Item = Part<'a>>) -> Command<'a> {
        Command::new(self, sys::TG_OP_REFUND, parts.into_iter().collect())
    }

    /// Forgets the states of these keys.
    pub fn reset<'a>(&'a self, parts: impl IntoIterator<Item = Part<'a>>) -> Command<'a> {
        Command::new(self, sys::TG_OP_RESET, parts.into_iter().collect())
    }

    /// As [`Limiter::reserve`](crate::Limiter::reserve), of several parts, all or nothing. What
    /// each part costs is its estimate.
    pub fn reserve<'a>(&'a self, parts: impl IntoIterator<Item = Part<'a>>) -> Reserve<'a> {
        Reserve::new(self, parts.into_iter().collect())
    }

    /// Asks the store whether it is there; the error says what is wrong: connection, password, TLS.
    pub fn ping(&self) -> Command<'_> {
        Command::new(self, sys::TG_OP_PING, [].into_iter().collect())
    }

    /// Counters since the gate was opened.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.inner.client.stats().map(|record| Stats::of(&record))
    }

    /// Calls `listener` for every event, in place of the last listener, on whichever thread does
    /// the I/O. It may ask other gates; this one answers it [`Error::Invalid`]. An event that a
    /// listener got is still there for `next_event`.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Result<(), Error> {
        self.inner.client.on_event(Some(Arc::new(listener)))
    }

    /// The oldest of the last 64 events, taken.
    pub fn next_event(&self) -> Result<Option<Event>, Error> {
        self.inner.client.next_event()
    }

    /// The URL, its password replaced.
    pub fn url(&self) -> String {
        self.inner.client.url()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn is_same(&self, other: &Gate) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether limits are this process's own.
    pub fn is_embedded(&self) -> bool {
        self.inner.is_embedded
    }

    /// Closes it for every clone, at once: requests that are in flight, awaited or blocking,
    /// complete with [`Error::Closed`]. Dropping the last clone closes too.
    pub fn close(&self) -> Result<(), Error> {
        self.inner.client.close()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// Options of a [`Gate`]. They win over those in the URL's query.
#[derive(Default)]
pub struct GateBuilder {
    url: Option<String>,
    settings: Vec<(String, String)>,
    clock: Option<FakeClock>,
    in_flight: Option<u16>,
    policy: Option<Document>,
}

/// Requests of a runtime that may be out at once.
const IN_FLIGHT: u16 = 8192;

impl fmt::Debug for GateBuilder {
    /// Neither the URL nor values: there may be passwords in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.settings.iter().map(|(name, _)| name).collect();
        f.debug_struct("GateBuilder").field("options", &names).finish_non_exhaustive()
    }
}

impl GateBuilder {
    /// The store. Not given: `$TIDEGATE_URL`, else the embedded store.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// An option by its name, as in a URL's query: `("timeout_ms", 100)`, `("on_failure",
    /// "closed")`. [`options`](crate::options) lists them.
    pub fn option(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// Time is what this clock says: for tests.
    pub fn clock(mut self, clock: &FakeClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Awaited requests of a runtime that may be out at once, 1 to 65535 (8192 unless given). More
    /// wait in order, and no longer than their deadlines.
    pub fn in_flight(mut self, requests: u16) -> Self {
        self.in_flight = Some(requests);
        self
    }

    /// What [`Gate::check`] and the layers on this gate go by: a policy's text (YAML or JSON), or
    /// the path of a file with one, which is read again within a second of being changed.
    pub fn policy(mut self, policy: impl Into<Document>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Opens the gate; no I/O is done but to read a policy's file.
    pub fn open(self) -> Result<Gate, Error> {
        let in_flight = self.in_flight.unwrap_or(IN_FLIGHT);
        if in_flight == 0 {
            let message = "in_flight 0: expected 1 to 65535".to_owned();
            return Err(Error::new(sys::TG_EOPTION, message, None));
        }
        let mut options = Options::new()?;
        if self.clock.is_some() {
            options.set("clock", "manual")?;
            options.set("testing", "true")?;
        }
        for (name, value) in &self.settings {
            options.set(name, value)?;
        }
        let client = Arc::new(Client::open(self.url.as_deref(), &options)?);
        if let Some(clock) = &self.clock {
            clock.drive(&client)?;
        }
        let url = client.url();
        let has_policy = self.policy.is_some();
        let inner = Inner {
            #[cfg(feature = "tokio")]
            driver: Driver::new(client.clone(), in_flight),
            keeper: Keeper::new(self.clock.clone()),
            guards: Guards::new(self.policy),
            client,
            is_embedded: url.starts_with("memory:"),
            clock: self.clock,
            timeout: timeout_of(&self.settings, &url),
        };
        let gate = Gate { inner: Arc::new(inner) };
        if has_policy {
            gate.guard()?; // what is faulty is said now
        }
        Ok(gate)
    }
}

/// `timeout_ms` of a gate that is open, so it parses: as it was set, else as its URL says, else its
/// default.
fn timeout_of(settings: &[(String, String)], url: &str) -> Duration {
    const NAME: &str = "timeout_ms";
    let set = settings.iter().rev().find(|(name, _)| name == NAME).map(|(_, value)| value.clone());
    let in_url = || {
        let fields = url.split_once('?')?.1.split('&').filter_map(|field| field.split_once('='));
        fields.into_iter().find(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned())
    };
    let table = crate::options();
    let default = || {
        let row =
            table.lines().map(|row| row.split('\t')).find(|row| row.clone().next() == Some(NAME));
        row.and_then(|mut columns| columns.nth(3)).map(str::to_owned)
    };
    let millis = set.or_else(in_url).or_else(default).and_then(|text| text.trim().parse().ok());
    Duration::from_millis(millis.unwrap_or(100))
}
