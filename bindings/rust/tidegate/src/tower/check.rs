// SPDX-License-Identifier: MIT
//! What a request is charged before the service behind sees it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use http::header::ORIGIN;
use http::request::Parts;
use http::Method;
use tidegate_sys as sys;

use super::answer::Answers;
use super::limits::{Limits, Numbers, Opener, Place};
use super::names;
use crate::decision::Decision;
use crate::error::Error;
use crate::http::Callers;
use crate::limiter::Limiter;
use crate::request::Part;

/// A question about a request's head.
pub(super) type Ask<T> = Box<dyn Fn(&Parts) -> T + Send + Sync>;

pub(super) enum Limited {
    Always(Limits),
    By(Ask<Limits>),
}

/// Limits, and whom they count.
pub(super) struct Rule {
    pub(super) limited: Limited,
    pub(super) key: Ask<Option<Vec<u8>>>,
    /// What tells its limits from those of the rules before it.
    pub(super) tag: String,
    /// Its limiters where nothing else is known than when the layer was built.
    pub(super) fixed: Vec<Limiter>,
}

/// Where a layer stands.
pub(super) enum Stand {
    /// Wherever: it has a name.
    Named,
    /// In front of a router, whose mount it is named by.
    Mount,
    /// On routes, each of which is a place. The text is what its limit is, where it has one.
    Routes { template: Ask<Option<String>>, limit: Option<String> },
}

pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) opener: Opener,
    pub(super) stand: Stand,
    /// The place where nothing else is known.
    pub(super) known: Place,
    pub(super) callers: Callers,
    pub(super) peer: Ask<Option<IpAddr>>,
    pub(super) cost: Ask<u64>,
    pub(super) exempt_paths: HashSet<String>,
    pub(super) exempt: Ask<bool>,
    pub(super) answers: Answers,
}

/// What layers of ours have done with this request already.
#[derive(Clone, Default)]
struct Met {
    charged: Vec<(Limiter, Vec<u8>)>,
    /// Names of routes, and the limit that has the name.
    taken: Vec<(String, String)>,
}

impl Met {
    fn has_charged(&self, limiter: &Limiter, key: &[u8]) -> bool {
        self.charged.iter().any(|(charged, of)| charged.is_same(limiter) && of == key)
    }

    /// Whether the name of a route is another limit's, told by a layer further out: the inner one
    /// then has its numbers behind the name, in every process, whichever request comes first.
    fn take(&mut self, name: &str, limit: &str) -> bool {
        if let Some((_, other)) = self.taken.iter().find(|(taken, _)| taken == name) {
            return other != limit;
        }
        self.taken.push((name.to_owned(), limit.to_owned()));
        false
    }
}

impl Rules {
    fn is_exempt(&self, head: &Parts) -> bool {
        is_preflight(head) || self.exempt_paths.contains(head.uri.path()) || (self.exempt)(head)
    }

    /// The place that this request shows, if it shows more than was known.
    fn place(&self, head: &Parts, met: &mut Met) -> Option<Place> {
        let numbers = self.known.numbers;
        match &self.stand {
            Stand::Named => None,
            Stand::Mount => match names::mount(head) {
                "" => None,
                mount => Some(Place { name: names::of_mount(mount), numbers }),
            },
            Stand::Routes { template, limit } => {
                let name = names::of_route(names::mount(head), &head.method, &template(head)?);
                let is_taken = limit.as_ref().is_some_and(|limit| met.take(&name, limit));
                Some(Place { name, numbers: if is_taken { Numbers::Always } else { numbers } })
            }
        }
    }

    fn limiters<'a>(
        &'a self,
        rule: &'a Rule,
        head: &Parts,
        place: Option<&Place>,
    ) -> Result<Cow<'a, [Limiter]>, Error> {
        let tagged = || place.unwrap_or(&self.known).tagged(&rule.tag);
        match &rule.limited {
            Limited::Always(_) if place.is_none() => Ok(Cow::Borrowed(&rule.fixed)),
            Limited::Always(limits) => Ok(Cow::Owned(self.opener.open(limits, &tagged())?)),
            Limited::By(limit) => Ok(Cow::Owned(self.opener.open(&limit(head), &tagged())?)),
        }
    }

    /// What this request is to be charged, and was not yet: each limit once for each caller.
    fn due(
        &self,
        head: &Parts,
        place: Option<&Place>,
        met: &Met,
    ) -> Result<Vec<(Limiter, Vec<u8>)>, Error> {
        let peer = (self.peer)(head).map(|address| address.to_string()).unwrap_or_default();
        let forwarded: Vec<_> = head
            .headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        let forwarded = forwarded.join(",");
        let mut due: Vec<(Limiter, Vec<u8>)> = Vec::new();
        for rule in &self.rules {
            let identity = (rule.key)(head).unwrap_or_default();
            let key = self.callers.key_of_bytes(&peer, &forwarded, &identity)?;
            for limiter in self.limiters(rule, head, place)?.iter() {
                let is_due_already = due.iter().any(|(l, k)| l.is_same(limiter) && *k == key);
                if !is_due_already && !met.has_charged(limiter, &key) {
                    due.push((limiter.clone(), key.clone()));
                }
            }
        }
        Ok(due)
    }

    /// Charges a request. None: it is not limited here.
    pub(super) async fn check(&self, head: &mut Parts) -> Result<Option<Decision>, Error> {
        let mut met = head.extensions.remove::<Met>().unwrap_or_default();
        let place = self.place(head, &mut met);
        let due = match self.is_exempt(head) {
            true => Vec::new(),
            false => self.due(head, place.as_ref(), &met)?,
        };
        let decision = match due.as_slice() {
            [] => None,
            due => Some(self.charge(due, (self.cost)(head)).await?),
        };
        met.charged.extend(due);
        head.extensions.insert(met);
        if let Some(decision) = &decision {
            head.extensions.insert(decision.clone());
        }
        Ok(decision)
    }

    /// One atomic check.
    async fn charge(&self, due: &[(Limiter, Vec<u8>)], cost: u64) -> Result<Decision, Error> {
        let gate = due[0].0.gate();
        one_gate(due.iter().map(|(limiter, _)| limiter))?;
        let parts: Vec<Part<'_>> =
            due.iter().map(|(limiter, key)| limiter.part(key).cost(cost)).collect();
        gate.consume(parts).await
    }
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

fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key("access-control-request-method")
}

pub(super) fn peer_of_extensions(head: &Parts) -> Option<IpAddr> {
    #[cfg(feature = "axum")]
    if let Some(info) = head.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>() {
        return Some(info.0.ip());
    }
    head.extensions.get::<SocketAddr>().map(SocketAddr::ip)
}
