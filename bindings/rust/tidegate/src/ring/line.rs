// SPDX-License-Identifier: MIT
//! A ring and those who wait on it. A request waits in a numbered slot; the number is its
//! user_data, and a slot is free again when its one result has come.
//!
//! Who sends what was submitted: the reaping task, woken through the descriptor, when it sleeps
//! `ARMED`; the reaping task, which is about to look again, while it is `AWAKE`; the submitter
//! himself when it sleeps `UNARMED`, as it does after it has woken one lone caller. A submitter
//! looks at the state after he has submitted, and the task looks at the queue after it has set it.

use std::mem;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::boundary::{Answer, Ask, Results, Ring};
use crate::error::Error;

pub(super) const ARMED: u8 = 0;
pub(super) const AWAKE: u8 = 1;
pub(super) const UNARMED: u8 = 2;

/// How long the end of a gate or runtime may wait for what destructors have asked.
const DRAINED: Duration = Duration::from_secs(1);

pub(crate) type Outcome = Result<Answer, Error>;

enum Slot {
    Free,
    Waiting(Waker),
    /// Nobody waits any more; the result is still to come.
    Abandoned,
    /// Nobody ever waited: asked by a destructor, to be done all the same.
    Unawaited,
    Done(Outcome),
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Sent, and without a result yet.
    out: usize,
    /// How many slots are `Unawaited`.
    unawaited: usize,
    /// Why no result will come any more.
    dead: Option<Error>,
}

impl Table {
    fn take_slot(&mut self, slot: Slot) -> u32 {
        self.unawaited += usize::from(matches!(slot, Slot::Unawaited));
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            return index;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as u32
    }

    fn free_slot(&mut self, index: u32) -> Slot {
        self.free.push(index);
        let slot = mem::replace(&mut self.slots[index as usize], Slot::Free);
        self.unawaited -= usize::from(matches!(slot, Slot::Unawaited));
        slot
    }
}

pub(crate) struct Line {
    pub(super) ring: Ring,
    table: Mutex<Table>,
    pub(super) state: AtomicU8,
    /// A permit for each request that the ring has room for. Closed when the line is dead, so
    /// nobody can begin to wait for room that will never come.
    room: Arc<Semaphore>,
}

impl Line {
    pub(super) fn new(ring: Ring, capacity: usize) -> Self {
        Self {
            ring,
            table: Mutex::default(),
            state: AtomicU8::new(ARMED),
            room: Arc::new(Semaphore::new(capacity)),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.room.is_closed()
    }

    /// Why no result will come any more, if that is so.
    pub(super) fn why_dead(&self) -> Option<Error> {
        self.table().dead.clone()
    }

    /// Room for one request; whoever takes a permit gives it to `send` by forgetting it.
    pub(super) fn room(&self) -> &Arc<Semaphore> {
        &self.room
    }

    /// As `send`, for nobody; on its way when this returns, also where the runtime ends now.
    pub(super) fn send_unawaited(&self, ask: &Ask<'_>) -> Result<(), Error> {
        self.submit(ask, Slot::Unawaited)?;
        self.ring.flush();
        Ok(())
    }

    /// Submits in a room that was taken. `waker` is called when the result is in the slot.
    pub(super) fn send(&self, ask: &Ask<'_>, waker: &Waker) -> Result<u32, Error> {
        let (index, is_alone) = self.submit(ask, Slot::Waiting(waker.clone()))?;
        match self.state.load(SeqCst) {
            UNARMED => self.ring.flush(),
            ARMED if is_alone => self.ring.flush(), // no need to wait for the task
            _ => {}
        }
        Ok(index)
    }

    /// The number of the slot, and whether nothing else is out.
    fn submit(&self, ask: &Ask<'_>, slot: Slot) -> Result<(u32, bool), Error> {
        let (index, is_alone) = {
            let mut table = self.table();
            if let Some(why) = &table.dead {
                return Err(why.clone());
            }
            let is_alone = table.out == 0;
            table.out += 1;
            (table.take_slot(slot), is_alone)
        };
        if let Err(why) = self.ring.submit(ask, index.into()) {
            let mut table = self.table();
            table.out -= 1;
            drop(table.free_slot(index));
            drop(table);
            self.room.add_permits(1);
            return Err(why);
        }
        Ok((index, is_alone))
    }

    /// The result in a slot, if it has come; else `waker` is called when it does.
    pub(super) fn receive(&self, index: u32, waker: &Waker) -> Option<Outcome> {
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
    pub(super) fn abandon(&self, index: u32) {
        let mut table = self.table();
        if !matches!(table.slots[index as usize], Slot::Waiting(_)) {
            drop(table.free_slot(index));
            return;
        }
        table.slots[index as usize] = Slot::Abandoned;
        let is_dead = table.dead.is_some();
        drop(table);
        if !is_dead {
            self.ring.cancel(index.into());
        }
    }

    /// Hands out results; the wakers are the caller's to call, when no lock is held. Returns how
    /// many requests are still out.
    pub(super) fn deliver(
        &self,
        results: &mut Vec<(u64, Outcome)>,
        wakers: &mut Vec<Waker>,
    ) -> usize {
        let count = results.len();
        let mut table = self.table();
        table.out -= count;
        for (number, outcome) in results.drain(..) {
            let index = number as u32;
            let slot = &mut table.slots[index as usize];
            match slot {
                Slot::Waiting(_) => {
                    if let Slot::Waiting(waker) = mem::replace(slot, Slot::Done(outcome)) {
                        wakers.push(waker);
                    }
                }
                _ => drop(table.free_slot(index)),
            }
        }
        let out = table.out;
        drop(table);
        if count > 0 {
            self.room.add_permits(count);
        }
        out
    }

    /// Waits on this thread, not for long, until what nobody awaits is done: nobody else sees to
    /// that any more.
    pub(super) fn drain(&self) {
        let end = Instant::now() + DRAINED;
        let mut room = None;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.table().unawaited == 0 || left.is_zero() {
                return;
            }
            let take = |number: u64, _| {
                let mut table = self.table();
                if matches!(table.slots[number as usize], Slot::Unawaited) {
                    drop(table.free_slot(number as u32));
                }
            };
            let room = room.get_or_insert_with(Results::default);
            if self.ring.wait(room, left.min(Duration::from_millis(50)), take).is_err() {
                return;
            }
        }
    }

    /// No result will come any more: everybody who waits is told why.
    pub(super) fn die(&self, why: &Error) {
        let mut wakers = Vec::new();
        let mut table = self.table();
        if table.dead.is_some() {
            return;
        }
        table.dead = Some(why.clone());
        for slot in &mut table.slots {
            if let Slot::Waiting(_) = slot {
                if let Slot::Waiting(waker) = mem::replace(slot, Slot::Done(Err(why.clone()))) {
                    wakers.push(waker);
                }
            }
        }
        drop(table);
        self.room.close(); // wakes those who wait for room
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Without the lock: a forked child's copy may have been locked for ever.
        let table = self.table.get_mut().unwrap_or_else(PoisonError::into_inner);
        if table.unawaited > 0 {
            self.drain();
        }
    }
}
