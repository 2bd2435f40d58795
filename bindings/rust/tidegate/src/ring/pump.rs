// SPDX-License-Identifier: MIT
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::task::Waker;

use tidegate_sys as sys;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

use super::driver::Lines;
use super::line::{Line, Outcome, ARMED, AWAKE, UNARMED};
use crate::boundary::Results;
use crate::error::Error;

/// The reaping task. It only borrows its line, for as long as it runs: a gate that goes takes its
/// rings along, also where the runtime does not run any more. Dropping it, with its runtime or
/// without, tells those who wait.
pub(super) struct Pump {
    descriptor: AsyncFd<OwnedFd>,
    line: Weak<Line>,
    lines: Weak<Lines>,
    hands: Hands,
}

impl Pump {
    /// Puts the line's descriptor into the poller of the runtime that this is called in.
    pub(super) fn new(line: &Arc<Line>, lines: &Arc<Lines>) -> io::Result<Self> {
        // An OwnedFd stays open and the same as long as it is watched, which is what the new name
        // of this function wants promised; tokio before 1.53 knows the old one only.
        #[allow(deprecated)]
        let descriptor = AsyncFd::with_interest(line.ring.descriptor()?, Interest::READABLE)?;
        let (line, lines) = (Arc::downgrade(line), Arc::downgrade(lines));
        Ok(Self { descriptor, line, lines, hands: Hands::default() })
    }

    pub(super) async fn run(mut self) {
        let why = loop {
            let mut ready = match self.descriptor.readable().await {
                Ok(ready) => ready,
                Err(why) => break lost(&why),
            };
            let Some(line) = self.line.upgrade() else { return };
            let first = self.hands.look(&line);
            drop(line);
            let last = match first {
                Ok(Look::Lone) => Ok(()),
                Ok(Look::More) => {
                    if self.hands.wake() {
                        // Whoever was woken submits before the next flush, and they share it.
                        tokio::task::yield_now().await;
                    }
                    let Some(line) = self.line.upgrade() else { return };
                    self.hands.look_again(&line)
                }
                Err(why) => Err(why),
            };
            // Only after the drain: tokio registers edge-triggered.
            ready.clear_ready();
            if self.hands.wake() {
                tokio::task::yield_now().await;
            }
            if let Err(why) = last {
                break why;
            }
        };
        self.tell(&why);
    }

    fn tell(&self, why: &Error) {
        if let Some(line) = self.line.upgrade() {
            line.die(why);
            line.drain();
        }
        if let Some(lines) = self.lines.upgrade() {
            lines.forget_dead();
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let message = "the tokio runtime that carried the request was shut down".to_owned();
        self.tell(&Error::new(sys::TG_ECANCELED, message, None));
    }
}

/// What there was.
enum Look {
    /// One result, and nobody else waits. It is handed out, and whoever submits next flushes.
    Lone,
    More,
}

/// Results and wakers on their way, kept for their room.
#[derive(Default)]
struct Hands {
    room: Results,
    results: Vec<(u64, Outcome)>,
    wakers: Vec<Waker>,
    out: usize,
}

impl Hands {
    fn look(&mut self, line: &Line) -> Result<Look, Error> {
        line.state.store(AWAKE, SeqCst);
        self.take(line, false)?;
        if self.wakers.len() != 1 || self.out != 0 {
            return Ok(Look::More);
        }
        line.state.store(UNARMED, SeqCst);
        line.ring.flush();
        self.wake();
        Ok(Look::Lone)
    }

    fn look_again(&mut self, line: &Line) -> Result<(), Error> {
        let taken = self.take(line, true);
        line.state.store(ARMED, SeqCst);
        taken
    }

    /// Reaps all there is.
    fn take(&mut self, line: &Line, sleeps: bool) -> Result<(), Error> {
        loop {
            let take = |number, outcome| self.results.push((number, outcome));
            let more = line.ring.reap(&mut self.room, sleeps, take);
            self.out = line.deliver(&mut self.results, &mut self.wakers);
            if !more? {
                return Ok(());
            }
        }
    }

    /// Wakes those it is for; whether there was anybody.
    fn wake(&mut self) -> bool {
        let is_anybody = !self.wakers.is_empty();
        self.wakers.drain(..).for_each(Waker::wake);
        is_anybody
    }
}

pub(super) fn lost(why: &io::Error) -> Error {
    Error::new(sys::TG_EINTERNAL, format!("the ring's descriptor cannot be polled: {why}"), None)
}
