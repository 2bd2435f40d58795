// SPDX-License-Identifier: MIT
//! For tests of what uses tidegate: a clock that is turned by hand, and decisions made up.

mod clock;

pub use clock::FakeClock;

use std::time::Duration;

use tidegate_sys as sys;

use crate::boundary::{Answer, Few};
use crate::decision::Decision;
use crate::error::Error;
use crate::limiter::Limiter;
use crate::retry::NEVER;
use crate::source::Source;

/// The figures of a made-up part; see [`decision`]. [`NEVER`] for a wait that is never over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Whether this part fits.
    pub allowed: bool,
    /// Whether it is a shadow limiter's.
    pub shadow: bool,
    /// Tokens that could be spent now.
    pub remaining: u64,
    /// The wait until the cost would fit.
    pub retry_after: Duration,
    /// The wait until more remains.
    pub next_after: Duration,
    /// The wait until nothing of the past is left.
    pub reset_after: Duration,
}

/// A decision as if `source` had made it about these limiters (of one gate, of one rate each):
/// what a handler of refusals makes of it can be tested without provoking one. `binding` is the
/// index of the part that speaks for the request.
pub fn decision(
    allowed: bool,
    source: Source,
    binding: usize,
    parts: &[(&Limiter, Figures)],
) -> Result<Decision, Error> {
    let Some((first, _)) = parts.get(binding) else {
        let message = format!("binding {binding} of {} parts: expected one of them", parts.len());
        return Err(Error::new(sys::TG_EINVAL, message, None));
    };
    let records: Result<Vec<_>, _> =
        parts.iter().map(|(limiter, of)| record(limiter, of)).collect();
    let answer = Answer {
        flags: if allowed { sys::TG_ALLOWED } else { 0 } | source.flags(),
        binding: binding as u32,
        parts: Few::Many(records?.into()),
        told: None,
    };
    Ok(Decision::new(first.gate.inner.client.clone(), answer))
}

fn record(limiter: &Limiter, figures: &Figures) -> Result<sys::tg_part, Error> {
    let rate = limiter.rates()?[0];
    let flags = if figures.allowed { sys::TG_ALLOWED } else { 0 }
        | if figures.shadow { sys::TG_SHADOW } else { 0 };
    Ok(sys::tg_part {
        handle: limiter.handle,
        flags,
        limit: rate.limit as i64,
        remaining: figures.remaining as i64,
        retry_after_us: micros(figures.retry_after),
        next_us: micros(figures.next_after),
        reset_after_us: micros(figures.reset_after),
        window_us: micros(rate.window),
        capacity: rate.capacity as i64,
        ..Default::default()
    })
}

fn micros(figure: Duration) -> i64 {
    if figure == NEVER {
        return sys::TG_NEVER;
    }
    i64::try_from(figure.as_micros()).unwrap_or(i64::MAX)
}
