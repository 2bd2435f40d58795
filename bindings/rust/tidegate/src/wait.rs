// SPDX-License-Identifier: MIT
use std::thread;
use std::time::{Duration, Instant};

use tidegate_sys as sys;

use crate::decision::Decision;
use crate::error::Error;
use crate::request::{Check, Part};
use crate::retry::Retry;

/// Asking until it is allowed; see [`Limiter::wait`](crate::Limiter::wait). `.call()` it, or
/// `.await` it.
#[must_use = "nobody is asked until this is `.call()`ed or `.await`ed"]
#[derive(Debug)]
pub struct Wait<'a> {
    part: Part<'a>,
    timeout: Option<Duration>,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(part: Part<'a>) -> Self {
        Self { part, timeout: None }
    }

    /// Tokens to take.
    pub fn cost(mut self, cost: u64) -> Self {
        self.part.cost = cost;
        self
    }

    /// How long to wait at most, on the real clock. Not given: until it is allowed or never can be.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits on this thread; within a runtime, `.await` instead.
    pub fn call(self) -> Result<Decision, Error> {
        let deadline = self.deadline();
        loop {
            let decision = self.check().call()?;
            let Some(pause) = pause(&decision, deadline) else { return Ok(decision) };
            match &self.part.limiter.gate.inner.clock {
                Some(clock) => clock.sleep(pause, deadline),
                None => thread::sleep(pause),
            }
        }
    }

    pub(crate) fn check(&self) -> Check<'a> {
        Check::new(&self.part.limiter.gate, sys::TG_OP_CONSUME, self.part.into())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout?)
    }

    #[cfg(feature = "tokio")]
    pub(crate) async fn run(self) -> Result<Decision, Error> {
        let deadline = self.deadline();
        loop {
            let decision = self.check().await?;
            let Some(pause) = pause(&decision, deadline) else { return Ok(decision) };
            match &self.part.limiter.gate.inner.clock {
                Some(clock) => clock.sleep_async(pause, deadline).await,
                None => tokio::time::sleep(pause).await,
            }
        }
    }
}

/// How long to wait before asking again; None: the decision is the last.
fn pause(decision: &Decision, deadline: Option<Instant>) -> Option<Duration> {
    if decision.allowed() {
        return None;
    }
    let pause = match decision.retry() {
        Retry::After(pause) => pause,
        Retry::Now => Duration::from_micros(1),
        Retry::Never | Retry::Unknown => return None,
    };
    let is_too_late =
        deadline.is_some_and(|end| Instant::now().checked_add(pause).is_none_or(|at| at > end));
    (!is_too_late).then_some(pause)
}
