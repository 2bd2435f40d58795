// SPDX-License-Identifier: MIT
//! `tg_client_close` must run while no other call does; callers of a `Gate` owe nobody such care.
//! Calls count themselves in and out, each thread on a cache line of its own where it can, and
//! closing waits until everybody is out.

use std::cell::Cell;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

const STRIPES: usize = 16;
const OPEN: usize = 0;
const CLOSING: usize = 1;
const CLOSED: usize = 2;

#[derive(Default)]
#[repr(align(64))]
struct Stripe(AtomicUsize);

pub(super) struct Turnstile {
    stripes: [Stripe; STRIPES],
    state: AtomicUsize,
    process: u32,
}

/// Somebody inside.
pub(super) struct Inside<'a>(&'a AtomicUsize);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn stripe_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, SeqCst) % STRIPES));
    MINE.try_with(Cell::get).unwrap_or(0)
}

impl Turnstile {
    pub(super) fn new() -> Self {
        Self { stripes: Default::default(), state: AtomicUsize::new(OPEN), process: process::id() }
    }

    /// A child of fork(): whoever was inside did not come along.
    pub(super) fn is_forked(&self) -> bool {
        process::id() != self.process
    }

    /// Counts the caller in; after `close` too, since the library answers late calls itself.
    pub(super) fn enter(&self) -> Inside<'_> {
        let count = &self.stripes[stripe_of_this_thread()].0;
        loop {
            // SeqCst on both sides: either `close` sees this count, or this sees CLOSING.
            count.fetch_add(1, SeqCst);
            let inside = Inside(count);
            if self.state.load(SeqCst) != CLOSING || self.is_forked() {
                return inside;
            }
            drop(inside);
            thread::yield_now();
        }
    }

    /// Runs `shut` when nobody is inside; None if somebody closed before.
    pub(super) fn close<T>(&self, shut: impl FnOnce() -> T) -> Option<T> {
        if self.is_forked() {
            return Some(shut());
        }
        self.state.compare_exchange(OPEN, CLOSING, SeqCst, SeqCst).ok()?;
        while self.stripes.iter().any(|stripe| stripe.0.load(SeqCst) != 0) {
            thread::yield_now();
        }
        let result = shut();
        self.state.store(CLOSED, SeqCst);
        Some(result)
    }
}
