// SPDX-License-Identifier: MIT
//! Slots that are held by a guard.

use std::fmt;
#[cfg(feature = "tokio")]
use std::future::IntoFuture;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tidegate_sys as sys;

use crate::decision::Decision;
use crate::denied::Denied;
use crate::error::Error;
use crate::keeper::{Held, Holding, OnLost};
use crate::limiter::{Algorithm, Limiter};
use crate::request::{Check, Command, Part, Request};
use crate::retry::Retry;
#[cfg(feature = "tokio")]
use crate::ring::Asking;
use crate::source::Source;

/// The first pause between two looks for a free slot, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Random, whatever thread or process asks: a hash under the thread's random keys.
fn random_bits() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    // A forked child has its parent's keys, and another number.
    let what = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed), now);
    std::hash::RandomState::new().hash_one(what)
}

fn random_id() -> [u8; 16] {
    let bits = u128::from(random_bits()) << 64 | u128::from(random_bits());
    bits.max(1).to_be_bytes()
}

/// A slot to be taken; see [`Limiter::slot`]. `.call()` it, or `.await` it.
#[must_use = "nobody is asked until this is `.call()`ed or `.await`ed"]
pub struct SlotRequest<'a> {
    part: Part<'a>,
    timeout: Option<Duration>,
    on_lost: Option<OnLost>,
}

impl fmt::Debug for SlotRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotRequest").field("part", &self.part).finish_non_exhaustive()
    }
}

impl<'a> SlotRequest<'a> {
    pub(crate) fn new(part: Part<'a>) -> Self {
        Self { part, timeout: None, on_lost: None }
    }

    /// Slots to take, 1 unless given.
    pub fn cost(mut self, cost: u64) -> Self {
        self.part.cost = cost;
        self
    }

    /// How long to wait for a free slot at most, on the real clock. Not given: one look. No order
    /// among those who wait is promised.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Called once, on the thread that renews, when the slot turns out to be
    /// [lost](Slot::is_lost). It is not to block.
    pub fn on_lost(mut self, told: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_lost = Some(Box::new(told));
        self
    }

    /// Waits on this thread; within a runtime, `.await` instead.
    pub fn call(self) -> Result<Slot, Error> {
        let mut turns = self.turns()?;
        loop {
            let decision = turns.claim.check().call()?;
            let pause = match turns.pause(&decision) {
                None => return turns.claim.end(decision, self.on_lost),
                Some(pause) => pause,
            };
            match &self.part.limiter.gate.inner.clock {
                Some(clock) => clock.sleep(pause, turns.deadline),
                None => thread::sleep(pause),
            }
        }
    }

    #[cfg(feature = "tokio")]
    async fn run(self) -> Result<Slot, Error> {
        let mut turns = self.turns()?;
        loop {
            let decision = turns.claim.check().await?;
            let pause = match turns.pause(&decision) {
                None => return turns.claim.end(decision, self.on_lost),
                Some(pause) => pause,
            };
            match &self.part.limiter.gate.inner.clock {
                Some(clock) => clock.sleep_async(pause, turns.deadline).await,
                None => tokio::time::sleep(pause).await,
            }
        }
    }

    fn turns(&self) -> Result<Turns<'a>, Error> {
        let limiter = self.part.limiter;
        let rates = limiter.rates()?;
        if let Some(rate) = rates.iter().find(|rate| rate.algorithm != Algorithm::Concurrency) {
            let message = format!(
                "a slot of limiter '{}', which has a rate of {} per {:?}: expected slots only, \
                 such as \"5 at once\" (renewing them would be charged to the rate)",
                limiter.name(),
                rate.limit,
                rate.window
            );
            return Err(Error::new(sys::TG_ERATE, message, None));
        }
        if self.part.cost == 0 {
            let message = format!("0 slots of limiter '{}': expected 1 or more", limiter.name());
            return Err(Error::new(sys::TG_ECOST, message, None));
        }
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let claim = Claim {
            part: self.part,
            id: random_id(),
            asked_us: 0,
            is_open: false,
            process: std::process::id(),
        };
        Ok(Turns { claim, waits: self.timeout.is_some(), deadline, longest: PAUSES.0 })
    }
}

/// Asking until a slot is free.
struct Turns<'a> {
    claim: Claim<'a>,
    waits: bool,
    deadline: Option<Instant>,
    longest: Duration,
}

impl Turns<'_> {
    /// How long to wait before asking again; None: the decision is the last.
    fn pause(&mut self, decision: &Decision) -> Option<Duration> {
        if decision.allowed() {
            return None;
        }
        self.claim.is_open = false; // a denied request holds nothing
        let left = self.deadline.map(|end| end.saturating_duration_since(Instant::now()));
        if !self.waits || left == Some(Duration::ZERO) {
            return None;
        }
        // Holders let go before their lease ends: that they do not is the longest it can take.
        let pause = match decision.retry() {
            Retry::After(wait) => wait.min(self.longest),
            Retry::Now => Duration::from_micros(1),
            Retry::Never | Retry::Unknown => return None,
        };
        self.longest = (self.longest * 2).min(PAUSES.1);
        let share = 0.5 + random_bits() as f64 / u64::MAX as f64 / 2.0;
        Some(pause.mul_f64(share).min(left.unwrap_or(Duration::MAX)))
    }
}

/// A random id under which slots may have been taken. Dropped while nobody knows (a future that is
/// dropped, an error), it gives them back.
struct Claim<'a> {
    part: Part<'a>,
    id: [u8; 16],
    asked_us: i64,
    is_open: bool,
    process: u32,
}

impl<'a> Claim<'a> {
    fn check<'b>(&'b mut self) -> Check<'b>
    where
        'a: 'b,
    {
        self.asked_us = self.part.limiter.gate.inner.keeper.now_us();
        self.is_open = true;
        let part: Part<'b> = Part { id: Some(&self.id), ..self.part };
        Check::new(&self.part.limiter.gate, sys::TG_OP_CONSUME, part.into())
    }

    fn end(&mut self, decision: Decision, on_lost: Option<OnLost>) -> Result<Slot, Error> {
        let limiter = self.part.limiter;
        let inner = &limiter.gate.inner;
        let figures = decision.parts().next().filter(|part| part.allowed());
        let is_held = decision.allowed()
            && matches!(decision.source(), Source::Memory | Source::Store | Source::Fallback);
        let mut held = None;
        if let Some(lease_us) = figures.and_then(|part| part.lease_us()).filter(|_| is_held) {
            held = Some(inner.keeper.hold(Held {
                client: inner.client.clone(),
                handle: limiter.handle,
                key: self.part.key.into(),
                id: self.id,
                cost: self.part.cost,
                source: decision.source(),
                lease_us,
                asked_us: self.asked_us,
                timeout: inner.timeout,
                on_lost,
            })?);
        }
        self.is_open = false; // the slot's to give back, from here on
        let (limiter, process) = (limiter.clone(), self.process);
        Ok(Slot { limiter, id: self.id, decision, held, process })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.is_open || self.process != std::process::id() {
            return;
        }
        let part = Part { id: Some(&self.id), ..self.part };
        let gate = &self.part.limiter.gate;
        Request::new(gate, sys::TG_OP_REFUND, part.into()).call_unawaited();
    }
}

#[cfg(feature = "tokio")]
impl<'a> IntoFuture for SlotRequest<'a> {
    type Output = Result<Slot, Error>;
    type IntoFuture = Asking<'a, Slot>;

    fn into_future(self) -> Asking<'a, Slot> {
        Asking::new(self.run())
    }
}

/// A slot, or several, of a key. Held until it is dropped, and renewed meanwhile by a thread of the
/// gate; a process that ends without dropping it leaves it to its lease. Dropped within a tokio
/// runtime, it is given back without waiting for the answer; elsewhere dropping waits for it.
#[must_use = "a slot is given back when this is dropped"]
pub struct Slot {
    limiter: Limiter,
    id: [u8; 16],
    decision: Decision,
    held: Option<(u64, Arc<Holding>)>,
    process: u32,
}

impl Slot {
    /// Whether one was free. If not, nothing is held.
    pub fn allowed(&self) -> bool {
        self.decision.allowed()
    }

    /// What the limit said.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// For `?`: no free slot becomes an error.
    pub fn into_result(self) -> Result<Slot, Denied> {
        if self.allowed() {
            Ok(self)
        } else {
            Err(Denied::new(self.decision.clone()))
        }
    }

    /// The random id it is held under.
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// Who holds it now: whoever decided, or after an outage of the store that began before it was
    /// taken, the store. None: nobody, since nothing is held.
    pub fn held_by(&self) -> Option<Source> {
        self.held.as_ref().map(|(_, holding)| holding.source())
    }

    /// Whether a renewal found that it was not held any more: somebody may have had the slot
    /// meanwhile. Where one was still free it is held anew.
    pub fn is_lost(&self) -> bool {
        self.held.as_ref().is_some_and(|(_, holding)| holding.is_lost.load(Ordering::SeqCst))
    }

    /// Waits until it is lost, for `select!`; never ready where it is not.
    #[cfg(feature = "tokio")]
    pub async fn lost(&self) {
        let Some((_, holding)) = &self.held else { return std::future::pending().await };
        let mut told = std::pin::pin!(holding.loss.notified());
        told.as_mut().enable();
        if !self.is_lost() {
            told.await;
        }
    }

    /// Gives it back and says whether that worked, as dropping it cannot.
    pub fn release(self) -> Release {
        Release(self)
    }

    /// No renewal comes any more.
    fn let_go(&mut self) -> Option<Letting> {
        let (number, holding) = self.held.take()?;
        self.limiter.gate.inner.keeper.let_go(number);
        let (from, is_here_too) = holding.begin_release();
        Some(Letting { limiter: self.limiter.clone(), holding, from, is_here_too })
    }
}

/// What is to be given back; dropped without an answer, it asks for it without one.
struct Letting {
    limiter: Limiter,
    holding: Arc<Holding>,
    from: Source,
    is_here_too: bool,
}

impl Letting {
    fn command(&self, from: Source) -> Command<'_> {
        self.limiter.release(&self.holding.key, &self.holding.id).source(from)
    }
}

impl Drop for Letting {
    fn drop(&mut self) {
        if self.from != Source::None {
            self.command(self.from).request.call_unawaited();
        }
        if self.is_here_too {
            drop(self.command(Source::Fallback).call()); // this process's own: no waiting
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            drop(self.let_go()); // a forked child's copy is not its slot
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("decision", &self.decision)
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

/// A slot to be given back; `.call()` it, or `.await` it. Dropped before, it is given back all the
/// same.
#[must_use = "whether it worked is only known when this is `.call()`ed or `.await`ed"]
#[derive(Debug)]
pub struct Release(Slot);

impl Release {
    /// Asks and waits on this thread; within a runtime, `.await` instead.
    pub fn call(mut self) -> Result<(), Error> {
        let Some(mut letting) = self.0.let_go() else { return Ok(()) };
        let answer = letting.command(letting.from).call();
        letting.from = Source::None;
        answer
    }

    #[cfg(feature = "tokio")]
    async fn run(mut self) -> Result<(), Error> {
        let Some(mut letting) = self.0.let_go() else { return Ok(()) };
        let answer = letting.command(letting.from).await;
        letting.from = Source::None;
        answer
    }
}

#[cfg(feature = "tokio")]
impl IntoFuture for Release {
    type Output = Result<(), Error>;
    type IntoFuture = Asking<'static, ()>;

    fn into_future(self) -> Asking<'static, ()> {
        Asking::new(self.run())
    }
}
