// SPDX-License-Identifier: MIT
//! POST /generate: a language model for each key. The policy has reserved one of two places and the
//! most tokens that it may use; what it did use is told when it is over, and the difference given
//! back.

use std::time::Duration;

use axum::http::{request::Parts, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::Extension;
use tidegate::{tower::Used, Attributes};

/// `?max_tokens=500`: the most that a generation may use.
fn max_tokens(uri: &Uri) -> u32 {
    let fields = uri.query().unwrap_or_default().split('&');
    let given = fields.filter_map(|field| field.strip_prefix("max_tokens=")).next();
    given.and_then(|text| text.parse().ok()).filter(|most| *most < 1 << 20).unwrap_or(500)
}

/// What the policy's rules ask for besides.
pub fn attributes(head: &Parts) -> Attributes {
    Attributes::new().with("tokens", max_tokens(&head.uri))
}

/// Stands in for the model: it "thinks", and repeats the prompt in capitals.
async fn model(prompt: &str, most: u32) -> (String, u32) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answer: Vec<_> = prompt.split_whitespace().take(most as usize).collect();
    let used = prompt.split_whitespace().count() + answer.len();
    (answer.join(" ").to_uppercase(), u32::try_from(used).unwrap_or(u32::MAX))
}

pub async fn generate(Extension(told): Extension<Used>, uri: Uri, prompt: String) -> Response {
    if prompt.trim().is_empty() {
        let expected = "expected a prompt as the request's body\n";
        return (StatusCode::BAD_REQUEST, expected).into_response();
    }
    let (answer, used) = model(&prompt, max_tokens(&uri)).await;
    told.tell("tokens_used", used);
    ([("x-tokens-used", used.to_string())], answer + "\n").into_response()
}
