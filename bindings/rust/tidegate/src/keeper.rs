// SPDX-License-Identifier: MIT
//! Who renews the slots that are held: one thread for each gate that holds any, so that a store
//! which stands still takes no time from another's. All that are due go in one round trip. It ends
//! when there has been nothing to do for a while, and keeps neither its gate nor the process alive.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_sys as sys;

use crate::boundary::{Answer, Ask, Client, PartAsk};
use crate::error::Error;
use crate::source::Source;
use crate::testing::FakeClock;

/// How long the thread stays without anything to do.
const LINGER: Duration = Duration::from_secs(10);
/// How often a clock that is turned by hand is looked at.
const GLANCE: Duration = Duration::from_millis(10);

pub(crate) type OnLost = Box<dyn Fn() + Send + Sync>;

/// Slots that are held under an id.
pub(crate) struct Holding {
    pub(crate) client: Arc<Client>,
    pub(crate) handle: u64,
    pub(crate) key: Box<[u8]>,
    pub(crate) id: [u8; 16],
    pub(crate) cost: u64,
    /// Of a renewal, at most.
    pub(crate) timeout: Duration,
    pub(crate) on_lost: Option<OnLost>,
    pub(crate) is_lost: AtomicBool,
    #[cfg(feature = "tokio")]
    pub(crate) loss: tokio::sync::Notify,
    term: Mutex<Term>,
}

/// Where slots are held, and until when; times are the keeper's.
struct Term {
    source: Source,
    lease_us: i64,
    due_us: i64,
    until_us: i64,
    /// A renewal that this process answered took slots here as well.
    is_here_too: bool,
    is_released: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Holding {
    pub(crate) fn source(&self) -> Source {
        lock(&self.term).source
    }

    fn part(&self) -> PartAsk<'_> {
        let (handle, key, cost) = (self.handle, &self.key[..], self.cost);
        PartAsk { handle, key, cost, id: Some(&self.id), value: &[] }
    }

    /// No renewal comes after this; whom else to ask than `source` to give slots back.
    pub(crate) fn begin_release(&self) -> (Source, bool) {
        let mut term = lock(&self.term);
        term.is_released = true;
        (term.source, term.is_here_too)
    }

    fn release_from(&self, source: Source) {
        let flags = source.flags();
        let ask = Ask { op: sys::TG_OP_REFUND, flags, timeout_us: 0, parts: &[self.part()] };
        drop(self.client.call(&ask)); // else their lease ends it
    }

    fn lose(&self) {
        if self.is_lost.swap(true, Ordering::SeqCst) {
            return;
        }
        #[cfg(feature = "tokio")]
        self.loss.notify_waiters();
        if let Some(told) = &self.on_lost {
            let told = std::panic::AssertUnwindSafe(told);
            drop(std::panic::catch_unwind(told));
        }
    }

    /// What a renewal that was asked at `asked_us` came to; false: nothing is held any more.
    fn renewed(&self, answer: Result<Answer, Error>, asked_us: i64, now_us: i64) -> bool {
        let mut term = lock(&self.term);
        let (is_lost, stays) = term.judge(answer, asked_us, now_us);
        let is_released = term.is_released;
        let (source, is_here_too) = (term.source, term.is_here_too);
        drop(term);
        if is_released {
            // The renewal may have come behind the release, and have taken them anew.
            self.release_from(source);
            if is_here_too {
                self.release_from(Source::Fallback);
            }
            return false;
        }
        if is_lost {
            self.lose();
        }
        stays
    }
}

impl Term {
    /// Whether the slots were lost meanwhile, and whether any are held now.
    fn judge(&mut self, answer: Result<Answer, Error>, asked_us: i64, now_us: i64) -> (bool, bool) {
        let by = answer.as_ref().map_or(Source::None, |answer| Source::of(answer.flags));
        self.is_here_too |= by == Source::Fallback && self.source == Source::Store;
        let part = answer.as_ref().ok().and_then(|answer| answer.parts.as_slice().first());
        let moves = self.source == Source::Fallback && by == Source::Store;
        match part {
            Some(part) if by == self.source || moves => {
                if part.flags & sys::TG_ALLOWED != 0 {
                    let is_anew = part.flags & sys::TG_RENEWED == 0 && !moves;
                    self.is_here_too |= moves;
                    self.source = by;
                    self.begin(asked_us, part.window_us);
                    return (is_anew, true);
                }
                if !moves {
                    return (true, false);
                }
            }
            // The limiter or the gate is closed: nobody renews any more.
            _ if answer.as_ref().is_err_and(|why| why.is_config() || why.is_fatal()) => {
                return (true, false);
            }
            _ => {}
        }
        // Whoever holds them could not be asked: on until the lease is over.
        self.due_us = now_us + (self.lease_us / 12).clamp(1_000, 1_000_000);
        let is_over = now_us >= self.until_us;
        (is_over, !is_over)
    }

    fn begin(&mut self, asked_us: i64, lease_us: i64) {
        self.lease_us = lease_us.max(1);
        self.due_us = asked_us + self.lease_us / 3;
        self.until_us = asked_us + self.lease_us;
    }
}

/// What a [`Holding`] is made of.
pub(crate) struct Held {
    pub(crate) client: Arc<Client>,
    pub(crate) handle: u64,
    pub(crate) key: Box<[u8]>,
    pub(crate) id: [u8; 16],
    pub(crate) cost: u64,
    pub(crate) source: Source,
    pub(crate) lease_us: i64,
    pub(crate) asked_us: i64,
    pub(crate) timeout: Duration,
    pub(crate) on_lost: Option<OnLost>,
}

#[derive(Default)]
struct State {
    held: HashMap<u64, Arc<Holding>>,
    last: u64,
    is_running: bool,
    /// When the thread looks again by itself.
    wakes_us: i64,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: Option<FakeClock>,
    origin: Instant,
}

/// The slots of a gate that are held.
pub(crate) struct Keeper(Arc<Shared>);

impl Keeper {
    pub(crate) fn new(clock: Option<FakeClock>) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { state, changed, clock, origin: Instant::now() }))
    }

    /// The time that leases are measured by.
    pub(crate) fn now_us(&self) -> i64 {
        self.0.now_us()
    }

    /// Renews them until `let_go` of the number.
    pub(crate) fn hold(&self, held: Held) -> Result<(u64, Arc<Holding>), Error> {
        let term = Term {
            source: held.source,
            lease_us: 0,
            due_us: 0,
            until_us: 0,
            is_here_too: false,
            is_released: false,
        };
        let holding = Arc::new(Holding {
            client: held.client,
            handle: held.handle,
            key: held.key,
            id: held.id,
            cost: held.cost,
            timeout: held.timeout,
            on_lost: held.on_lost,
            is_lost: AtomicBool::new(false),
            #[cfg(feature = "tokio")]
            loss: tokio::sync::Notify::new(),
            term: Mutex::new(term),
        });
        let due_us = {
            let mut term = lock(&holding.term);
            term.begin(held.asked_us, held.lease_us);
            term.due_us
        };
        let mut state = lock(&self.0.state);
        state.last += 1;
        let number = state.last;
        state.held.insert(number, holding.clone());
        if !state.is_running {
            let shared = self.0.clone();
            let thread = thread::Builder::new().name("tidegate-slots".into());
            if let Err(why) = thread.spawn(move || shared.run()) {
                state.held.remove(&number);
                let message = format!("the thread that renews slots cannot be started: {why}");
                return Err(Error::new(sys::TG_ENOMEM, message, None));
            }
            state.is_running = true;
        } else if due_us < state.wakes_us {
            self.0.changed.notify_one();
        }
        Ok((number, holding))
    }

    pub(crate) fn let_go(&self, number: u64) {
        lock(&self.0.state).held.remove(&number);
    }
}

impl Shared {
    fn now_us(&self) -> i64 {
        match &self.clock {
            Some(clock) => clock.now_us(),
            None => i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX),
        }
    }

    fn run(&self) {
        let mut idle_since = Instant::now();
        let mut state = lock(&self.state);
        loop {
            let now_us = self.now_us();
            let next_us = state.held.values().map(|holding| lock(&holding.term).due_us).min();
            let next_us = next_us.unwrap_or(i64::MAX);
            if next_us <= now_us {
                // Who would be due in a moment goes along: slots that were taken one after another
                // do not travel one by one for ever.
                let is_due = |holding: &Holding| {
                    let term = lock(&holding.term);
                    term.due_us <= now_us + term.lease_us / 12
                };
                let held = state.held.iter().filter(|(_, holding)| is_due(holding));
                let due: Vec<_> =
                    held.map(|(number, holding)| (*number, holding.clone())).collect();
                drop(state);
                let gone = self.renew(&due);
                drop(due); // where a gate's last users may go, with no lock held
                state = lock(&self.state);
                let gone: Vec<_> = gone.iter().map(|number| state.held.remove(number)).collect();
                drop(state);
                drop(gone);
                idle_since = Instant::now();
                state = lock(&self.state);
                continue;
            }
            if state.held.is_empty() && idle_since.elapsed() >= LINGER {
                state.is_running = false;
                return;
            }
            let pause = match u64::try_from(next_us.saturating_sub(now_us)) {
                _ if state.held.is_empty() => LINGER,
                _ if self.clock.is_some() => GLANCE,
                Ok(left_us) => Duration::from_micros(left_us),
                Err(_) => GLANCE,
            };
            if !state.held.is_empty() {
                idle_since = Instant::now();
            }
            state.wakes_us = if state.held.is_empty() { i64::MAX } else { next_us };
            let woken = self.changed.wait_timeout(state, pause);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Renews these; which of them are held no more.
    fn renew(&self, due: &[(u64, Arc<Holding>)]) -> Vec<u64> {
        let parts: Vec<_> = due.iter().map(|(_, holding)| [holding.part()]).collect();
        let asks: Vec<_> = due
            .iter()
            .zip(&parts)
            .map(|((_, holding), parts)| {
                let sixth_us = (lock(&holding.term).lease_us / 6).max(1_000);
                let timeout_us = i64::try_from(holding.timeout.as_micros()).unwrap_or(sixth_us);
                let timeout_us = timeout_us.clamp(1, sixth_us);
                Ask { op: sys::TG_OP_CONSUME, flags: 0, timeout_us, parts }
            })
            .collect();
        let asked_us = self.now_us();
        let answers = due[0].1.client.call_each(&asks);
        let now_us = self.now_us();
        let mut gone = Vec::new();
        for ((number, holding), answer) in due.iter().zip(answers) {
            if !holding.renewed(answer, asked_us, now_us) {
                gone.push(*number);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;

    /// The slot is dropped while its renewal is on its way, and the renewal comes behind.
    #[test]
    fn a_renewal_that_comes_behind_the_release_takes_nothing() {
        let gate = Gate::connect("memory://").unwrap();
        let limiter = gate.limiter("1 at once").open().unwrap();
        let (key, id, client) = (Box::from(*b"k"), *b"sixteen letters.", gate.inner.client.clone());
        let held = Held {
            client: client.clone(),
            handle: limiter.handle,
            key,
            id,
            cost: 1,
            source: Source::Memory,
            lease_us: 30_000_000,
            asked_us: 0,
            timeout: Duration::from_secs(1),
            on_lost: None,
        };
        let (number, holding) = gate.inner.keeper.hold(held).unwrap();
        gate.inner.keeper.let_go(number);
        assert_eq!(holding.begin_release(), (Source::Memory, false));
        limiter.release("k", &id).call().unwrap();
        let parts = [holding.part()];
        let renewal = Ask { op: sys::TG_OP_CONSUME, flags: 0, timeout_us: 0, parts: &parts };
        let answer = client.call(&renewal);
        assert_eq!(limiter.peek("k").call().unwrap().remaining(), Some(0), "taken anew");
        assert!(!holding.renewed(answer, 1, 2));
        assert_eq!(limiter.peek("k").call().unwrap().remaining(), Some(1));
    }
}
