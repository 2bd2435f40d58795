// SPDX-License-Identifier: MIT
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

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
#[derive(Clone, Default)]
pub(super) struct Manner {
    pub(super) name: Option<String>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) mode: Option<Mode>,
    pub(super) on_failure: Option<OnFailure>,
}

/// Opens limiters for rates, each once.
pub(super) struct Opener {
    pub(super) gate: Gate,
    pub(super) manner: Manner,
    opened: RwLock<HashMap<(String, Option<String>), Limiter>>,
}

impl Opener {
    pub(super) fn new(gate: Gate, manner: Manner) -> Self {
        Self { gate, manner, opened: RwLock::default() }
    }

    pub(super) fn open(&self, limits: &Limits) -> Result<Vec<Limiter>, Error> {
        self.open_as(limits, self.manner.name.as_deref())
    }

    pub(super) fn open_as(
        &self,
        limits: &Limits,
        name: Option<&str>,
    ) -> Result<Vec<Limiter>, Error> {
        let one = |limit: &Limit| match limit {
            Limit::Limiter(limiter) => Ok(limiter.clone()),
            Limit::Rates(rates) => self.limiter(rates, name),
        };
        limits.0.iter().map(one).collect()
    }

    fn limiter(&self, rates: &str, name: Option<&str>) -> Result<Limiter, Error> {
        let what = (rates.to_owned(), name.map(str::to_owned));
        let known = self.opened.read().unwrap_or_else(PoisonError::into_inner).get(&what).cloned();
        if let Some(limiter) = known {
            return Ok(limiter);
        }
        let mut wish = self.gate.limiter(rates);
        if let Some(name) = name {
            wish = wish.name(name);
        }
        if let Some(algorithm) = self.manner.algorithm {
            wish = wish.algorithm(algorithm);
        }
        if let Some(mode) = self.manner.mode {
            wish = wish.mode(mode);
        }
        if let Some(policy) = self.manner.on_failure {
            wish = wish.on_failure(policy);
        }
        let limiter = wish.open()?;
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.insert(what, limiter.clone());
        Ok(limiter)
    }
}
