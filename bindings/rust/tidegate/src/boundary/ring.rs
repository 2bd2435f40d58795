// SPDX-License-Identifier: MIT
//! A ring: any thread may submit and cancel, and whoever has room for results may reap, one at a
//! time. Everything is copied on its way in and out, so nothing of a caller's is kept.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_sys as sys;

use super::answer::{with_entries, Answer, Ask};
use super::client::{check_count, Client};
use super::text;
use crate::error::Error;

/// Results taken by one reap.
const BATCH: usize = 256;
/// Marks the user_data of a guard's check, whose result is read otherwise than others.
const CHECK: u64 = 1 << 63;

pub(crate) struct Ring {
    raw: NonNull<sys::tg_ring>,
    client: Arc<Client>, // freed after the ring
    pumping: Mutex<()>,  // reap and flush: one at a time
}

// SAFETY: submit and cancel may be called from any thread; reap and flush hold `pumping`.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: its last owner is here, so no call runs; freed once, before its client.
        unsafe { sys::tg_ring_free(self.raw.as_ptr()) }
    }
}

/// Room for results, kept between reaps.
pub(crate) struct Results(Box<[sys::tg_result]>);

// SAFETY: scratch between reaps: what the records point to is only read within a reap.
unsafe impl Send for Results {}

impl Default for Results {
    fn default() -> Self {
        Self(vec![sys::tg_result::default(); BATCH].into_boxed_slice())
    }
}

impl Ring {
    /// A ring for `capacity` requests at once.
    pub(crate) fn open(client: &Arc<Client>, capacity: i32) -> Result<Self, Error> {
        let (mut raw, mut error) = (ptr::null_mut(), sys::tg_error::default());
        let code = {
            let client = client.raw()?;
            // SAFETY: the client lives as long as the ring, which keeps it.
            unsafe {
                sys::tg_ring_open_sized(client, capacity, 0, &mut raw, &mut error, sys::TG_LAYOUT)
            }
        };
        match NonNull::new(raw) {
            Some(raw) if code >= 0 => {
                Ok(Self { raw, client: client.clone(), pumping: Mutex::new(()) })
            }
            _ => Err(text::of_error(code, &error)),
        }
    }

    /// The ring's descriptor, another number for the same one: a poller that has not let go of it
    /// when the ring is freed then polls nothing, and not what took over the number.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        // SAFETY: reads a number of a live ring, whose descriptor is open as long as it lives.
        let descriptor =
            unsafe { BorrowedFd::borrow_raw(sys::tg_ring_fd(self.raw.as_ptr()) as RawFd) };
        descriptor.try_clone_to_owned()
    }

    /// Hands a request over; everything of it is copied. One result with its user_data, which is
    /// below 2^63, will be reaped.
    pub(crate) fn submit(&self, ask: &Ask<'_>, user_data: u64) -> Result<(), Error> {
        self.client.raw()?;
        let user_data = if ask.op == sys::TG_OP_CHECK { user_data | CHECK } else { user_data };
        let taken = with_entries(ask, user_data, |entries| {
            // SAFETY: entries and keys live until the call returns, which copies them.
            let n = entries.len() as i32;
            let taken = unsafe { sys::tg_submit(self.raw.as_ptr(), entries.as_ptr(), n) };
            text::of_entries(taken, entries)
        })?;
        if taken? == 0 {
            return Err(Error::of_code(sys::TG_EFULL));
        }
        Ok(())
    }

    /// Sends what is queued.
    pub(crate) fn flush(&self) {
        let _pumping = self.pumping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.client.raw().is_err() {
            return;
        }
        // SAFETY: nobody else pumps. An error is told by the next reap.
        unsafe { sys::tg_ring_flush(self.raw.as_ptr()) };
    }

    /// Completes the request of that user_data as cancelled, if it is still out.
    pub(crate) fn cancel(&self, user_data: u64) {
        if self.client.raw().is_err() {
            return;
        }
        // SAFETY: takes numbers. How many were out does not matter: each has its one result.
        unsafe {
            sys::tg_cancel(self.raw.as_ptr(), user_data);
            sys::tg_cancel(self.raw.as_ptr(), user_data | CHECK);
        }
    }

    /// Does the I/O and gives each result to `take`; true: there may be more, reap again. Whoever
    /// submits wakes the descriptor only if the last reap was one that `sleeps`.
    pub(crate) fn reap(
        &self,
        results: &mut Results,
        sleeps: bool,
        take: impl FnMut(u64, Result<Answer, Error>),
    ) -> Result<bool, Error> {
        self.pump(results, take, |raw, room, max| {
            // SAFETY: nobody else pumps; there is room for BATCH.
            unsafe {
                if sleeps {
                    sys::tg_reap(raw, room, max)
                } else {
                    sys::tg_ring_wait(raw, room, max, 0)
                }
            }
        })
    }

    /// The same on this thread, which waits for the first result.
    pub(crate) fn wait(
        &self,
        results: &mut Results,
        timeout: Duration,
        take: impl FnMut(u64, Result<Answer, Error>),
    ) -> Result<bool, Error> {
        let timeout_us = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
        self.pump(results, take, |raw, room, max| {
            // SAFETY: nobody else pumps; there is room for BATCH.
            unsafe { sys::tg_ring_wait(raw, room, max, timeout_us) }
        })
    }

    /// `run` gets the ring and room for BATCH results, alone.
    fn pump(
        &self,
        results: &mut Results,
        mut take: impl FnMut(u64, Result<Answer, Error>),
        run: impl FnOnce(*mut sys::tg_ring, *mut sys::tg_result, i32) -> i32,
    ) -> Result<bool, Error> {
        let _pumping = self.pumping.lock().unwrap_or_else(PoisonError::into_inner);
        self.client.raw()?;
        let count = run(self.raw.as_ptr(), results.0.as_mut_ptr(), BATCH as i32);
        let count = check_count(count)?;
        for result in &results.0[..count] {
            let op = if result.user_data & CHECK == 0 { 0 } else { sys::TG_OP_CHECK };
            // SAFETY: reaped just now; the next reap is not before `pumping` is let go.
            take(result.user_data & !CHECK, unsafe { Answer::of(result, op) });
        }
        Ok(count == BATCH)
    }
}
