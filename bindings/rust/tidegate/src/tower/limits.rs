// SPDX-License-Identifier: MIT
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::names;
use crate::error::Error;
use crate::gate::Gate;
use crate::limiter::{Algorithm, Limiter, LimiterBuilder, Mode, OnFailure};

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
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Manner {
    pub(super) algorithm: Option<Algorithm>,
    pub(super) mode: Option<Mode>,
    pub(super) on_failure: Option<OnFailure>,
}

impl Manner {
    fn wish<'a>(&self, gate: &'a Gate, rates: &'a str) -> LimiterBuilder<'a> {
        let mut wish = gate.limiter(rates);
        if let Some(algorithm) = self.algorithm {
            wish = wish.algorithm(algorithm);
        }
        if let Some(mode) = self.mode {
            wish = wish.mode(mode);
        }
        if let Some(policy) = self.on_failure {
            wish = wish.on_failure(policy);
        }
        wish
    }
}

/// What rates are called by their numbers: `100-per-60s`. Asked of a gate of its own, since on
/// anybody else's that name may be taken by another algorithm or mode.
fn numbers(rates: &str, manner: &Manner) -> Result<String, Error> {
    let gate = Gate::connect("memory://")?;
    let limiter = manner.wish(&gate, rates).open()?;
    Ok(limiter.name().to_owned())
}

/// Whether a limit's numbers stand behind its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Numbers {
    /// There is one limit of that name.
    Never,
    /// Where the name alone is taken by other numbers.
    IfTaken,
    /// There may be several.
    Always,
}

/// The name of a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) numbers: Numbers,
}

impl Place {
    /// The same place, of the rule with this tag.
    pub(super) fn tagged(&self, tag: &str) -> Self {
        let name = if tag.is_empty() { self.name.clone() } else { names::with(&self.name, tag) };
        Self { name, ..*self }
    }
}

/// Opens limiters for rates, each once.
pub(super) struct Opener {
    pub(super) gate: Gate,
    pub(super) manner: Manner,
    opened: RwLock<HashMap<(String, Place), Limiter>>,
}

impl Opener {
    pub(super) fn new(gate: Gate, manner: Manner) -> Self {
        Self { gate, manner, opened: RwLock::default() }
    }

    pub(super) fn open(&self, limits: &Limits, place: &Place) -> Result<Vec<Limiter>, Error> {
        let one = |limit: &Limit| match limit {
            Limit::Limiter(limiter) => Ok(limiter.clone()),
            Limit::Rates(rates) => self.limiter(rates, place),
        };
        limits.0.iter().map(one).collect()
    }

    fn limiter(&self, rates: &str, place: &Place) -> Result<Limiter, Error> {
        let what = (rates.to_owned(), place.clone());
        let known = self.opened.read().unwrap_or_else(PoisonError::into_inner).get(&what).cloned();
        if let Some(limiter) = known {
            return Ok(limiter);
        }
        let limiter = self.open_new(rates, place)?;
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.insert(what, limiter.clone());
        Ok(limiter)
    }

    fn open_new(&self, rates: &str, place: &Place) -> Result<Limiter, Error> {
        let open = |name: &str| self.manner.wish(&self.gate, rates).name(name).open();
        if place.numbers != Numbers::Always {
            let opened = open(&place.name);
            let is_taken = matches!(opened, Err(Error::Conflict(_)));
            if place.numbers == Numbers::Never || !is_taken {
                return opened;
            }
        }
        open(&names::with(&place.name, &self.numbers(rates)?))
    }

    pub(super) fn numbers(&self, rates: &str) -> Result<String, Error> {
        numbers(rates, &self.manner)
    }
}
