// SPDX-License-Identifier: MIT
//! A ring in two halves: whoever has a `Submitter` may submit and cancel from any thread, and the
//! one `Reaper` reaps.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_sys as sys;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

use super::answer::{with_entries, Answer, Ask};
use super::client::{check_count, Client};
use super::text;
use crate::error::Error;

/// Results taken by one reap.
const BATCH: usize = 256;

struct Ring {
    raw: NonNull<sys::tg_ring>,
    client: Arc<Client>, // freed after the ring
    pumping: Mutex<()>,  // reap and flush: one at a time
}

// SAFETY: submit and cancel may be called from any thread; reaping is the one Reaper's.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Drop for Ring {
    fn drop(&mut self) {
        let (_inside, _) = self.client.enter();
        // SAFETY: both halves are gone, so no call runs; freed once, before its client.
        unsafe { sys::tg_ring_free(self.raw.as_ptr()) }
    }
}

/// What became of a submitted request.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// One result with its user_data will be reaped.
    Yes,
    /// The ring is full; nothing happened.
    Full,
}

#[derive(Clone)]
pub(crate) struct Submitter(Arc<Ring>);

pub(crate) struct Reaper {
    ring: Arc<Ring>,
    results: Box<[sys::tg_result]>,
}

// SAFETY: the results are scratch between reaps: what they point to is only read within reap.
unsafe impl Send for Reaper {}

/// A ring for `capacity` requests at once.
pub(crate) fn open(client: &Arc<Client>, capacity: i32) -> Result<(Submitter, Reaper), Error> {
    let (mut raw, mut error) = (ptr::null_mut(), sys::tg_error::default());
    let code = {
        let (_inside, client) = client.enter();
        // SAFETY: the client lives as long as the ring, which keeps it.
        unsafe {
            sys::tg_ring_open_sized(client, capacity, 0, &mut raw, &mut error, sys::TG_LAYOUT)
        }
    };
    match NonNull::new(raw) {
        Some(raw) if code >= 0 => {
            let ring = Arc::new(Ring { raw, client: client.clone(), pumping: Mutex::new(()) });
            let results = vec![sys::tg_result::default(); BATCH].into_boxed_slice();
            Ok((Submitter(ring.clone()), Reaper { ring, results }))
        }
        _ => Err(text::of_error(code, &error)),
    }
}

impl Submitter {
    /// Hands a request over; everything of it is copied.
    pub(crate) fn submit(&self, ask: &Ask<'_>, user_data: u64) -> Result<Taken, Error> {
        let (_inside, _) = self.0.client.enter();
        let taken = with_entries(ask, user_data, |entries| {
            // SAFETY: entries and keys live until the call returns, which copies them.
            unsafe { sys::tg_submit(self.0.raw.as_ptr(), entries.as_ptr(), entries.len() as i32) }
        })?;
        Ok(if check_count(taken)? == 0 { Taken::Full } else { Taken::Yes })
    }

    /// Sends what is queued.
    pub(crate) fn flush(&self) {
        let _pumping = self.0.pumping.lock().unwrap_or_else(PoisonError::into_inner);
        let (_inside, _) = self.0.client.enter();
        // SAFETY: nobody else pumps. An error is told by the next reap.
        unsafe { sys::tg_ring_flush(self.0.raw.as_ptr()) };
    }

    /// Completes the request of that user_data as cancelled, if it is still out.
    pub(crate) fn cancel(&self, user_data: u64) {
        let (_inside, _) = self.0.client.enter();
        // SAFETY: takes a number. How many were out does not matter: each has its one result.
        unsafe { sys::tg_cancel(self.0.raw.as_ptr(), user_data) };
    }
}

impl Reaper {
    /// Does the I/O and gives each result to `take`; true: there may be more, reap again. Whoever
    /// submits wakes the descriptor only if the last reap was one that `sleeps`.
    pub(crate) fn reap(
        &mut self,
        sleeps: bool,
        mut take: impl FnMut(u64, Result<Answer, Error>),
    ) -> Result<bool, Error> {
        let ring = self.ring.clone();
        let _pumping = ring.pumping.lock().unwrap_or_else(PoisonError::into_inner);
        let (_inside, _) = ring.client.enter();
        let (raw, results, max) = (ring.raw.as_ptr(), self.results.as_mut_ptr(), BATCH as i32);
        // SAFETY: `&mut self` of the only Reaper: nobody else reaps; there is room for BATCH.
        let count = unsafe {
            if sleeps {
                sys::tg_reap(raw, results, max)
            } else {
                sys::tg_ring_wait(raw, results, max, 0)
            }
        };
        let count = check_count(count)?;
        for result in &self.results[..count] {
            // SAFETY: reaped just now; the next reap is not before this returns.
            take(result.user_data, unsafe { Answer::of(result) });
        }
        Ok(count == BATCH)
    }
}

/// Puts the ring's descriptor into the poller of the runtime that this is called in.
pub(crate) fn watch(reaper: Reaper) -> io::Result<AsyncFd<Reaper>> {
    // SAFETY: the reaper keeps its ring, whose descriptor stays the same and open as long.
    let watched = unsafe { AsyncFd::register_with_interest(reaper, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

impl AsRawFd for Reaper {
    fn as_raw_fd(&self) -> RawFd {
        // SAFETY: reads a number of a live ring.
        unsafe { sys::tg_ring_fd(self.ring.raw.as_ptr()) as RawFd }
    }
}
