// SPDX-License-Identifier: MIT
//! A request's head as the attributes that the guard is asked by.

use std::borrow::Cow;
use std::collections::HashSet;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use http::header::{HeaderValue, HOST, ORIGIN};
use http::request::Parts;

use super::answer::Answers;
use super::head::{field, is_preflight, mount, paths, template, REQUESTED_METHOD};
use super::limits::{Limit, Limits, Manner};
use super::passage::Passage;
use super::plan::{one_gate, Guarding};
use crate::attributes::Attributes;
use crate::boundary::place_name;
use crate::decision::{Decision, Verdict};
use crate::error::Error;
use crate::gate::Gate;

/// A question about a request's head.
pub(super) type Ask<T> = Box<dyn Fn(&Parts) -> T + Send + Sync>;
/// One that is awaited.
pub type Finding<'a> = Pin<Box<dyn Future<Output = Attributes> + Send + 'a>>;
pub(super) type Find = Box<dyn for<'a> Fn(&'a Parts) -> Finding<'a> + Send + Sync>;

pub(super) enum Limited {
    Always(Limits),
    By(Ask<Limits>),
}

/// Limits, and whom they count.
pub(super) struct Rule {
    pub(super) limited: Limited,
    /// None: the caller, as the guard knows him.
    pub(super) key: Option<Ask<Option<Vec<u8>>>>,
    /// What tells its limits from those of the rules before it.
    pub(super) tag: String,
}

/// Where a layer stands, which names its limits.
pub(super) enum Stand {
    Named(String),
    /// In front of a router, whose mount it is named by; where there is none, by its numbers.
    Mount,
    /// On routes, each of which is a place.
    Routes(Ask<Option<String>>),
}

pub(super) struct Layer {
    pub(super) gate: Gate,
    pub(super) guarding: Guarding,
    pub(super) rules: Vec<Rule>,
    pub(super) stand: Stand,
    /// Numbers stand behind the name, since there are several limits.
    pub(super) is_several: bool,
    pub(super) manner: Manner,
    pub(super) identity: Option<Ask<Option<Vec<u8>>>>,
    pub(super) tier: Option<Ask<Option<String>>>,
    pub(super) attributes: Option<Ask<Attributes>>,
    pub(super) find: Option<Find>,
    pub(super) peer: Ask<Option<IpAddr>>,
    pub(super) cost: Ask<u64>,
    pub(super) exempt_paths: HashSet<String>,
    pub(super) exempt: Ask<bool>,
    pub(super) answers: Answers,
}

impl Layer {
    /// Checks a request.
    pub(super) async fn check(
        &self,
        head: &mut Parts,
        passage: &Passage,
    ) -> Result<Decision, Error> {
        let is_exempt = self.is_exempt(head);
        let mut said = self.said(head, is_exempt);
        // The guard lets those pass whoever asks: the application's functions are not troubled.
        let is_anybody = is_exempt || is_preflight(head);
        if !is_anybody {
            said.push_some("identity", ask(&self.identity, head).as_deref());
            said.push_some("tier", ask(&self.tier, head).as_deref().map(str::as_bytes));
            if let Some(attributes) = &self.attributes {
                said = said.and_visible(&attributes(head))?;
            }
            if let Some(find) = &self.find {
                said = said.and_visible(&find(head).await)?;
            }
        }
        let gate = self.add_limits(head, is_anybody, &mut said)?;
        let (scope, has_met_policy) = passage.scope(&gate);
        let (guard, meets_policy) = self.guarding.guard(&gate, &self.gate, has_met_policy)?;
        let decision = gate.check_by(Ok(guard), said, scope).await?;
        passage.meet(&gate, &decision, meets_policy);
        let is_news = decision.verdict() == Verdict::Limits && decision.parts().len() > 0;
        if is_news || head.extensions.get::<Decision>().is_none() {
            head.extensions.insert(decision.clone());
        }
        Ok(decision)
    }

    fn is_exempt(&self, head: &Parts) -> bool {
        let (path, within) = paths(head);
        [path, within].iter().any(|path| self.exempt_paths.contains(*path)) || (self.exempt)(head)
    }

    /// What the policy sees, and what the guard works out itself. One path is exempt for all that
    /// there are: a guard takes a few hundred attributes.
    fn said(&self, head: &Parts, is_exempt: bool) -> Attributes {
        let path = paths(head).0;
        let mut said = Attributes::new().method(head.method.as_str()).path(path);
        said.push_some("route", template(head).as_deref().map(str::as_bytes));
        let host = field(head, HOST.as_str()).or_else(|| head.uri.host().map(str::as_bytes));
        said.push_some("host", host);
        said.push_some("@origin", field(head, ORIGIN.as_str()));
        said.push_some("@requested_method", field(head, REQUESTED_METHOD));
        let peer = (self.peer)(head).map(|address| address.to_string());
        said.push_some("@peer", peer.as_deref().map(str::as_bytes));
        let forwarded = head.headers.get_all("x-forwarded-for").iter();
        let forwarded: Vec<_> = forwarded.map(HeaderValue::as_bytes).collect();
        let forwarded = (!forwarded.is_empty()).then(|| forwarded.join(&b','));
        said.push_some("@forwarded_for", forwarded.as_deref());
        said.push_some("@exempt", is_exempt.then_some(path.as_bytes()));
        said
    }

    /// The layer's own limits; on which gate they are.
    fn add_limits(
        &self,
        head: &Parts,
        is_anybody: bool,
        said: &mut Attributes,
    ) -> Result<Gate, Error> {
        if self.rules.is_empty() {
            return Ok(self.gate.clone());
        }
        let (kind, name) = self.name(head)?;
        let cost = (!is_anybody).then(|| (self.cost)(head).to_string());
        let mut gate = None;
        for rule in &self.rules {
            let limits = match &rule.limited {
                Limited::Always(limits) => Cow::Borrowed(limits),
                Limited::By(_) if is_anybody => continue,
                Limited::By(limit) => Cow::Owned(limit(head)),
            };
            one_gate(gate.iter().chain(limits.limiters()))?;
            gate = gate.or_else(|| limits.limiters().next().cloned());
            let key = rule.key.as_ref().filter(|_| !is_anybody);
            let key = key.map(|key| key(head).unwrap_or_default());
            for limit in &limits.0 {
                match limit {
                    Limit::Limiter(limiter) => said.push("@limiter", &limiter.handle.to_ne_bytes()),
                    Limit::Rates(rates) => {
                        said.push("@limit", rates.as_bytes());
                        if let Some(name) = rule.tagged(name.as_deref()) {
                            said.push(kind, name.as_bytes());
                        }
                        said.push("@several", if self.is_several { b"1" } else { b"" });
                        self.manner.say(said);
                    }
                }
                said.push_some("@key", key.as_deref());
                said.push_some("@cost", cost.as_deref().map(str::as_bytes));
            }
        }
        Ok(gate.map_or_else(|| self.gate.clone(), |limiter| limiter.gate().clone()))
    }

    /// Whether the name is given or a place's, and the name; none at the root.
    fn name(&self, head: &Parts) -> Result<(&'static str, Option<String>), Error> {
        let mount = mount(head);
        let template = match &self.stand {
            Stand::Named(name) => return Ok(("@name", Some(name.clone()))),
            Stand::Mount if mount.is_empty() => return Ok(("@place", None)),
            Stand::Mount => return Ok(("@place", Some(place_name(mount, "", Some(""))?))),
            Stand::Routes(template) => template(head),
        };
        let within = template.as_deref().map(|all| all.strip_prefix(mount).unwrap_or(all));
        Ok(("@place", Some(place_name(mount, head.method.as_str(), within)?)))
    }
}

impl Rule {
    fn tagged<'a>(&'a self, name: Option<&'a str>) -> Option<Cow<'a, str>> {
        match (name, self.tag.as_str()) {
            (name, "") => name.map(Cow::Borrowed),
            (None, tag) => Some(tag.into()),
            (Some(name), tag) => Some(format!("{name}.{tag}").into()),
        }
    }
}

impl Manner {
    fn say(self, said: &mut Attributes) {
        let words = [
            ("@algorithm", self.algorithm.map(|word| word.as_str())),
            ("@mode", self.mode.map(|word| word.as_str())),
            ("@on_failure", self.on_failure.map(|word| word.as_str())),
        ];
        if let Some(lease) = self.lease {
            said.push("@lease", format!("{}us", lease.as_micros()).as_bytes());
        }
        for (name, word) in words {
            if let Some(word) = word {
                said.push(name, word.as_bytes());
            }
        }
    }
}

fn ask<T>(question: &Option<Ask<Option<T>>>, head: &Parts) -> Option<T> {
    question.as_ref().and_then(|question| question(head))
}
