// SPDX-License-Identifier: MIT
//! What a layer's responses say: of several decisions, of a store that is away, of mistakes.
#![cfg(feature = "axum")]

mod support;
#[path = "support/trace.rs"]
mod trace;
#[path = "support/web.rs"]
mod web;

use std::sync::{Arc, Mutex};

use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::middleware::{from_fn, Next};
use axum::Router;
use http_body_util::Full;
use tidegate::tower::RateLimitLayer;
use tidegate::{Error, Gate, OnFailure};
use tower::{Layer, ServiceExt};
use trace::Heard;
use web::{ask, field, gate, ok, statuses, text};

fn named(gate: &Gate, rates: &str, name: &str) -> RateLimitLayer {
    RateLimitLayer::builder(rates).name(name).store(gate).build().unwrap()
}

fn all(response: &Response<axum::body::Body>, name: &str) -> Vec<String> {
    let values = response.headers().get_all(name).iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn nested_limits_are_one_list_from_the_outside_in_and_the_tightest_speaks() {
    for (outer, inner, tightest) in [("3", "10", "3"), ("10", "3", "3"), ("5", "9", "5")] {
        let gate = gate();
        let layer = |count: &str, name: &str| named(&gate, &format!("{count}/minute"), name);
        let app = Router::new().route("/", ok()).layer(layer(inner, "inner"));
        let response = ask(&app.layer(layer(outer, "outer")), "/").await;
        assert_eq!(field(&response, "x-ratelimit-limit"), tightest);
        assert_eq!(
            all(&response, "ratelimit-policy"),
            [format!("\"outer\";q={outer};w=60, \"inner\";q={inner};w=60")]
        );
        assert_eq!(all(&response, "ratelimit").len(), 1);
    }
}

#[tokio::test]
async fn the_figures_of_a_refusal_stand() {
    let gate = gate();
    // The inner limit has 3 left and is asked for 4; the outer one has none left.
    let inner = RateLimitLayer::builder("3/minute").name("inner").store(&gate).cost(|_| 4);
    let app = Router::new().route("/", ok()).layer(inner.build().unwrap());
    let response = ask(&app.layer(named(&gate, "1/minute", "outer")), "/").await;
    assert_eq!(response.status(), 429);
    assert_eq!(field(&response, "x-ratelimit-limit"), "3");
    assert_eq!(field(&response, "x-ratelimit-remaining"), "3");
    let lists = all(&response, "ratelimit-policy");
    assert_eq!(lists, ["\"outer\";q=1;w=60, \"inner\";q=3;w=60"]);
}

#[tokio::test]
async fn fields_that_the_application_sends_stand_with_their_family() {
    let gate = gate();
    let upstream = |request: axum::extract::Request, next: Next| async move {
        let mut response = next.run(request).await;
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-remaining", HeaderValue::from_static("50"));
        headers.insert("ratelimit-policy", HeaderValue::from_static("\"upstream\";q=60"));
        response
    };
    let app = Router::new().route("/", ok()).layer(from_fn(upstream));
    let response = ask(&app.layer(named(&gate, "9/minute", "api")), "/").await;
    assert_eq!(all(&response, "x-ratelimit-remaining"), ["50"]);
    assert_eq!(all(&response, "ratelimit-policy"), ["\"upstream\";q=60"]);
    for ours in ["x-ratelimit-limit", "ratelimit"] {
        assert!(!response.headers().contains_key(ours), "{ours}: half of it would be another's");
    }
}

#[tokio::test]
async fn a_message_is_for_429_and_not_for_503() {
    let away = Gate::connect("redis://127.0.0.1:1?timeout_ms=50").unwrap();
    let layer = |gate: &Gate| {
        let layer = RateLimitLayer::builder("1/minute").store(gate).message("Too many requests");
        Router::new().route("/", ok()).layer(layer.on_failure(OnFailure::Closed).build().unwrap())
    };
    let refused = ask(&layer(&away), "/").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(field(&refused, "content-type"), "application/problem+json");
    let body = text(refused).await;
    assert!(body.contains("503") && !body.contains("Too many requests"), "{body}");
    let app = layer(&gate());
    assert_eq!(statuses(&app, ["/", "/"]).await, [200, 429]);
    assert_eq!(text(ask(&app, "/").await).await, "Too many requests");
}

#[tokio::test]
async fn a_mistake_is_told_to_the_program_and_not_to_callers() {
    let heard = Heard::default();
    let _listening = heard.listen();
    let gate = gate();
    let app = Router::new().route("/", ok()).layer(named(&gate, "9/minute", "api"));
    gate.close().unwrap();
    let response = ask(&app, "/").await;
    assert_eq!(response.status(), 500);
    assert!(matches!(response.extensions().get::<Error>(), Some(Error::Closed(_))));
    assert_eq!(text(response).await, "The rate limit cannot be checked.");
    assert!(heard.lines().iter().any(|line| line.contains("ERROR") && line.contains("closed")));
}

#[tokio::test]
async fn a_mistake_may_be_answered_otherwise() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let layer = RateLimitLayer::builder("9/minute").store(&gate()).cost(|_| u64::MAX);
    let layer = layer.on_error(move |why| {
        note.lock().unwrap().push(why.clone());
        let mut response = Response::new("sorry".to_owned());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    });
    let app = Router::new().route("/", ok()).layer(layer.build().unwrap());
    let response = ask(&app, "/").await;
    assert_eq!(response.status(), 503);
    assert_eq!(text(response).await, "sorry");
    assert!(matches!(seen.lock().unwrap().as_slice(), [Error::Attribute(_)]));
}

#[tokio::test]
async fn limiters_of_two_gates_in_one_check_are_a_mistake() {
    let (one, two) = (gate(), gate());
    let limiters =
        [one.limiter("9/s").open().unwrap(), two.limiter("9/s").name("far").open().unwrap()];
    let layer = RateLimitLayer::builder("1/s").limit_by(move |_| limiters.to_vec());
    let app = Router::new().route("/", ok()).layer(layer.build().unwrap());
    let response = ask(&app, "/").await;
    assert_eq!(response.status(), 500);
    let why = response.extensions().get::<Error>().unwrap().to_string();
    assert!(why.contains("far"), "{why}");
}

#[tokio::test]
async fn a_body_may_be_of_any_type() {
    type Bytes = axum::body::Bytes;
    let gate = gate();
    let layer = named(&gate, "1/minute", "api").with_body(|text| Full::new(Bytes::from(text)));
    // Full<Bytes> is no From<String>.
    let service = layer.layer(tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(service.clone().oneshot(Request::new(())).await.unwrap().status().as_u16());
    }
    assert_eq!(seen, [200, 429]);
}
