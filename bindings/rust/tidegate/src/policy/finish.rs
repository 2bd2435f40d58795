// SPDX-License-Identifier: MIT
//! What is asked when the response of a request that was checked by policy is done.

use tidegate_sys as sys;

use crate::attributes::Attributes;
use crate::boundary::Settlement;
use crate::decision::Decision;
use crate::error::Error;
use crate::gate::Gate;
use crate::request::{Command, Parts};
#[cfg(feature = "tokio")]
use crate::ring::Asking;

/// What settles a check by policy; made by [`Gate::finish`] and [`Gate::renew`]. `.call()` it, or
/// `.await` it on a tokio runtime.
#[must_use = "nothing is settled until this is `.call()`ed or `.await`ed"]
#[derive(Debug)]
pub struct Finish<'a> {
    gate: &'a Gate,
    settlements: Vec<Settlement>,
}

impl<'a> Finish<'a> {
    pub(crate) fn new(
        gate: &'a Gate,
        decision: &Decision,
        status: u16,
        used: &Attributes,
        flags: u32,
    ) -> Self {
        let told = decision.told();
        let settlements = told.map(|told| told.settlements(status, used.bytes(), flags));
        Self { gate, settlements: settlements.unwrap_or_default() }
    }

    fn commands(self) -> impl Iterator<Item = Command<'a>> {
        let gate = self.gate;
        self.settlements.into_iter().map(move |settlement| command(gate, settlement))
    }

    /// Asks and waits on this thread; within a runtime, `.await` instead.
    pub fn call(self) -> Result<(), Error> {
        self.commands().try_for_each(Command::call)
    }
}

#[cfg(feature = "tokio")]
impl<'a> std::future::IntoFuture for Finish<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = Asking<'a, ()>;

    fn into_future(self) -> Asking<'a, ()> {
        Asking::new(async move {
            for command in self.commands() {
                command.await?;
            }
            Ok(())
        })
    }
}

/// The request of one settlement.
pub(crate) fn command(gate: &Gate, settlement: Settlement) -> Command<'_> {
    let (op, flags) = (settlement.op, settlement.flags);
    let mut command = Command::new(gate, op, Parts::Settling(settlement));
    command.request.flags = flags;
    command
}

impl Gate {
    /// What a check by policy has charged is settled, when its response is done: what does not
    /// `count` is given back, what its rules `settle` is set right by what was `used`, and slots
    /// are released. A layer of [`tower`](https://docs.rs/tower) does this by itself.
    ///
    /// ```
    /// use tidegate::{Attributes, Gate};
    ///
    /// let policy = r#"{"version": 1, "limiters": {"tokens": "1000/minute overdraft 1000"},
    ///     "rules": [{"limit": "tokens", "cost": 100, "settle": "{used}"}]}"#;
    /// let gate = Gate::builder().url("memory://").policy(policy).open()?;
    /// let request = Attributes::new().identity("k_1");
    /// let decision = gate.check(&request).call()?;
    /// gate.finish(&decision, 200, Attributes::new().with("used", 350)).call()?;
    /// assert_eq!(gate.check(&request).call()?.remaining(), Some(550));
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn finish(
        &self,
        decision: &Decision,
        status: u16,
        used: impl Into<Attributes>,
    ) -> Finish<'_> {
        Finish::new(self, decision, status, &used.into(), 0)
    }

    /// The slots that a check by policy took are renewed: within
    /// [`renew_within`](Decision::renew_within), as long as its response is under way.
    pub fn renew(&self, decision: &Decision) -> Finish<'_> {
        Finish::new(self, decision, 0, &Attributes::new(), sys::TG_FINISH_RENEW)
    }
}
