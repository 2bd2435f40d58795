// SPDX-License-Identifier: MIT
#![doc = include_str!("../README.md")]
#![deny(unsafe_code, missing_docs, missing_debug_implementations)]
#![warn(unreachable_pub)]

mod attributes;
mod boundary;
mod decision;
mod denied;
mod error;
mod events;
mod figures;
mod gate;
mod http;
mod json;
mod keeper;
mod limiter;
pub mod policy;
mod request;
mod reservation;
mod retry;
#[cfg(feature = "tokio")]
mod ring;
mod slot;
mod source;
mod stats;
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
mod trace;
mod wait;

pub use attributes::{Attributes, Value};
pub use decision::{Decision, PartDecision, Verdict};
pub use denied::Denied;
pub use error::{Detail, Error};
pub use events::{Event, Level};
pub use figures::{MetricsFormat, TopBy};
pub use gate::{Gate, GateBuilder};
pub use http::{caller_key, Callers, HeaderStyles};
pub use limiter::{Algorithm, Limiter, LimiterBuilder, LimiterChange, Mode, OnFailure, Rate};
pub use request::{Check, Command, Part};
pub use reservation::{Reservation, Reserve, Settle, Settled};
pub use retry::{Retry, NEVER};
#[cfg(feature = "tokio")]
pub use ring::{Asking, CheckFuture, CommandFuture, WaitFuture};
pub use slot::{Release, Slot, SlotRequest};
pub use source::Source;
pub use stats::Stats;
pub use wait::Wait;

/// The options of a gate, one a line: name, type, range, default and meaning, separated by tabs.
pub fn options() -> String {
    boundary::options_table()
}
