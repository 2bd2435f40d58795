// SPDX-License-Identifier: MIT
//! What will run, worked out when a layer is built: what could not work at a request is said then.

use std::collections::HashSet;

use tidegate_sys as sys;

use super::ask::{Limited, Rule, Stand};
use super::limits::{Limit, Limits, Manner};
use crate::error::Error;
use crate::gate::Gate;
use crate::limiter::Limiter;
use crate::policy::{Document, GuardOptions, OwnGuard};

/// Whose policy a layer goes by.
pub(super) enum Guarding {
    Own(OwnGuard),
    /// The gate's, which a request meets once.
    Gates(GuardOptions, Pair),
}

/// The guard of a gate's policy, and one for requests that have met it.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    policy: u64,
    bare: u64,
}

impl Pair {
    fn of(gate: &Gate, how: &GuardOptions) -> Result<Self, Error> {
        let (guards, client) = (&gate.inner.guards, &gate.inner.client);
        let bare = GuardOptions { is_bare: true, ..how.clone() };
        Ok(Self { policy: guards.of(client, how)?, bare: guards.of(client, &bare)? })
    }
}

impl Guarding {
    pub(super) fn new(
        gate: &Gate,
        policy: Option<&Document>,
        how: GuardOptions,
    ) -> Result<Self, Error> {
        match policy {
            Some(document) => OwnGuard::open(&gate.inner.client, document, &how).map(Self::Own),
            None => Pair::of(gate, &how).map(|pair| Self::Gates(how, pair)),
        }
    }

    /// The guard on a gate, the layer's `own` or another, and whether it is that of the gate's
    /// policy.
    pub(super) fn guard(
        &self,
        gate: &Gate,
        own: &Gate,
        has_met_policy: bool,
    ) -> Result<(u64, bool), Error> {
        let pair = match self {
            Self::Own(guard) => return one_store(own, gate).map(|()| (guard.handle, false)),
            Self::Gates(_, pair) if own.is_same(gate) => *pair,
            Self::Gates(how, _) => Pair::of(gate, how)?,
        };
        let guard = if has_met_policy { pair.bare } else { pair.policy };
        Ok((guard, !has_met_policy))
    }
}

fn one_store(own: &Gate, gate: &Gate) -> Result<(), Error> {
    if own.is_same(gate) {
        return Ok(());
    }
    let message = "a layer's policy is of its store, and its limits are of another: expected one";
    Err(Error::new(sys::TG_EHANDLE, message.into(), None))
}

/// Limits that are one check are of one gate.
pub(super) fn one_gate<'a>(limiters: impl IntoIterator<Item = &'a Limiter>) -> Result<(), Error> {
    let mut limiters = limiters.into_iter();
    let Some(first) = limiters.next() else { return Ok(()) };
    let Some(other) = limiters.find(|other| !other.gate().is_same(first.gate())) else {
        return Ok(());
    };
    let message = format!(
        "the limiter {:?} is of another gate than {:?}: expected limits of one gate in one layer",
        other.name(),
        first.name()
    );
    Err(Error::new(sys::TG_EHANDLE, message, None))
}

/// Checks the rules, gives each its tag, and opens the limiter of a name that is given. Whether
/// there are several limits.
pub(super) fn settle(
    rules: &mut [Rule],
    stand: &Stand,
    manner: Manner,
    gate: &Gate,
    is_gate_given: bool,
) -> Result<bool, Error> {
    let count = count(rules)?;
    let name = if let Stand::Named(name) = stand { name } else { "" };
    tag(rules, manner, name)?;
    if count == Some(1) && !name.is_empty() {
        open_named(&mut rules[0].limited, manner, gate, name)?;
    }
    let limiters = || rules.iter().flat_map(|rule| rule.limited.limiters());
    one_gate(limiters())?;
    if let Some(other) = limiters().find(|one| is_gate_given && !one.gate().is_same(gate)) {
        let name = other.name();
        let message =
            format!("the limiter {name:?} is of another gate than the layer: expected its store's");
        return Err(Error::new(sys::TG_EHANDLE, message, None));
    }
    Ok(count != Some(1))
}

fn open_named(limited: &mut Limited, manner: Manner, gate: &Gate, name: &str) -> Result<(), Error> {
    let Limited::Always(limits) = limited else { return Ok(()) };
    for limit in &mut limits.0 {
        if let Limit::Rates(rates) = limit {
            *limit = Limit::Limiter(manner.open(gate, rates, name)?);
        }
    }
    Ok(())
}

/// How many limits there are, if that is known before there are requests.
fn count(rules: &[Rule]) -> Result<Option<usize>, Error> {
    let refuse = |message: String| Err(Error::new(sys::TG_EINVAL, message, None));
    let mut count = Some(0);
    let mut least = 0;
    for rule in rules {
        match &rule.limited {
            Limited::Always(limits) if limits.0.is_empty() => {
                return refuse("no limits: expected at least one".to_owned());
            }
            Limited::Always(limits) => {
                least += limits.0.len();
                count = count.map(|count: usize| count + limits.0.len());
            }
            Limited::By(_) => count = None,
        }
    }
    if least > sys::TG_MAX_PARTS {
        return refuse(format!("{least} limits: expected at most {}", sys::TG_MAX_PARTS));
    }
    Ok(count)
}

/// A tag for each rule. Rules count other callers, so equal numbers of two rules may not become one
/// limit: a key of the one could be a key of the other.
fn tag(rules: &mut [Rule], manner: Manner, name: &str) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let mut are_known = true;
    for (index, rule) in rules.iter_mut().enumerate() {
        let numbers = rule.limited.rates().map(|rates| manner.numbers(rates, name));
        let numbers = numbers.collect::<Result<HashSet<_>, _>>()?;
        if !are_known || !numbers.is_disjoint(&seen) {
            rule.tag = (index + 1).to_string();
        }
        are_known &= matches!(rule.limited, Limited::Always(_));
        seen.extend(numbers);
    }
    Ok(())
}

impl Limits {
    pub(super) fn limiters(&self) -> impl Iterator<Item = &Limiter> {
        self.0.iter().filter_map(|limit| match limit {
            Limit::Rates(_) => None,
            Limit::Limiter(limiter) => Some(limiter),
        })
    }
}

impl Limited {
    fn always(&self) -> &[Limit] {
        match self {
            Limited::Always(limits) => &limits.0,
            Limited::By(_) => &[],
        }
    }

    fn rates(&self) -> impl Iterator<Item = &str> {
        self.always().iter().filter_map(|limit| match limit {
            Limit::Rates(rates) => Some(rates.as_str()),
            Limit::Limiter(_) => None,
        })
    }

    pub(super) fn limiters(&self) -> impl Iterator<Item = &Limiter> {
        self.always().iter().filter_map(|limit| match limit {
            Limit::Rates(_) => None,
            Limit::Limiter(limiter) => Some(limiter),
        })
    }
}
