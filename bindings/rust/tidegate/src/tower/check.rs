// SPDX-License-Identifier: MIT
//! What happens to one request, apart from the service behind.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use http::header::{HeaderMap, HeaderName, HeaderValue, CONTENT_TYPE, ORIGIN};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::limits::{Limits, Opener};
use crate::decision::Decision;
use crate::error::Error;
use crate::http::{Callers, HeaderStyles};
use crate::limiter::Limiter;
use crate::request::Part;

/// A question about a request's head.
pub(super) type Ask<T> = Box<dyn Fn(&Parts) -> T + Send + Sync>;
pub(super) type Respond = Box<dyn Fn(&Decision) -> Response<String> + Send + Sync>;

pub(super) enum Limited {
    Always(Limits),
    PerRoute(Limits),
    By(Ask<Limits>),
}

pub(super) struct Message {
    content_type: &'static str,
    body: String,
}

impl Message {
    pub(super) fn text(body: String) -> Self {
        Self { content_type: "text/plain; charset=utf-8", body }
    }

    pub(super) fn json(body: String) -> Self {
        Self { content_type: "application/json", body }
    }

    fn problem(body: String) -> Self {
        Self { content_type: "application/problem+json", body }
    }
}

pub(super) enum Refuse {
    Problem,
    Message(Message),
    Respond(Respond),
}

pub(super) struct Rules {
    pub(super) fixed: Vec<Limiter>,
    pub(super) limited: Limited,
    pub(super) opener: Opener,
    pub(super) callers: Callers,
    pub(super) key: Ask<Option<String>>,
    pub(super) peer: Ask<Option<IpAddr>>,
    pub(super) cost: Ask<u64>,
    pub(super) exempt_paths: HashSet<String>,
    pub(super) exempt: Ask<bool>,
    pub(super) headers: HeaderStyles,
    pub(super) refuse: Refuse,
}

/// What layers of ours have charged this request already.
#[derive(Clone, Default)]
struct Charged(Vec<(Limiter, String)>);

impl Charged {
    fn has(&self, limiter: &Limiter, key: &str) -> bool {
        self.0.iter().any(|(charged, of)| charged.is_same(limiter) && of == key)
    }
}

impl Rules {
    fn is_exempt(&self, head: &Parts) -> bool {
        is_preflight(head) || self.exempt_paths.contains(head.uri.path()) || (self.exempt)(head)
    }

    fn limiters(&self, head: &Parts) -> Result<Cow<'_, [Limiter]>, Error> {
        match &self.limited {
            Limited::Always(_) => Ok(Cow::Borrowed(&self.fixed)),
            Limited::By(limit) => Ok(Cow::Owned(self.opener.open(&limit(head))?)),
            Limited::PerRoute(limits) => {
                Ok(Cow::Owned(self.opener.open_as(limits, Some(&route_name(head)))?))
            }
        }
    }

    fn caller(&self, head: &Parts) -> Result<String, Error> {
        let peer = (self.peer)(head).map(|address| address.to_string()).unwrap_or_default();
        let forwarded: Vec<_> = head
            .headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        self.callers.key(&peer, &forwarded.join(","), (self.key)(head).as_deref())
    }

    /// Charges a request. None: it is not limited here.
    pub(super) async fn check(&self, head: &mut Parts) -> Result<Option<Decision>, Error> {
        if self.is_exempt(head) {
            return Ok(None);
        }
        let limiters = self.limiters(head)?;
        let key = self.caller(head)?;
        let mut charged = head.extensions.remove::<Charged>().unwrap_or_default();
        let fresh: Vec<Limiter> =
            limiters.iter().filter(|limiter| !charged.has(limiter, &key)).cloned().collect();
        if fresh.is_empty() {
            head.extensions.insert(charged);
            return Ok(None);
        }
        let cost = (self.cost)(head);
        let parts: Vec<Part<'_>> =
            fresh.iter().map(|limiter| limiter.part(&key).cost(cost)).collect();
        let decision = fresh[0].gate().consume(parts).await?;
        charged.0.extend(fresh.into_iter().map(|limiter| (limiter, key.clone())));
        head.extensions.insert(charged);
        head.extensions.insert(decision.clone());
        Ok(Some(decision))
    }

    pub(super) fn refusal(&self, decision: &Decision) -> Response<String> {
        let status = StatusCode::from_u16(decision.status()).unwrap_or(StatusCode::FORBIDDEN);
        let mut response = match &self.refuse {
            Refuse::Respond(respond) => respond(decision),
            Refuse::Message(message) => respond(status, message.content_type, message.body.clone()),
            Refuse::Problem => {
                let message = Message::problem(decision.problem().unwrap_or_default());
                respond(status, message.content_type, message.body)
            }
        };
        self.add_headers(decision, response.headers_mut());
        response
    }

    /// Adds the fields of a decision. What a layer further in has said stays: lists grow, and of
    /// the single figures the inner layer's stand.
    pub(super) fn add_headers(&self, decision: &Decision, headers: &mut HeaderMap) {
        let has_figures = headers.contains_key("x-ratelimit-limit");
        for (name, value) in decision.headers_in(self.headers) {
            let name = HeaderName::from_bytes(name.as_bytes());
            let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) else { continue };
            if name.as_str().starts_with("x-ratelimit") {
                if !has_figures {
                    headers.insert(name, value);
                }
            } else if name == http::header::RETRY_AFTER {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
    }

    /// The answer to a request that could not be checked because the application is wrong.
    pub(super) fn failure(why: &Error) -> Response<String> {
        let text = format!("The rate limit is misconfigured: {why}");
        respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", text)
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
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

/// The name of a route's limit, the same in every language: `GET.items.-id-` of `GET /items/{id}`.
fn route_name(head: &Parts) -> String {
    #[cfg(feature = "axum")]
    let matched = head.extensions.get::<axum::extract::MatchedPath>();
    #[cfg(feature = "axum")]
    let path = matched.map_or(head.uri.path(), |matched| matched.as_str());
    #[cfg(not(feature = "axum"))]
    let path = head.uri.path();
    let method = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    short_name(&format!("{method}{path}"))
}

/// A limiter's name made of any text: readable, at most 64 characters, and another one for another
/// text.
fn short_name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let mut name: String = text
        .chars()
        .map(|c| match c {
            '/' => '.',
            '{' | '}' => '-',
            c if plain(c) => c,
            _ => '_',
        })
        .collect();
    let lossy = text.chars().any(|c| !plain(c) && !matches!(c, '/' | '{' | '}'));
    if lossy || name.len() > 64 {
        name.truncate(55);
        let digest = Sha256::digest(text.as_bytes());
        let tail: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        name = format!("{name}-{tail}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::short_name;

    // The same texts give the same names in bindings/python and bindings/node.
    #[test]
    fn a_route_has_the_name_that_it_has_in_every_language() {
        assert_eq!(short_name("GET/items/{id}"), "GET.items.-id-");
        assert_eq!(short_name("GET/a b"), "GET.a_b-01c611c2");
        let long = format!("GET/{}", "x".repeat(70));
        assert_eq!(short_name(&long), format!("GET.{}-3c059879", "x".repeat(51)));
    }
}
