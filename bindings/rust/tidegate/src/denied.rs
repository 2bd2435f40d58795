// SPDX-License-Identifier: MIT
use std::fmt;

use crate::decision::Decision;
use crate::retry::Retry;

/// A denied decision as an error; see [`Decision::into_result`].
#[derive(Clone, Debug)]
pub struct Denied(Box<Decision>);

impl Denied {
    pub(crate) fn new(decision: Decision) -> Self {
        Self(Box::new(decision))
    }

    /// The decision.
    pub fn decision(&self) -> &Decision {
        &self.0
    }

    /// The decision, owned.
    pub fn into_decision(self) -> Decision {
        *self.0
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied by the limit {:?}", self.0.name())?;
        match self.0.retry() {
            Retry::After(wait) => write!(f, ": try again in {wait:?}"),
            Retry::Never => f.write_str(": it costs more than the limit ever allows at once"),
            Retry::Now | Retry::Unknown => Ok(()),
        }
    }
}

impl std::error::Error for Denied {}
