// SPDX-License-Identifier: MIT
//! What will run, worked out and opened when a layer is built: what could not work at a request is
//! said then.

use std::collections::HashSet;

use tidegate_sys as sys;

use super::builder::Identity;
use super::check::{one_gate, Ask, Limited, Rule, Stand};
use super::limits::{Limit, Manner, Numbers, Opener, Place};
use super::names;
use crate::error::Error;
use crate::gate::Gate;

pub(super) struct Wish {
    pub(super) rules: Vec<(Limited, Identity)>,
    pub(super) name: Option<String>,
    pub(super) template: Option<Ask<Option<String>>>,
    pub(super) manner: Manner,
    pub(super) store: Option<Gate>,
    pub(super) url: Option<String>,
}

pub(super) struct Plan {
    pub(super) rules: Vec<Rule>,
    pub(super) opener: Opener,
    pub(super) stand: Stand,
    pub(super) known: Place,
}

pub(super) fn make(wish: Wish) -> Result<Plan, Error> {
    let count = check_shape(&wish)?;
    let gate = match &wish.store {
        Some(gate) => gate.clone(),
        None => match first_limiters_gate(&wish.rules) {
            Some(gate) if wish.url.is_none() => gate,
            _ => Gate::shared(wish.url.as_deref())?,
        },
    };
    let opener = Opener::new(gate, wish.manner);
    let is_one = count == Some(1);
    let (stand, known) = match (wish.name, wish.template) {
        (Some(name), _) => {
            let numbers = if is_one { Numbers::Never } else { Numbers::Always };
            (Stand::Named, Place { name, numbers })
        }
        (None, Some(template)) => {
            let numbers = if is_one { Numbers::IfTaken } else { Numbers::Always };
            let limit = if is_one { description(&wish.rules, &opener)? } else { None };
            let name = names::UNMATCHED.to_owned();
            (Stand::Routes { template, limit }, Place { name, numbers })
        }
        // A layer does not see what else stands in front of the same router.
        (None, None) => {
            (Stand::Mount, Place { name: names::of_mount(""), numbers: Numbers::Always })
        }
    };
    let tags = tags(&wish.rules, &opener)?;
    let mut rules = Vec::with_capacity(wish.rules.len());
    for ((limited, key), tag) in wish.rules.into_iter().zip(tags) {
        let fixed = match &limited {
            Limited::Always(limits) => opener.open(limits, &known.tagged(&tag))?,
            Limited::By(_) => Vec::new(),
        };
        rules.push(Rule { limited, key, tag, fixed });
    }
    if wish.store.is_some() || wish.url.is_some() {
        let of_the_store = |limiter: &crate::Limiter| limiter.gate().is_same(&opener.gate);
        if let Some(other) = rules.iter().flat_map(|r| &r.fixed).find(|l| !of_the_store(l)) {
            let message = format!(
                "the limiter {:?} is of another gate than the layer: expected one of its store",
                other.name()
            );
            return Err(Error::new(sys::TG_EHANDLE, message, None));
        }
    }
    one_gate(rules.iter().flat_map(|rule| &rule.fixed))?;
    Ok(Plan { rules, opener, stand, known })
}

/// How many limits there are, if that is known before there are requests.
fn check_shape(wish: &Wish) -> Result<Option<usize>, Error> {
    let refuse = |code, message: String| Err(Error::new(code, message, None));
    if let (Some(name), Some(_)) = (&wish.name, &wish.template) {
        let message = format!(
            "name {name:?} and per_route: expected one of them, since a limit that has a name is \
             one limit on every route"
        );
        return refuse(sys::TG_EINVAL, message);
    }
    let mut count = Some(0);
    let mut least = 0;
    for (limited, _) in &wish.rules {
        match limited {
            Limited::Always(limits) if limits.0.is_empty() => {
                return refuse(sys::TG_EINVAL, "no limits: expected at least one".to_owned());
            }
            Limited::Always(limits) => {
                least += limits.0.len();
                count = count.map(|count: usize| count + limits.0.len());
            }
            Limited::By(_) => count = None,
        }
    }
    if least > sys::TG_MAX_PARTS {
        let message = format!("{least} limits: expected at most {}", sys::TG_MAX_PARTS);
        return refuse(sys::TG_EINVAL, message);
    }
    Ok(count)
}

fn first_limiters_gate(rules: &[(Limited, Identity)]) -> Option<Gate> {
    rules.iter().find_map(|(limited, _)| match limited {
        Limited::By(_) => None,
        Limited::Always(limits) => limits.0.iter().find_map(|limit| match limit {
            Limit::Rates(_) => None,
            Limit::Limiter(limiter) => Some(limiter.gate().clone()),
        }),
    })
}

fn rates(limited: &Limited) -> impl Iterator<Item = &str> {
    let limits = match limited {
        Limited::Always(limits) => limits.0.as_slice(),
        Limited::By(_) => &[],
    };
    limits.iter().filter_map(|limit| match limit {
        Limit::Rates(rates) => Some(rates.as_str()),
        Limit::Limiter(_) => None,
    })
}

/// The one limit there is, as a text that another limit does not have. None: it has a name.
fn description(rules: &[(Limited, Identity)], opener: &Opener) -> Result<Option<String>, Error> {
    let Some(rates) = rules.iter().flat_map(|(limited, _)| rates(limited)).next() else {
        return Ok(None);
    };
    Ok(Some(format!("{} {:?}", opener.numbers(rates)?, opener.manner)))
}

/// A tag for each rule. Rules count other callers, so equal numbers of two rules may not become one
/// limit: a key of the one could be a key of the other.
fn tags(rules: &[(Limited, Identity)], opener: &Opener) -> Result<Vec<String>, Error> {
    let mut seen = HashSet::new();
    let mut are_known = true;
    let mut tags = Vec::with_capacity(rules.len());
    for (index, (limited, _)) in rules.iter().enumerate() {
        let numbers: Result<HashSet<_>, _> = rates(limited).map(|r| opener.numbers(r)).collect();
        let numbers = numbers?;
        let is_another = are_known && numbers.is_disjoint(&seen);
        are_known &= matches!(limited, Limited::Always(_));
        seen.extend(numbers);
        tags.push(if is_another { String::new() } else { (index + 1).to_string() });
    }
    Ok(tags)
}
