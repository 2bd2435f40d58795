// SPDX-License-Identifier: MIT
//! What a response says of a decision.

use http::header::{HeaderValue, CONTENT_TYPE};
use http::request::Parts;
use http::{Response, StatusCode};

use crate::decision::Decision;
use crate::error::Error;

/// None: the answer is as if there were no such function.
pub(super) type Respond<T> = Box<dyn Fn(&Parts, &T) -> Option<Response<String>> + Send + Sync>;

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

/// How a layer answers.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) message: Option<Message>,
    pub(super) on_denied: Option<Respond<Decision>>,
    pub(super) on_error: Option<Respond<Error>>,
}

impl Answers {
    /// Without the fields of the decision: the outermost layer adds those.
    pub(super) fn refusal(&self, head: &Parts, decision: &Decision) -> Response<String> {
        let own = self.on_denied.as_ref().and_then(|respond| respond(head, decision));
        own.unwrap_or_else(|| {
            let status = StatusCode::from_u16(decision.status()).unwrap_or(StatusCode::FORBIDDEN);
            match &self.message {
                // "Too many requests" is not what a 503 or a ban has to say.
                Some(message) if status == StatusCode::TOO_MANY_REQUESTS => {
                    message.response(status)
                }
                _ => Message::problem(decision.problem().unwrap_or_default()).response(status),
            }
        })
    }

    /// The answer to a request that could not be checked because the application is wrong. What is
    /// wrong is nothing of the caller's: the program learns it, he does not.
    pub(super) fn failure(&self, head: &Parts, why: Error) -> Response<String> {
        let code = why.code();
        tracing::error!(target: "tidegate", code, "a rate limit cannot be checked: {why}");
        let own = self.on_error.as_ref().and_then(|respond| respond(head, &why));
        let mut response = own.unwrap_or_else(|| {
            Message::text("The rate limit cannot be checked.".to_owned())
                .response(StatusCode::INTERNAL_SERVER_ERROR)
        });
        response.extensions_mut().insert(why);
        response
    }
}
