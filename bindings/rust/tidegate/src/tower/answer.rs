// SPDX-License-Identifier: MIT
//! What a response says of a decision.

use http::header::{HeaderMap, HeaderName, HeaderValue, CONTENT_TYPE, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::decision::Decision;
use crate::error::Error;
use crate::http::HeaderStyles;

pub(super) type Respond<T> = Box<dyn Fn(&T) -> Response<String> + Send + Sync>;

const REMAINING: &str = "x-ratelimit-remaining";

/// In the extensions of a response that is a refusal: its figures speak for the request.
#[derive(Clone)]
struct Refused;

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

    fn response(&self, status: StatusCode) -> Response<String> {
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

pub(super) enum Refuse {
    Problem,
    Message(Message),
    Respond(Respond<Decision>),
}

/// How a layer answers.
pub(super) struct Answers {
    pub(super) headers: HeaderStyles,
    pub(super) refuse: Refuse,
    pub(super) on_error: Option<Respond<Error>>,
}

impl Answers {
    pub(super) fn refusal(&self, decision: &Decision) -> Response<String> {
        let status = StatusCode::from_u16(decision.status()).unwrap_or(StatusCode::FORBIDDEN);
        let problem = || Message::problem(decision.problem().unwrap_or_default()).response(status);
        let mut response = match &self.refuse {
            Refuse::Respond(respond) => respond(decision),
            // "Too many requests" is not what a 503 has to say.
            Refuse::Message(message) if status == StatusCode::TOO_MANY_REQUESTS => {
                message.response(status)
            }
            Refuse::Message(_) | Refuse::Problem => problem(),
        };
        self.add_headers(decision, response.headers_mut(), true);
        response.extensions_mut().insert(Refused);
        response
    }

    /// Adds the fields of a decision that let the request pass. What a layer further in has said
    /// stays: lists grow, this one first, and the single figures are the tightest limit's, which a
    /// limit that refused is.
    pub(super) fn tell<B>(&self, decision: &Decision, response: &mut Response<B>) {
        let is_refused = response.extensions().get::<Refused>().is_some();
        let headers = response.headers_mut();
        let left = headers.get(REMAINING).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_tightest = match left {
            None => true,
            Some(left) => !is_refused && decision.remaining().is_some_and(|ours: u64| ours <= left),
        };
        self.add_headers(decision, headers, is_tightest);
    }

    fn add_headers(&self, decision: &Decision, headers: &mut HeaderMap, is_tightest: bool) {
        for (name, value) in decision.headers_in(self.headers) {
            let name = HeaderName::from_bytes(name.as_bytes());
            let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) else { continue };
            if name.as_str().starts_with("x-ratelimit") {
                if is_tightest {
                    headers.insert(name, value);
                }
            } else if name == RETRY_AFTER {
                headers.insert(name, value);
            } else {
                let value = before(&value, headers.get_all(&name).iter());
                headers.insert(name, value);
            }
        }
    }

    /// The answer to a request that could not be checked because the application is wrong. What is
    /// wrong is nothing of the caller's: the program learns it, he does not.
    pub(super) fn failure(&self, why: Error) -> Response<String> {
        let code = why.code();
        tracing::error!(target: "tidegate", code, "a rate limit cannot be checked: {why}");
        let mut response = match &self.on_error {
            Some(respond) => respond(&why),
            None => Message::text("The rate limit cannot be checked.".to_owned())
                .response(StatusCode::INTERNAL_SERVER_ERROR),
        };
        response.extensions_mut().insert(why);
        response
    }
}

/// One list of several.
fn before<'a>(first: &HeaderValue, others: impl Iterator<Item = &'a HeaderValue>) -> HeaderValue {
    let mut list = first.as_bytes().to_vec();
    for other in others {
        list.extend_from_slice(b", ");
        list.extend_from_slice(other.as_bytes());
    }
    HeaderValue::from_bytes(&list).unwrap_or_else(|_| first.clone())
}
