// SPDX-License-Identifier: MIT
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::request::Parts;
use http::Response;
use tidegate_sys as sys;

use super::answer::{Answers, Message};
use super::ask::{Ask, Find, Finding, Layer, Limited, Rule, Stand};
use super::head::{peer_of_extensions, template};
use super::limits::{Limits, Manner};
use super::plan::{self, Guarding};
use super::RateLimitLayer;
use crate::attributes::Attributes;
use crate::decision::Decision;
use crate::error::Error;
use crate::gate::Gate;
use crate::http::HeaderStyles;
use crate::limiter::{Algorithm, Mode, OnFailure};
use crate::policy::{Document, GuardOptions};

type Identity = Ask<Option<Vec<u8>>>;

/// Options of a [`RateLimitLayer`]. The functions see a request's head; of preflights and of
/// requests that are exempt here nobody is asked who it is or what it costs.
#[must_use = "there is no layer until it is built"]
pub struct RateLimitBuilder {
    limited: Option<Limited>,
    key: Option<Identity>,
    others: Vec<(Limits, Identity)>,
    policy: Option<Document>,
    identity: Option<Identity>,
    tier: Option<Ask<Option<String>>>,
    attributes: Option<Ask<Attributes>>,
    find: Option<Find>,
    name: Option<String>,
    template: Option<Ask<Option<String>>>,
    manner: Manner,
    store: Option<Gate>,
    url: Option<String>,
    guard: GuardOptions,
    peer: Ask<Option<IpAddr>>,
    cost: Ask<u64>,
    exempt_paths: HashSet<String>,
    exempt: Ask<bool>,
    answers: Answers,
}

impl fmt::Debug for RateLimitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RateLimitBuilder {
    pub(super) fn new(limits: Option<Limits>) -> Self {
        Self {
            limited: limits.map(Limited::Always),
            key: None,
            others: Vec::new(),
            policy: None,
            identity: None,
            tier: None,
            attributes: None,
            find: None,
            name: None,
            template: None,
            manner: Manner::default(),
            store: None,
            url: None,
            guard: GuardOptions::default(),
            peer: Box::new(peer_of_extensions),
            cost: Box::new(|_| 1),
            exempt_paths: HashSet::new(),
            exempt: Box::new(|_| false),
            answers: Answers::default(),
        }
    }

    /// A policy of the layer's own (a text, or a file's path), instead of its gate's.
    pub fn policy(mut self, policy: impl Into<Document>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Who is asking, for the rules of a policy: unless given, whom [`key`](Self::key) says.
    pub fn identity(
        mut self,
        identity: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.identity = Some(bytes_of(identity));
        self
    }

    /// The caller's tier, one of the policy's.
    pub fn tier(mut self, tier: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.tier = Some(Box::new(tier));
        self
    }

    /// What else the rules of a policy speak of.
    pub fn attributes(
        mut self,
        attributes: impl Fn(&Parts) -> Attributes + Send + Sync + 'static,
    ) -> Self {
        self.attributes = Some(Box::new(attributes));
        self
    }

    /// The same where it has to be awaited, identity and tier included.
    ///
    /// ```
    /// # use tidegate::{tower::RateLimitLayer, Attributes};
    /// # async fn plan_of(key: Option<&http::HeaderValue>) -> String { "pro".into() }
    /// let layer = RateLimitLayer::by_policy().find_attributes(|head| {
    ///     Box::pin(async move {
    ///         Attributes::new().tier(plan_of(head.headers.get("x-api-key")).await)
    ///     })
    /// });
    /// ```
    pub fn find_attributes(
        mut self,
        find: impl for<'a> Fn(&'a Parts) -> Finding<'a> + Send + Sync + 'static,
    ) -> Self {
        self.find = Some(Box::new(find));
        self
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

    /// Another limit for each request, instead: tiers. Rates are opened when they are met, each
    /// with its numbers behind its name (`api.100-per-60s`); the 1,024 used last stay open.
    pub fn limit_by<L: Into<Limits>>(
        mut self,
        limit: impl Fn(&Parts) -> L + Send + Sync + 'static,
    ) -> Self {
        self.limited = Some(Limited::By(Box::new(move |head| limit(head).into())));
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
        self.others.push((limits.into(), bytes_of(key)));
        self
    }

    /// Each route has the limit for itself, named by mount path, method and route template where
    /// axum tells them (`v1.GET.items-id`), and has the numbers behind it where several limits
    /// stand on one route. Requests of a method whose route nobody tells are one: `GET.unmatched`.
    pub fn per_route(self) -> Self {
        self.per_route_of(template)
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
    /// the path that the layer is mounted at, where axum tells it; at the root, the numbers alone.
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

    /// How long slots (`"5 at once"`: requests under way) stay with a process that has died; 30 s
    /// unless given. A layer renews those that it holds.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.manner.lease = Some(lease);
        self
    }

    /// Who is asking. None or an empty text: his address.
    pub fn key(mut self, key: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.key = Some(bytes_of(key));
        self
    }

    /// Who is asking, as any bytes.
    pub fn key_bytes(
        mut self,
        key: impl Fn(&Parts) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.key = Some(Box::new(key));
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
    /// (`"10.0.0.0/8, ::1/128"`). As the gate's option says unless given, which is nothing.
    pub fn trusted_proxies(mut self, proxies: impl ToString) -> Self {
        self.guard.trusted_proxies = proxies.to_string();
        self
    }

    /// Bits of an IPv6 address that make a caller; as the gate's option says unless given, which is
    /// 64.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.guard.ipv6_prefix = bits;
        self
    }

    /// Which header fields a response carries; standard and legacy unless given.
    pub fn headers(mut self, styles: HeaderStyles) -> Self {
        self.guard.headers = styles.words();
        self
    }

    /// A text instead of the problem body of a 429.
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.answers.message = Some(Message::text(text.into()));
        self
    }

    /// A JSON text instead of the problem body of a 429.
    pub fn message_json(mut self, json: impl Into<String>) -> Self {
        self.answers.message = Some(Message::json(json.into()));
        self
    }

    /// The whole response of a refusal, instead; the header fields are added.
    pub fn on_denied(
        self,
        respond: impl Fn(&Decision) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        self.on_denied_of(move |_, decision| Some(respond(decision)))
    }

    /// The same, of the request; None: the answer is as if nothing were given here.
    pub fn on_denied_of(
        mut self,
        respond: impl Fn(&Parts, &Decision) -> Option<Response<String>> + Send + Sync + 'static,
    ) -> Self {
        self.answers.on_denied = Some(Box::new(respond));
        self
    }

    /// The whole response where a check is impossible: a closed gate, a cost above 2^52 - 1. Not
    /// given: 500, and nothing of the reason. It goes to `tracing` either way, and is in the
    /// response's extensions, as an [`Error`].
    pub fn on_error(
        self,
        respond: impl Fn(&Error) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        self.on_error_of(move |_, why| Some(respond(why)))
    }

    /// The same, of the request; None: the answer is as if nothing were given here.
    pub fn on_error_of(
        mut self,
        respond: impl Fn(&Parts, &Error) -> Option<Response<String>> + Send + Sync + 'static,
    ) -> Self {
        self.answers.on_error = Some(Box::new(respond));
        self
    }

    /// Opens the guard; what does not parse, and what could not work, is said here.
    pub fn build(mut self) -> Result<RateLimitLayer, Error> {
        let stand = self.stand()?;
        let mut rules = self.rules();
        let is_gate_given = self.store.is_some() || self.url.is_some();
        let of_a_limiter = || rules.iter().flat_map(|rule| rule.limited.limiters()).next();
        let gate = match (self.store, of_a_limiter()) {
            (Some(gate), _) => gate,
            (None, Some(limiter)) if !is_gate_given => limiter.gate().clone(),
            _ => Gate::shared(self.url.as_deref())?,
        };
        let is_several = plan::settle(&mut rules, &stand, self.manner, &gate, is_gate_given)?;
        let has_policy = self.policy.is_some() || gate.inner.guards.has_policy();
        if rules.is_empty() && !has_policy {
            let message = "by_policy: expected a policy, of the layer or of its gate";
            return Err(Error::new(sys::TG_EPOLICY, message.into(), None));
        }
        Ok(RateLimitLayer::new(Layer {
            guarding: Guarding::new(&gate, self.policy.as_ref(), self.guard)?,
            gate,
            rules,
            stand,
            is_several,
            manner: self.manner,
            identity: self.identity,
            tier: self.tier,
            attributes: self.attributes,
            find: self.find,
            peer: self.peer,
            cost: self.cost,
            exempt_paths: self.exempt_paths,
            exempt: self.exempt,
            answers: self.answers,
        }))
    }

    fn stand(&mut self) -> Result<Stand, Error> {
        match (self.name.take(), self.template.take()) {
            (Some(name), Some(_)) => {
                let message = format!(
                    "name {name:?} and per_route: expected one of them, since a limit that has a \
                     name is one limit on every route"
                );
                Err(Error::new(sys::TG_EINVAL, message, None))
            }
            (Some(name), None) => Ok(Stand::Named(name)),
            (None, Some(template)) => Ok(Stand::Routes(template)),
            (None, None) => Ok(Stand::Mount),
        }
    }

    /// Its limits and whom they count. Where nobody says who asks but `key`, that is who does.
    fn rules(&mut self) -> Vec<Rule> {
        let mut key = self.key.take();
        if self.identity.is_none() {
            self.identity = key.take();
        }
        let rule = |limited, key| Rule { limited, key, tag: String::new() };
        let first = self.limited.take().map(|limited| rule(limited, key));
        let others = self.others.drain(..);
        let others = others.map(|(limits, key)| rule(Limited::Always(limits), Some(key)));
        first.into_iter().chain(others).collect()
    }
}

fn bytes_of(key: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Identity {
    Box::new(move |head| key(head).map(String::into_bytes))
}
