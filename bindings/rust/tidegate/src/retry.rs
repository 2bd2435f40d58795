// SPDX-License-Identifier: MIT
use std::time::Duration;

/// No wait is long enough: the cost is more than the limiter can ever allow at once.
pub const NEVER: Duration = Duration::MAX;

/// When it is worth asking again; see [`Decision::retry`](crate::Decision::retry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It was allowed.
    Now,
    /// After this wait the cost would fit, if nobody else came.
    After(Duration),
    /// The cost is more than the limiter can ever allow at once.
    Never,
    /// Nobody was asked who could know.
    Unknown,
}

impl Retry {
    pub(crate) fn of(retry_after: Option<Duration>) -> Self {
        match retry_after {
            None => Retry::Unknown,
            Some(NEVER) => Retry::Never,
            Some(Duration::ZERO) => Retry::Now,
            Some(wait) => Retry::After(wait),
        }
    }

    /// The wait, where it has an end.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Retry::Now => Some(Duration::ZERO),
            Retry::After(wait) => Some(wait),
            Retry::Never | Retry::Unknown => None,
        }
    }
}
