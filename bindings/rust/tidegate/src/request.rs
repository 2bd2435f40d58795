// SPDX-License-Identifier: MIT
use std::time::Duration;

use tidegate_sys as sys;

use crate::attributes::Attributes;
use crate::boundary::{Answer, Ask, PartAsk, Settlement};
use crate::decision::Decision;
use crate::error::Error;
use crate::gate::Gate;
use crate::limiter::Limiter;
use crate::source::Source;

/// One (limiter, key, cost) of a request, with an id where it is about slots; made by [`Limiter::part`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a part asks nothing by itself: give it to Gate::consume"]
pub struct Part<'a> {
    pub(crate) limiter: &'a Limiter,
    pub(crate) key: &'a [u8],
    pub(crate) cost: u64,
    pub(crate) id: Option<&'a [u8]>,
}

impl<'a> Part<'a> {
    /// Tokens to take: 0 (always allowed) to 2^52 - 1.
    pub fn cost(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }

    /// Whose slots, 1 to 16 bytes: they are taken, renewed and given back under an id, which is
    /// best random.
    pub fn id<I: AsRef<[u8]> + ?Sized>(mut self, id: &'a I) -> Self {
        self.id = Some(id.as_ref());
        self
    }

    fn ask(&self) -> PartAsk<'_> {
        let (handle, key, cost) = (self.limiter.handle, self.key, self.cost);
        PartAsk { handle, key, cost, id: self.id, value: &[] }
    }
}

/// The parts of a request; one needs no allocation.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    One(Part<'a>),
    Many(Vec<Part<'a>>),
    /// Those that a guard finds.
    Guarded(Guarded),
    /// What a guard's check leaves to be settled.
    Settling(Settlement),
}

impl<'a> Parts<'a> {
    /// Those that were named.
    pub(crate) fn as_slice(&self) -> &[Part<'a>] {
        match self {
            Parts::One(part) => std::slice::from_ref(part),
            Parts::Many(parts) => parts,
            Parts::Guarded(_) | Parts::Settling(_) => &[],
        }
    }
}

/// What a guard is asked.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// An error is told when it is asked.
    pub(crate) guard: Result<u64, Error>,
    pub(crate) said: Attributes,
    /// Of the check before, of the same HTTP request.
    pub(crate) scope: Vec<u8>,
}

impl Guarded {
    fn ask(&self) -> PartAsk<'_> {
        let handle = self.guard.as_ref().copied().unwrap_or(0);
        PartAsk { handle, key: &self.scope, cost: 0, id: None, value: self.said.bytes() }
    }
}

impl<'a> From<Part<'a>> for Parts<'a> {
    fn from(part: Part<'a>) -> Self {
        Parts::One(part)
    }
}

impl<'a> FromIterator<Part<'a>> for Parts<'a> {
    fn from_iter<I: IntoIterator<Item = Part<'a>>>(parts: I) -> Self {
        Parts::Many(parts.into_iter().collect())
    }
}

/// No request waits longer for its answer, whatever its caller says.
const LONGEST: Duration = Duration::from_micros(sys::TG_MAX_TIMEOUT_US as u64);

/// What is asked, before anybody is.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) gate: &'a Gate,
    op: u32,
    pub(crate) flags: u32,
    timeout_us: i64,
    pub(crate) parts: Parts<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(gate: &'a Gate, op: u32, parts: Parts<'a>) -> Self {
        Self { gate, op, flags: 0, timeout_us: 0, parts }
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout_us = timeout.min(LONGEST).as_micros().max(1) as i64;
    }

    /// The deadline that counts: its own, else the gate's.
    #[cfg(feature = "tokio")]
    pub(crate) fn timeout(&self) -> Duration {
        match u64::try_from(self.timeout_us) {
            Ok(own_us) if own_us > 0 => Duration::from_micros(own_us),
            _ => self.gate.inner.timeout,
        }
    }

    /// Lends the request to `run`, as the boundary wants it.
    pub(crate) fn with_ask<T>(&self, run: impl FnOnce(&Ask<'_>) -> T) -> T {
        let lend = |parts: &[PartAsk<'_>]| {
            let (op, flags, timeout_us) = (self.op, self.flags, self.timeout_us);
            run(&Ask { op, flags, timeout_us, parts })
        };
        match &self.parts {
            Parts::One(part) => lend(&[part.ask()]),
            Parts::Many(parts) => lend(&parts.iter().map(Part::ask).collect::<Vec<_>>()),
            Parts::Guarded(guarded) => lend(&[guarded.ask()]),
            Parts::Settling(settlement) => lend(&[settlement.ask()]),
        }
    }

    /// A request of no parts is a ping and nothing else.
    pub(crate) fn check_shape(&self) -> Result<(), Error> {
        match &self.parts {
            Parts::Many(parts) if parts.is_empty() && self.op != sys::TG_OP_PING => {
                let message = format!("0 parts: expected 1 to {}", sys::TG_MAX_PARTS);
                Err(Error::new(sys::TG_EINVAL, message, None))
            }
            Parts::Guarded(guarded) => guarded.guard.as_ref().map(drop).map_err(Error::clone),
            _ => Ok(()),
        }
    }

    pub(crate) fn call(&self) -> Result<Answer, Error> {
        self.check_shape()?;
        self.with_ask(|ask| self.gate.inner.client.call(ask))
    }

    /// Asks without anybody who waits for the answer, for destructors. Within a runtime it does
    /// not block, unless more requests are out than there is room for; elsewhere it waits.
    pub(crate) fn call_unawaited(&self) {
        #[cfg(feature = "tokio")]
        if !self.gate.inner.is_embedded && self.gate.inner.driver.send_unawaited(self) {
            return;
        }
        drop(self.call());
    }

    pub(crate) fn decision(&self, answer: Answer) -> Decision {
        Decision::new(self.gate.inner.client.clone(), answer)
    }
}

/// A request whose answer is a [`Decision`]: `.call()` it, or `.await` it on a tokio runtime.
///
/// An awaited check that is dropped is taken back; one that was sent may have been charged, and is
/// never refunded behind anybody's back.
#[must_use = "nobody is asked until this is `.call()`ed or `.await`ed"]
#[derive(Debug)]
pub struct Check<'a> {
    pub(crate) request: Request<'a>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(gate: &'a Gate, op: u32, parts: Parts<'a>) -> Self {
        Self { request: Request::new(gate, op, parts) }
    }

    /// Tokens to take, of each part: 0 (always allowed) to 2^52 - 1. 1 unless given; in a check by
    /// policy its rules say it, and this is an error.
    pub fn cost(mut self, cost: u64) -> Self {
        match &mut self.request.parts {
            Parts::One(part) => part.cost = cost,
            Parts::Many(parts) => parts.iter_mut().for_each(|part| part.cost = cost),
            Parts::Guarded(guarded) => {
                let message =
                    format!("cost {cost}: expected none, since the policy's rules say it");
                guarded.guard = Err(Error::new(sys::TG_EINVAL, message, None));
            }
            Parts::Settling(_) => {}
        }
        self
    }

    /// Of a check by policy: after an earlier one of the same HTTP request and gate. What that has
    /// charged is not charged again, and is given back when this one denies and is
    /// [finished](Gate::finish).
    pub fn after(mut self, earlier: &Decision) -> Self {
        if let (Parts::Guarded(guarded), Some(told)) = (&mut self.request.parts, earlier.told()) {
            guarded.scope.clone_from(&told.scope);
        }
        self
    }

    /// The deadline, instead of the gate's `timeout_ms`, an hour at most; after it the failure
    /// policy answers.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.set_timeout(timeout);
        self
    }

    /// Of a debit: where it is charged; [`Decision::source`] says who made the decision that it
    /// follows. Not given: wherever is decided now. Anything else than a debit is refused with it.
    pub fn source(mut self, source: Source) -> Self {
        self.request.flags = source.flags();
        self
    }

    /// Asks and waits for the answer on this thread. The embedded store answers inline. On a server
    /// this blocks: within a runtime, `.await` instead.
    pub fn call(self) -> Result<Decision, Error> {
        self.request.call().map(|answer| self.request.decision(answer))
    }
}

/// A request without figures: refund, reset, ping. `.call()` it, or `.await` it.
#[must_use = "nobody is asked until this is `.call()`ed or `.await`ed"]
#[derive(Debug)]
pub struct Command<'a> {
    pub(crate) request: Request<'a>,
}

impl<'a> Command<'a> {
    pub(crate) fn new(gate: &'a Gate, op: u32, parts: Parts<'a>) -> Self {
        Self { request: Request::new(gate, op, parts) }
    }

    /// The deadline, instead of the gate's `timeout_ms`; an hour at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.set_timeout(timeout);
        self
    }

    /// Of a refund: back to whom; [`Decision::source`] says who took the tokens. Not given: to
    /// whoever decides now.
    pub fn source(mut self, source: Source) -> Self {
        self.request.flags = source.flags();
        self
    }

    /// Asks and waits on this thread; within a runtime, `.await` instead.
    pub fn call(self) -> Result<(), Error> {
        self.request.call().map(drop)
    }
}
