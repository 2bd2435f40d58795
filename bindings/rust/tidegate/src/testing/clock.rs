// SPDX-License-Identifier: MIT
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::boundary::Client;
use crate::error::Error;

/// Time for gates that are opened with it; [`Limiter::wait`](crate::Limiter::wait) follows it,
/// deadlines never do.
///
/// ```
/// use std::time::Duration;
/// use tidegate::{testing::FakeClock, Gate};
///
/// let clock = FakeClock::new(1_763_683_200_000_000);
/// let gate = Gate::builder().url("memory://").clock(&clock).open()?;
/// let api = gate.limiter("1/minute").open()?;
/// assert!(api.consume("user:42").call()?.allowed());
/// assert!(!api.consume("user:42").call()?.allowed());
/// clock.advance(Duration::from_secs(60));
/// assert!(api.consume("user:42").call()?.allowed());
/// # Ok::<(), tidegate::Error>(())
/// ```
#[derive(Clone)]
pub struct FakeClock {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    moved: Condvar,
    #[cfg(feature = "tokio")]
    moved_async: tokio::sync::watch::Sender<i64>,
}

struct State {
    now_us: i64,
    clients: Vec<Weak<Client>>,
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClock").field("now_us", &self.now_us()).finish_non_exhaustive()
    }
}

impl FakeClock {
    /// A clock that stands at `now_us`, microseconds since whenever.
    pub fn new(now_us: i64) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State { now_us, clients: Vec::new() }),
                moved: Condvar::new(),
                #[cfg(feature = "tokio")]
                moved_async: tokio::sync::watch::Sender::new(now_us),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it shows.
    pub fn now_us(&self) -> i64 {
        self.state().now_us
    }

    /// Sets it, also backwards. 0 to 2^52 - 1; what is beyond becomes the nearest of these.
    pub fn set_now_us(&self, now_us: i64) {
        let mut state = self.state();
        state.now_us = now_us.clamp(0, tidegate_sys::TG_MAX_COST);
        let now_us = state.now_us;
        // A closed gate needs no time any more.
        state.clients.retain(|client| {
            client.upgrade().is_some_and(|client| client.set_time(now_us).is_ok())
        });
        drop(state);
        self.shared.moved.notify_all();
        #[cfg(feature = "tokio")]
        self.shared.moved_async.send_replace(now_us);
    }

    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.set_now_us(self.now_us().saturating_add(by));
    }

    pub(crate) fn drive(&self, client: &Arc<Client>) -> Result<(), Error> {
        let mut state = self.state();
        client.set_time(state.now_us)?;
        state.clients.push(Arc::downgrade(client));
        Ok(())
    }

    fn end_of(&self, pause: Duration) -> i64 {
        self.now_us().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
    }

    /// Sleeps until the clock has moved by `pause`, or the deadline has come.
    pub(crate) fn sleep(&self, pause: Duration, deadline: Option<Instant>) {
        let end_us = self.end_of(pause);
        let mut state = self.state();
        while state.now_us < end_us {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return;
            }
            let left = left.unwrap_or(Duration::from_secs(3600));
            let woken = self.shared.moved.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) async fn sleep_async(&self, pause: Duration, deadline: Option<Instant>) {
        let end_us = self.end_of(pause);
        let mut moved = self.shared.moved_async.subscribe();
        let arrives = moved.wait_for(|now_us| *now_us >= end_us);
        match deadline {
            Some(deadline) => drop(tokio::time::timeout_at(deadline.into(), arrives).await),
            None => drop(arrives.await),
        }
    }
}
