// SPDX-License-Identifier: MIT
use std::time::Duration;

use crate::error::Error;
use crate::gate::Gate;
use crate::limiter::{Algorithm, Limiter, Mode, OnFailure};

/// One or several limits, as rates or as limiters.
#[derive(Clone, Debug)]
pub struct Limits(pub(super) Vec<Limit>);

#[derive(Clone, Debug)]
pub(super) enum Limit {
    Rates(String),
    Limiter(Limiter),
}

impl From<&str> for Limits {
    fn from(rates: &str) -> Self {
        Self(vec![Limit::Rates(rates.to_owned())])
    }
}

impl From<String> for Limits {
    fn from(rates: String) -> Self {
        Self(vec![Limit::Rates(rates)])
    }
}

impl From<Limiter> for Limits {
    fn from(limiter: Limiter) -> Self {
        Self(vec![Limit::Limiter(limiter)])
    }
}

impl From<&Limiter> for Limits {
    fn from(limiter: &Limiter) -> Self {
        limiter.clone().into()
    }
}

impl<T: Into<Limits>> From<Vec<T>> for Limits {
    fn from(several: Vec<T>) -> Self {
        Self(several.into_iter().flat_map(|limits| limits.into().0).collect())
    }
}

impl<T: Into<Limits>, const N: usize> From<[T; N]> for Limits {
    fn from(several: [T; N]) -> Self {
        Self(several.into_iter().flat_map(|limits| limits.into().0).collect())
    }
}

/// How rates become limiters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Manner {
    pub(super) algorithm: Option<Algorithm>,
    pub(super) mode: Option<Mode>,
    pub(super) on_failure: Option<OnFailure>,
    pub(super) lease: Option<Duration>,
}

impl Manner {
    pub(super) fn open(self, gate: &Gate, rates: &str, name: &str) -> Result<Limiter, Error> {
        let mut wish = gate.limiter(rates).name(name);
        if let Some(algorithm) = self.algorithm {
            wish = wish.algorithm(algorithm);
        }
        if let Some(mode) = self.mode {
            wish = wish.mode(mode);
        }
        if let Some(policy) = self.on_failure {
            wish = wish.on_failure(policy);
        }
        if let Some(lease) = self.lease {
            wish = wish.lease(lease);
        }
        wish.open()
    }

    /// What rates are called by their numbers: `100-per-60s`; or what is wrong with them, or with a
    /// name. Asked of a gate of its own, where nobody else has a name.
    pub(super) fn numbers(self, rates: &str, name: &str) -> Result<String, Error> {
        self.open(&Gate::connect("memory://")?, rates, name)?;
        Ok(self.open(&Gate::connect("memory://")?, rates, "")?.name().to_owned())
    }
}
