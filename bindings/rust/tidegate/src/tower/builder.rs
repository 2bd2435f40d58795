// SPDX-License-Identifier: MIT
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::Response;

use super::answer::{Answers, Message, Refuse, Respond};
use super::check::{peer_of_extensions, Ask, Limited, Rules};
use super::limits::{Limits, Manner};
use super::names;
use super::plan;
use super::RateLimitLayer;
use crate::decision::Decision;
use crate::error::Error;
use crate::gate::Gate;
use crate::http::{Callers, HeaderStyles};
use crate::limiter::{Algorithm, Mode, OnFailure};

pub(super) type Identity = Ask<Option<Vec<u8>>>;

/// Options of a [`RateLimitLayer`]. The functions see a request's head; work that has to be awaited
/// belongs in a layer before this one, which leaves what it found in the extensions.
#[must_use = "there is no layer until it is built"]
pub struct RateLimitBuilder {
    limited: Limited,
    key: Identity,
    others: Vec<(Limited, Identity)>,
    name: Option<String>,
    template: Option<Ask<Option<String>>>,
    manner: Manner,
    store: Option<Gate>,
    url: Option<String>,
    trusted_proxies: String,
    ipv6_prefix: u8,
    peer: Ask<Option<IpAddr>>,
    cost: Ask<u64>,
    exempt_paths: HashSet<String>,
    exempt: Ask<bool>,
    headers: HeaderStyles,
    refuse: Refuse,
    on_error: Option<Respond<Error>>,
}

impl fmt::Debug for RateLimitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RateLimitBuilder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limited: Limited::Always(limits),
            key: Box::new(|_| None),
            others: Vec::new(),
            name: None,
            template: None,
            manner: Manner::default(),
            store: None,
            url: None,
            trusted_proxies: "0".into(),
            ipv6_prefix: 64,
            peer: Box::new(peer_of_extensions),
            cost: Box::new(|_| 1),
            exempt_paths: HashSet::new(),
            exempt: Box::new(|_| false),
            headers: HeaderStyles::default(),
            refuse: Refuse::Problem,
            on_error: None,
        }
    }

    /// The gate that decides. Not given: that of the limiters, else the one that all layers without
    /// one share.
    pub fn store(mut self, gate: &Gate) -> Self {
        self.store = Some(gate.clone());
        self
    }

    /// The URL of the store, whose gate all layers with this URL share.
    pub fn store_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Another limit for each request, instead: tiers. Rates are opened when they are first met,
    /// each with its numbers behind its name (`api.100-per-60s`), and stay open: expect few.
    pub fn limit_by<L: Into<Limits>>(
        mut self,
        limit: impl Fn(&Parts) -> L + Send + Sync + 'static,
    ) -> Self {
        self.limited = Limited::By(Box::new(move |head| limit(head).into()));
        self
    }

    /// Limits with a key of their own, in the same atomic check: all of them pass, or none is
    /// charged.
    ///
    /// ```
    /// # use tidegate::{tower::RateLimitLayer, Gate};
    /// # let gate = Gate::connect("memory://")?;
    /// let layer = RateLimitLayer::builder("10/second") // by address
    ///     .and("1000/hour", |head| Some(head.headers.get("x-tenant")?.to_str().ok()?.into()))
    ///     .and("20000/minute", |_| Some("everyone".into()))
    ///     .store(&gate)
    ///     .build()?;
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn and(
        mut self,
        limits: impl Into<Limits>,
        key: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.others.push((Limited::Always(limits.into()), identity(key)));
        self
    }

    /// Each route has the limit for itself, named by mount path, method and route template where
    /// axum tells them (`v1.GET.items-id`), and has the numbers behind it where several limits
    /// stand on one route. Requests whose route nobody tells are one, `unmatched`.
    pub fn per_route(self) -> Self {
        self.per_route_of(names::template)
    }

    /// The same where somebody else than axum knows the template of a request's route.
    pub fn per_route_of(
        mut self,
        template: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.template = Some(Box::new(template));
        self
    }

    /// The name of the limiter that the rates become. Several rates, and rates of
    /// [`limit_by`](Self::limit_by), have their numbers behind it: `api.100-per-60s`. Not given:
    /// the path that the layer is mounted at, where axum tells it, else `everything`, with the
    /// numbers behind it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
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
        self.key = identity(key);
        self
    }

    /// Who is asking, as any bytes.
    pub fn key_bytes(
        mut self,
        key: impl Fn(&Parts) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.key = Box::new(key);
        self
    }

    /// Who is asking says this header, whatever bytes it has; without it, his address does.
    pub fn key_header(self, name: &'static str) -> Self {
        self.key_bytes(move |head| Some(head.headers.get(name)?.as_bytes().to_vec()))
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

    /// A text instead of the problem body of a 429.
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.refuse = Refuse::Message(Message::text(text.into()));
        self
    }

    /// A JSON text instead of the problem body of a 429.
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

    /// The whole response where a check is impossible: a closed gate, a cost above 2^52 - 1. Not
    /// given: 500, and nothing of the reason. It goes to `tracing` either way, and is in the
    /// response's extensions, as an [`Error`].
    pub fn on_error(
        mut self,
        respond: impl Fn(&Error) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Box::new(respond));
        self
    }

    /// Opens the limiters; what does not parse, and what could not work, is said here.
    pub fn build(self) -> Result<RateLimitLayer, Error> {
        let mut rules = vec![(self.limited, self.key)];
        rules.extend(self.others);
        let planned = plan::make(plan::Wish {
            rules,
            name: self.name,
            template: self.template,
            manner: self.manner,
            store: self.store,
            url: self.url,
        })?;
        let (headers, refuse, on_error) = (self.headers, self.refuse, self.on_error);
        Ok(RateLimitLayer::new(Arc::new(Rules {
            rules: planned.rules,
            opener: planned.opener,
            stand: planned.stand,
            known: planned.known,
            callers: Callers::new(&self.trusted_proxies, self.ipv6_prefix)?,
            peer: self.peer,
            cost: self.cost,
            exempt_paths: self.exempt_paths,
            exempt: self.exempt,
            answers: Answers { headers, refuse, on_error },
        })))
    }
}

fn identity(key: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Identity {
    Box::new(move |head| key(head).map(String::into_bytes))
}
