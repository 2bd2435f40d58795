// SPDX-License-Identifier: MIT
//! How requests are awaited: a line for each runtime, which is a ring, its descriptor in the
//! runtime's poller, and one task that reaps.

mod driver;
mod future;
mod line;
mod pump;

pub(crate) use driver::Driver;
pub use future::{Asking, CheckFuture, CommandFuture, WaitFuture};
