// SPDX-License-Identifier: MIT
#![doc = include_str!("../README.md")]
#![deny(unsafe_code, missing_docs)]
#![warn(unreachable_pub)]

mod boundary;
mod decision;
#[cfg(feature = "tokio")]
mod driver;
mod error;
mod events;
#[cfg(feature = "tokio")]
mod future;
mod gate;
mod http;
mod limiter;
mod request;
mod stats;
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
mod wait;

pub use decision::{Decision, PartDecision, Source, NEVER};
pub use error::{Detail, Error};
pub use events::{Event, Level};
#[cfg(feature = "tokio")]
pub use future::{CheckFuture, CommandFuture, WaitFuture};
pub use gate::{Gate, GateBuilder};
pub use http::{caller_key, Callers, HeaderStyles};
pub use limiter::{Algorithm, Limiter, LimiterBuilder, LimiterChange, Mode, OnFailure, Rate};
pub use request::{Check, Command, Part};
pub use stats::Stats;
pub use wait::Wait;

/// The options of a gate, one a line: name, type, range, default and meaning, separated by tabs.
pub fn options() -> String {
    boundary::options_table()
}
