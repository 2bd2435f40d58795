// SPDX-License-Identifier: MIT
//! What was taken by an estimate, to be settled by what was used.

use std::fmt;
#[cfg(feature = "tokio")]
use std::future::IntoFuture;
use std::mem;
use std::time::Duration;

use tidegate_sys as sys;

use crate::decision::Decision;
use crate::error::Error;
use crate::gate::Gate;
use crate::limiter::Limiter;
use crate::request::{Check, Command, Part, Parts, Request};
#[cfg(feature = "tokio")]
use crate::ring::Asking;
use crate::source::Source;

/// A reservation to be made; see [`Limiter::reserve`]. `.call()` it, or `.await` it.
#[must_use = "nobody is asked until this is `.call()`ed or `.await`ed"]
#[derive(Debug)]
pub struct Reserve<'a>(Check<'a>);

impl<'a> Reserve<'a> {
    pub(crate) fn new(gate: &'a Gate, parts: Parts<'a>) -> Self {
        Self(Check::new(gate, sys::TG_OP_CONSUME, parts))
    }

    /// The deadline, instead of the gate's `timeout_ms`; an hour at most.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.timeout(timeout))
    }

    fn draft(&self) -> Vec<Taken> {
        self.0.request.parts.as_slice().iter().map(Taken::of).collect()
    }

    /// Asks and waits for the answer on this thread; within a runtime, `.await` instead.
    pub fn call(self) -> Result<Reservation, Error> {
        let (gate, draft) = (self.0.request.gate.clone(), self.draft());
        Ok(Reservation::new(gate, draft, self.0.call()?))
    }
}

#[cfg(feature = "tokio")]
impl<'a> IntoFuture for Reserve<'a> {
    type Output = Result<Reservation, Error>;
    type IntoFuture = Asking<'a, Reservation>;

    fn into_future(self) -> Asking<'a, Reservation> {
        Asking::new(async move {
            let (gate, draft) = (self.0.request.gate.clone(), self.draft());
            Ok(Reservation::new(gate, draft, self.0.await?))
        })
    }
}

/// A part that was asked for, and whether it was charged.
struct Taken {
    limiter: Limiter,
    key: Box<[u8]>,
    cost: u64,
    id: Option<Box<[u8]>>,
    is_charged: bool,
}

impl Taken {
    fn of(part: &Part<'_>) -> Self {
        let (limiter, id) = (part.limiter.clone(), part.id.map(Box::from));
        Self { limiter, key: part.key.into(), cost: part.cost, id, is_charged: true }
    }

    fn part(&self, cost: u64) -> Part<'_> {
        Part { limiter: &self.limiter, key: &self.key, cost, id: self.id.as_deref() }
    }
}

/// What a reservation took, until it is settled. Dropped without that (an early return, `?`, a
/// panic), all of it is given back: within a tokio runtime without waiting for the answer.
#[must_use = "what was reserved is given back when this is dropped"]
pub struct Reservation {
    gate: Gate,
    taken: Vec<Taken>,
    decision: Decision,
    is_open: bool,
    process: u32,
}

impl Reservation {
    fn new(gate: Gate, mut taken: Vec<Taken>, decision: Decision) -> Self {
        // A shadow's part that did not fit was not charged, and slots that were held already are
        // another request's: neither is there to be given back.
        let mut index = 0;
        for (at, rate) in decision.parts().enumerate() {
            index += usize::from(at > 0 && rate.rate() == 0);
            if let Some(part) = taken.get_mut(index) {
                part.is_charged &= rate.allowed() && !rate.is_renewed();
            }
        }
        let is_open = decision.allowed();
        Self { gate, taken, decision, is_open, process: std::process::id() }
    }

    /// Whether it was made. A denied one holds nothing and cannot be settled.
    pub fn allowed(&self) -> bool {
        self.decision.allowed()
    }

    /// What the limits said.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What was really used, of each part: less than the estimate gives the rest back, more debits
    /// the difference, both where the reservation was made. Slots are given back. If it fails, what
    /// was reserved stays charged.
    ///
    /// It takes the reservation, so nobody settles twice:
    ///
    /// ```compile_fail,E0382
    /// # let gate = tidegate::Gate::connect("memory://").unwrap();
    /// # let tokens = gate.limiter("100/minute").open().unwrap();
    /// let reservation = tokens.reserve("k_1", 8).call().unwrap();
    /// reservation.settle(5).call().unwrap();
    /// reservation.settle(5).call().unwrap();
    /// ```
    pub fn settle(self, used: u64) -> Settle {
        let used = vec![used; self.taken.len()];
        Settle { reservation: self, used }
    }

    /// The same where each part was used differently, in their order.
    pub fn settle_each(self, used: impl IntoIterator<Item = u64>) -> Settle {
        Settle { reservation: self, used: used.into_iter().collect() }
    }

    fn source(&self) -> Source {
        self.decision.source()
    }

    fn refund<'a>(&'a self, parts: Vec<Part<'a>>) -> Request<'a> {
        let mut request = Request::new(&self.gate, sys::TG_OP_REFUND, Parts::Many(parts));
        request.flags = self.source().flags();
        request
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // A forked child's copy is not its reservation.
        if !mem::take(&mut self.is_open) || self.process != std::process::id() {
            return;
        }
        let charged = self.taken.iter().filter(|part| part.is_charged);
        let parts: Vec<_> = charged.map(|part| part.part(part.cost)).collect();
        if !parts.is_empty() {
            self.refund(parts).call_unawaited();
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("decision", &self.decision).finish_non_exhaustive()
    }
}

/// How a reservation was settled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settled {
    /// False: nobody had charged anything, because a policy answered in the store's place
    /// (`OnFailure::Open`) or all limiters are off; so nothing was given back or debited.
    pub is_charged: bool,
    /// Tokens given back, of all parts.
    pub given_back: u64,
    /// Tokens debited, of all parts.
    pub debited: u64,
    /// What the debit was answered, if there was one.
    pub debit: Option<Decision>,
}

/// A reservation to be settled; `.call()` it, or `.await` it. Dropped before, the reservation is
/// given back.
#[must_use = "nothing is settled until this is `.call()`ed or `.await`ed"]
#[derive(Debug)]
pub struct Settle {
    reservation: Reservation,
    used: Vec<u64>,
}

/// What is to be asked.
struct Plan<'a> {
    settled: Settled,
    back: Vec<Part<'a>>,
    more: Vec<Part<'a>>,
}

fn refused(code: i32, message: String) -> Error {
    Error::new(code, message, None)
}

impl Settle {
    /// From here on nothing is given back behind anybody's back.
    fn begin(&mut self) -> Result<(), Error> {
        let reservation = &mut self.reservation;
        if !mem::take(&mut reservation.is_open) {
            let message = "settle of a reservation that was denied: expected one that is allowed()";
            return Err(refused(sys::TG_EINVAL, message.into()));
        }
        let (given, parts) = (self.used.len(), reservation.taken.len());
        if given != parts {
            let message = format!("settle_each of {given} figures: expected {parts}, one a part");
            return Err(refused(sys::TG_EINVAL, message));
        }
        let most = sys::TG_MAX_COST as u64;
        match self.used.iter().find(|used| **used > most) {
            Some(used) => Err(refused(sys::TG_ECOST, format!("used {used}: expected 0 to {most}"))),
            None => Ok(()),
        }
    }

    fn plan(&self) -> Plan<'_> {
        let source = self.reservation.source();
        let is_charged = matches!(source, Source::Memory | Source::Store | Source::Fallback);
        let settled = Settled { is_charged, given_back: 0, debited: 0, debit: None };
        let mut plan = Plan { settled, back: Vec::new(), more: Vec::new() };
        if !is_charged {
            return plan;
        }
        for (taken, used) in self.reservation.taken.iter().zip(&self.used) {
            if taken.id.is_some() {
                plan.back.extend(taken.is_charged.then(|| taken.part(taken.cost)));
            } else if *used > taken.cost {
                plan.more.push(taken.part(used - taken.cost));
                plan.settled.debited += used - taken.cost;
            } else if *used < taken.cost && taken.is_charged {
                plan.back.push(taken.part(taken.cost - used));
                plan.settled.given_back += taken.cost - used;
            }
        }
        plan
    }

    fn give_back<'a>(&'a self, parts: Vec<Part<'a>>) -> Option<Command<'a>> {
        let gate = &self.reservation.gate;
        (!parts.is_empty()).then(|| gate.refund(parts).source(self.reservation.source()))
    }

    fn debit<'a>(&'a self, parts: Vec<Part<'a>>) -> Option<Check<'a>> {
        let gate = &self.reservation.gate;
        (!parts.is_empty()).then(|| gate.debit(parts).source(self.reservation.source()))
    }

    /// Asks and waits on this thread; within a runtime, `.await` instead.
    pub fn call(mut self) -> Result<Settled, Error> {
        self.begin()?;
        let Plan { mut settled, back, more } = self.plan();
        if let Some(refund) = self.give_back(back) {
            refund.call()?;
        }
        if let Some(debit) = self.debit(more) {
            settled.debit = Some(debit.call()?);
        }
        Ok(settled)
    }

    #[cfg(feature = "tokio")]
    async fn run(mut self) -> Result<Settled, Error> {
        self.begin()?;
        let Plan { mut settled, back, more } = self.plan();
        if let Some(refund) = self.give_back(back) {
            refund.await?;
        }
        if let Some(debit) = self.debit(more) {
            settled.debit = Some(debit.await?);
        }
        Ok(settled)
    }
}

#[cfg(feature = "tokio")]
impl IntoFuture for Settle {
    type Output = Result<Settled, Error>;
    type IntoFuture = Asking<'static, Settled>;

    fn into_future(self) -> Asking<'static, Settled> {
        Asking::new(self.run())
    }
}
