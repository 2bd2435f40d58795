// SPDX-License-Identifier: MIT
//! How requests are awaited: one ring for each client, its descriptor in tokio's poller, one task
//! that reaps. A request waits in a numbered slot; the number is its user_data, and a slot is free
//! again when its one result has come.
//!
//! Who sends what was submitted: the reaping task, woken through the descriptor, when it sleeps
//! `ARMED`; the reaping task, which is about to look again, while it is `AWAKE`; the submitter
//! himself when it sleeps `UNARMED`, as it does after it has woken one lone caller. A submitter
//! looks at the state after he has submitted, and the task looks at the queue after it has set it.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tidegate_sys as sys;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::boundary::{open_ring, watch, Answer, Ask, Client, Reaper, Submitter, Taken};
use crate::error::Error;

const ARMED: u8 = 0;
const AWAKE: u8 = 1;
const UNARMED: u8 = 2;

pub(crate) type Outcome = Result<Answer, Error>;

enum Slot {
    Free,
    Waiting(Waker),
    /// Nobody waits any more; the result is still to come.
    Abandoned,
    Done(Outcome),
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Requests for which the ring had no room.
    queue: Vec<Waker>,
    /// Sent, and without a result yet.
    out: usize,
    /// Why no result will come any more.
    dead: Option<Error>,
}

impl Table {
    fn take_slot(&mut self, waker: Waker) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Slot::Waiting(waker);
            return index;
        }
        self.slots.push(Slot::Waiting(waker));
        (self.slots.len() - 1) as u32
    }

    fn free_slot(&mut self, index: u32) -> Slot {
        self.free.push(index);
        mem::replace(&mut self.slots[index as usize], Slot::Free)
    }
}

/// A ring and those who wait on it.
pub(crate) struct Line {
    submitter: Submitter,
    table: Mutex<Table>,
    state: AtomicU8,
}

/// Whether a request was sent, and where its result will be.
pub(crate) enum Sent {
    Slot(u32),
    /// The waker is called when it may be tried again.
    Later,
}

impl Line {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits, and has `waker` called when there is something to do.
    pub(crate) fn send(&self, ask: &Ask<'_>, waker: &Waker) -> Result<Sent, Error> {
        let (index, is_alone) = {
            let mut table = self.table();
            if let Some(why) = &table.dead {
                return Err(why.clone());
            }
            let is_alone = table.out == 0;
            table.out += 1;
            (table.take_slot(waker.clone()), is_alone)
        };
        let mut taken = self.submitter.submit(ask, index.into());
        if let Ok(Taken::Full) = taken {
            // First into the queue, then once more: else the last result could be reaped between.
            self.table().queue.push(waker.clone());
            taken = self.submitter.submit(ask, index.into());
        }
        match taken {
            Ok(Taken::Yes) => {
                match self.state.load(SeqCst) {
                    UNARMED => self.submitter.flush(),
                    ARMED if is_alone => self.submitter.flush(), // no need to wait for the task
                    _ => {}
                }
                Ok(Sent::Slot(index))
            }
            Ok(Taken::Full) => {
                self.unsent(index);
                Ok(Sent::Later)
            }
            Err(why) => {
                self.unsent(index);
                Err(why)
            }
        }
    }

    fn unsent(&self, index: u32) {
        let mut table = self.table();
        table.out -= 1;
        drop(table.free_slot(index));
    }

    /// The result in a slot, if it has come; else `waker` is called when it does.
    pub(crate) fn receive(&self, index: u32, waker: &Waker) -> Option<Outcome> {
        let mut table = self.table();
        match &mut table.slots[index as usize] {
            Slot::Waiting(old) => {
                old.clone_from(waker);
                None
            }
            _ => match table.free_slot(index) {
                Slot::Done(outcome) => Some(outcome),
                _ => None,
            },
        }
    }

    /// Takes a request back.
    pub(crate) fn abandon(&self, index: u32) {
        let mut table = self.table();
        if !matches!(table.slots[index as usize], Slot::Waiting(_)) {
            drop(table.free_slot(index));
            return;
        }
        table.slots[index as usize] = Slot::Abandoned;
        let is_dead = table.dead.is_some();
        drop(table);
        if !is_dead {
            self.submitter.cancel(index.into());
        }
    }

    /// Hands out results; the wakers are the caller's to call, when no lock is held. Returns how
    /// many requests are still out.
    fn deliver(&self, results: &mut Vec<(u64, Outcome)>, wakers: &mut Vec<Waker>) -> usize {
        let mut table = self.table();
        table.out -= results.len();

        for (number, outcome) in results.drain(..) {
            let index = number as u32;
            match mem::replace(&mut table.slots[index as usize], Slot::Done(outcome)) {
                Slot::Waiting(waker) => wakers.push(waker),
                _ => drop(table.free_slot(index)),
            }
        }
        wakers.append(&mut table.queue);
        table.out
    }

    /// No result will come any more: everybody who waits is told why.
    fn die(&self, why: &Error) {
        let mut wakers = Vec::new();
        let mut table = self.table();
        table.dead = Some(why.clone());
        for slot in &mut table.slots {
            if let Slot::Waiting(_) = slot {
                if let Slot::Waiting(waker) = mem::replace(slot, Slot::Done(Err(why.clone()))) {
                    wakers.push(waker);
                }
            }
        }
        wakers.append(&mut table.queue);
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The reaping task. Dropping it, with its runtime or without, tells those who wait.
struct Pump {
    descriptor: AsyncFd<Reaper>, // out of the poller before the ring goes
    line: Arc<Line>,
}

impl Pump {
    async fn run(mut self) {
        let mut hands = Hands::default();
        let why = loop {
            let mut ready = match self.descriptor.readable_mut().await {
                Ok(ready) => ready,
                Err(why) => break lost(&why),
            };
            let reaper = ready.get_inner_mut();
            self.line.state.store(AWAKE, SeqCst);
            let mut last = hands.take(&self.line, reaper, false);
            let is_lone = hands.wakers.len() == 1 && hands.out == 0;
            if last.is_ok() && is_lone {
                self.line.state.store(UNARMED, SeqCst);
                self.line.submitter.flush();
                hands.wake();
            } else {
                if hands.wake() {
                    // Whoever was woken submits before the next flush, and they share it.
                    tokio::task::yield_now().await;
                }
                last = last.and_then(|()| hands.take(&self.line, reaper, true));
                self.line.state.store(ARMED, SeqCst);
            }
            // Only after the drain: tokio registers edge-triggered.
            ready.clear_ready();
            if hands.wake() {
                tokio::task::yield_now().await;
            }
            if let Err(why) = last {
                break why;
            }
        };
        self.line.die(&why);
    }
}

/// Results and wakers on their way, kept for their room.
#[derive(Default)]
struct Hands {
    results: Vec<(u64, Outcome)>,
    wakers: Vec<Waker>,
    out: usize,
}

impl Hands {
    /// Reaps all there is.
    fn take(&mut self, line: &Line, reaper: &mut Reaper, sleeps: bool) -> Result<(), Error> {
        loop {
            let more = reaper.reap(sleeps, |number, outcome| self.results.push((number, outcome)));
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

impl Drop for Pump {
    fn drop(&mut self) {
        let message = "the tokio runtime that carried the request was shut down".to_owned();
        self.line.die(&Error::new(sys::TG_ECANCELED, message, None));
    }
}

fn lost(why: &io::Error) -> Error {
    Error::new(sys::TG_EINTERNAL, format!("the ring's descriptor cannot be polled: {why}"), None)
}

/// The line of a client, opened when it is first needed, and again when its runtime has gone.
pub(crate) struct Driver {
    client: Arc<Client>,
    capacity: i32,
    current: Mutex<Option<(Arc<Line>, AbortHandle)>>,
}

impl Driver {
    pub(crate) fn new(client: Arc<Client>, capacity: i32) -> Self {
        Self { client, capacity, current: Mutex::new(None) }
    }

    pub(crate) fn line(&self) -> Result<Arc<Line>, Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((line, _)) = current.as_ref().filter(|(line, _)| line.table().dead.is_none()) {
            return Ok(line.clone());
        }
        let opened = self.open()?;
        let line = opened.0.clone();
        *current = Some(opened);
        Ok(line)
    }

    fn open(&self) -> Result<(Arc<Line>, AbortHandle), Error> {
        let Ok(runtime) = Handle::try_current() else {
            let message = "awaited outside of a runtime: expected tokio's; elsewhere, .call() it";
            return Err(Error::new(sys::TG_EINVAL, message.into(), None));
        };
        let (submitter, reaper) = open_ring(&self.client, self.capacity)?;
        let line =
            Arc::new(Line { submitter, table: Mutex::default(), state: AtomicU8::new(ARMED) });
        let descriptor = watch(reaper).map_err(|why| lost(&why))?;
        let pump = Pump { descriptor, line: line.clone() };
        let task = runtime.spawn(pump.run());
        Ok((line, task.abort_handle()))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let current = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, task)) = current.take() {
            task.abort();
        }
    }
}
