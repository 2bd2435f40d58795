// SPDX-License-Identifier: MIT
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::Response;

use super::check::{Ask, Limited, Message, Refuse, Rules};
use super::limits::{Limits, Manner, Opener};
use super::RateLimitLayer;
use crate::decision::Decision;
use crate::error::Error;
use crate::gate::Gate;
use crate::http::{Callers, HeaderStyles};
use crate::limiter::{Algorithm, Mode, OnFailure};

/// Options of a [`RateLimitLayer`]. The functions see a request's head; work that has to be awaited
/// belongs in a layer before this one, which leaves what it found in the extensions.
#[must_use = "there is no layer until it is built"]
pub struct RateLimitBuilder {
    limited: Limited,
    manner: Manner,
    store: Option<Gate>,
    url: Option<String>,
    trusted_proxies: String,
    ipv6_prefix: u8,
    key: Ask<Option<String>>,
    peer: Ask<Option<IpAddr>>,
    cost: Ask<u64>,
    exempt_paths: HashSet<String>,
    exempt: Ask<bool>,
    headers: HeaderStyles,
    refuse: Refuse,
}

impl RateLimitBuilder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limited: Limited::Always(limits),
            manner: Manner::default(),
            store: None,
            url: None,
            trusted_proxies: "0".into(),
            ipv6_prefix: 64,
            key: Box::new(|_| None),
            peer: Box::new(super::check::peer_of_extensions),
            cost: Box::new(|_| 1),
            exempt_paths: HashSet::new(),
            exempt: Box::new(|_| false),
            headers: HeaderStyles::default(),
            refuse: Refuse::Problem,
        }
    }

    /// The gate that decides. Not given: the one that all layers without one share.
    pub fn store(mut self, gate: &Gate) -> Self {
        self.store = Some(gate.clone());
        self
    }

    /// The URL of the store, whose gate all layers with this URL share.
    pub fn store_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Another limit for each request, instead: tiers. Rates are opened when they are first met.
    pub fn limit_by<L: Into<Limits>>(
        mut self,
        limit: impl Fn(&Parts) -> L + Send + Sync + 'static,
    ) -> Self {
        self.limited = Limited::By(Box::new(move |head| limit(head).into()));
        self
    }

    /// Each route has the limit for itself, named by method and route template where axum tells
    /// it (`GET.items.-id-`), else by the path.
    pub fn per_route(mut self) -> Self {
        self.limited = match self.limited {
            Limited::Always(limits) => Limited::PerRoute(limits),
            other => other,
        };
        self
    }

    /// The name of the limiter that the rates become.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.manner.name = Some(name.into());
        self
    }

    /// Another algorithm than the token bucket.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.manner.algorithm = Some(algorithm);
        self
    }

    /// Enforce, shadow or off.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.manner.mode = Some(mode);
        self
    }

    /// Who answers while the store cannot.
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.manner.on_failure = Some(policy);
        self
    }

    /// Who is asking. None or an empty text: his address.
    pub fn key(mut self, key: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.key = Box::new(key);
        self
    }

    /// Who is asking says this header; without it, his address does.
    pub fn key_header(self, name: &'static str) -> Self {
        self.key(move |head| {
            let value = head.headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
    }

    /// The address of the caller's socket, where it is not in the extensions.
    pub fn peer(mut self, peer: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.peer = Box::new(peer);
        self
    }

    /// What a request costs; 1 unless given.
    pub fn cost(mut self, cost: impl Fn(&Parts) -> u64 + Send + Sync + 'static) -> Self {
        self.cost = Box::new(cost);
        self
    }

    /// Paths that are not limited.
    pub fn exempt<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.exempt_paths.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Requests that are not limited.
    pub fn exempt_if(mut self, exempt: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.exempt = Box::new(exempt);
        self
    }

    /// How much of `X-Forwarded-For` to believe, from the right: a count (`1`), or networks
    /// (`"10.0.0.0/8, ::1/128"`). Nothing unless given.
    pub fn trusted_proxies(mut self, proxies: impl ToString) -> Self {
        self.trusted_proxies = proxies.to_string();
        self
    }

    /// Bits of an IPv6 address that make a caller; 64 unless given.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.ipv6_prefix = bits;
        self
    }

    /// Which header fields a response carries; standard and legacy unless given.
    pub fn headers(mut self, styles: HeaderStyles) -> Self {
        self.headers = styles;
        self
    }

    /// A text instead of the problem body.
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.refuse = Refuse::Message(Message::text(text.into()));
        self
    }

    /// A JSON text instead of the problem body.
    pub fn message_json(mut self, json: impl Into<String>) -> Self {
        self.refuse = Refuse::Message(Message::json(json.into()));
        self
    }

    /// The whole response of a refusal, instead; the header fields are added.
    pub fn on_denied(
        mut self,
        respond: impl Fn(&Decision) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        self.refuse = Refuse::Respond(Box::new(respond));
        self
    }

    /// Opens the limiters; what does not parse is said here.
    pub fn build(self) -> Result<RateLimitLayer, Error> {
        let gate = match self.store {
            Some(gate) => gate,
            None => Gate::shared(self.url.as_deref())?,
        };
        let opener = Opener::new(gate, self.manner);
        let fixed = match &self.limited {
            Limited::Always(limits) => opener.open(limits)?,
            // What cannot be opened under any name is said now and not at the first request.
            Limited::PerRoute(limits) => {
                opener.open_as(limits, None)?;
                Vec::new()
            }
            Limited::By(_) => Vec::new(),
        };
        let rules = Rules {
            fixed,
            limited: self.limited,
            opener,
            callers: Callers::new(&self.trusted_proxies, self.ipv6_prefix)?,
            key: self.key,
            peer: self.peer,
            cost: self.cost,
            exempt_paths: self.exempt_paths,
            exempt: self.exempt,
            headers: self.headers,
            refuse: self.refuse,
        };
        Ok(RateLimitLayer { rules: Arc::new(rules) })
    }
}
