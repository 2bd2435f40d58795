// SPDX-License-Identifier: MIT
//! POST /generate: a language model for each key, two generations at once and 1000 tokens a minute.
//! What a generation uses is known when it is over: it is charged an estimate, and then settled.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tidegate::{Decision, Error, Gate, Limiter};

#[derive(Clone)]
pub struct Limits {
    tokens: Limiter,
    at_once: Limiter,
}

impl Limits {
    pub fn open(gate: &Gate) -> Result<Self, Error> {
        let tokens = gate.limiter("1000/minute overdraft 500").name("tokens").open()?;
        let at_once = gate.limiter("2 at once").lease(Duration::from_secs(30));
        Ok(Self { tokens, at_once: at_once.name("generations").open()? })
    }
}

/// The response to whoever is not served.
fn refusal(decision: &Decision) -> Response {
    let status = StatusCode::from_u16(decision.status()).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let mut response = (status, decision.problem().unwrap_or_default()).into_response();
    for (name, value) in decision.headers() {
        if let (Ok(name), Ok(value)) = (name.parse::<axum::http::HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Stands in for the model: a word of the prompt brings two of the answer.
async fn model(prompt: &str) -> (String, u64) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let words = prompt.split_whitespace().count() as u64;
    (format!("{prompt} {prompt}"), 3 * words)
}

pub async fn generate(
    State(limits): State<Limits>,
    fields: HeaderMap,
    prompt: String,
) -> Result<String, Response> {
    let failed = |why: Error| {
        eprintln!("generate: {why}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    };
    let key = fields.get("x-api-key").map_or(&b"nobody"[..], |key| key.as_bytes());
    let slot = limits.at_once.slot(key).await.map_err(failed)?;
    if !slot.allowed() {
        return Err(refusal(slot.decision()));
    }
    let estimate = 100;
    let reservation = limits.tokens.reserve(key, estimate).await.map_err(failed)?;
    if !reservation.allowed() {
        return Err(refusal(reservation.decision()));
    }
    // A caller who hangs up ends this here: the slot is free, and the tokens are given back.
    let (answer, used) = model(&prompt).await;
    reservation.settle(used).await.map_err(failed)?;
    let left = limits.tokens.peek(key).await.map_err(failed)?.remaining().unwrap_or(0);
    Ok(format!("{answer}\n{used} tokens, {left} left\n"))
}
