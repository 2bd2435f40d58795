// SPDX-License-Identifier: MIT
//! What the table of HTTP cases does not say of the tower layer.
#![cfg(feature = "axum")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use axum::body::{to_bytes, Body};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::{get, post};
use axum::{Extension, Router};
use support::Server;
use tidegate::testing::FakeClock;
use tidegate::tower::RateLimitLayer;
use tidegate::{Decision, Gate, Mode, OnFailure};
use tower::ServiceExt;

fn gate() -> Gate {
    let clock = FakeClock::new(1_763_683_200_000_000);
    Gate::builder().url("memory://").clock(&clock).open().unwrap()
}

fn request(method: Method, path: &str, key: Option<&str>) -> Request<Body> {
    let peer = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 7), 4711));
    let mut builder = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
    if let Some(key) = key {
        builder = builder.header("x-api-key", key);
    }
    builder.body(Body::empty()).unwrap()
}

async fn ask(app: &Router, path: &str, key: Option<&str>) -> Response<Body> {
    app.clone().oneshot(request(Method::GET, path, key)).await.unwrap()
}

async fn statuses(app: &Router, path: &str, key: Option<&str>, count: usize) -> Vec<u16> {
    let mut seen = Vec::new();
    for _ in 0..count {
        seen.push(ask(app, path, key).await.status().as_u16());
    }
    seen
}

fn field<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

#[tokio::test]
async fn tiers_are_chosen_by_the_request() {
    let gate = gate();
    let pro = gate.limiter("3/minute").name("pro").open().unwrap();
    let layer = RateLimitLayer::builder("unused/never").store(&gate).key_header("x-api-key");
    let layer = layer.limit_by(move |head| match head.headers.get("x-api-key") {
        Some(key) if key == "pro" => tidegate::tower::Limits::from(&pro),
        _ => "1/minute".into(),
    });
    let app = Router::new().route("/", get(|| async { "ok" })).layer(layer.build().unwrap());
    assert_eq!(statuses(&app, "/", Some("pro"), 4).await, [200, 200, 200, 429]);
    assert_eq!(statuses(&app, "/", Some("basic"), 2).await, [200, 429]);
    assert_eq!(statuses(&app, "/", None, 2).await, [200, 429]);
}

#[tokio::test]
async fn the_same_limit_met_twice_is_charged_once() {
    let gate = gate();
    let api = gate.limiter("2/minute").name("api").open().unwrap();
    let layer = || RateLimitLayer::builder(&api).store(&gate).build().unwrap();
    let app = Router::new().route("/", get(|| async { "ok" })).layer(layer()).layer(layer());
    assert_eq!(statuses(&app, "/", None, 3).await, [200, 200, 429]);
    assert_eq!(ask(&app, "/", None).await.headers().get_all("ratelimit").iter().count(), 1);
}

#[tokio::test]
async fn two_layers_say_both_limits() {
    let gate = gate();
    let layer = |rates: &str, name: &str| {
        RateLimitLayer::builder(rates).name(name).store(&gate).build().unwrap()
    };
    let app = Router::new()
        .route("/expensive", post(|| async { "ok" }).layer(layer("1/minute", "expensive")))
        .layer(layer("10/minute", "api"));
    let ask = || app.clone().oneshot(request(Method::POST, "/expensive", None));
    let first = ask().await.unwrap();
    let lists: Vec<_> = first.headers().get_all("ratelimit-policy").iter().collect();
    assert_eq!(lists, ["\"api\";q=10;w=60, \"expensive\";q=1;w=60"]);
    assert_eq!(field(&first, "x-ratelimit-limit"), "1");
    let refused = ask().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(field(&refused, "retry-after"), "60");
}

#[tokio::test]
async fn the_handler_sees_the_decision_and_shadow_is_invisible() {
    let gate = gate();
    let layer = RateLimitLayer::builder("1/minute").store(&gate).mode(Mode::Shadow);
    let show = |Extension(decision): Extension<Decision>| async move {
        format!("{} {}", decision.allowed(), decision.would_deny())
    };
    let app = Router::new().route("/", get(show)).layer(layer.build().unwrap());
    for expected in ["true false", "true true"] {
        let response = ask(&app, "/", None).await;
        assert!(!response.headers().contains_key("ratelimit"));
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_refusal_may_be_anything() {
    let gate = gate();
    let layer = RateLimitLayer::builder("1/minute").store(&gate).on_denied(|decision| {
        let mut response = Response::new(format!("wait {:?}", decision.retry_after().unwrap()));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let called = Arc::new(AtomicUsize::new(0));
    let count = called.clone();
    let handler = move || async move {
        count.fetch_add(1, Ordering::SeqCst);
        "ok"
    };
    let app = Router::new().route("/", get(handler)).layer(layer.build().unwrap());
    assert_eq!(ask(&app, "/", None).await.status(), 200);
    let refused = ask(&app, "/", None).await;
    assert_eq!(refused.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(field(&refused, "retry-after"), "60");
    assert_eq!(to_bytes(refused.into_body(), 100).await.unwrap(), "wait 60s");
    assert_eq!(called.load(Ordering::SeqCst), 1, "a refused request does not reach the handler");
}

#[tokio::test]
async fn exempt_requests_and_identities_that_are_no_keys() {
    let gate = gate();
    let layer = RateLimitLayer::builder("1/minute").store(&gate).key_header("x-api-key");
    let layer = layer.exempt(["/health"]).exempt_if(|head| head.headers.contains_key("x-internal"));
    let ok = get(|| async { "ok" });
    let app =
        Router::new().route("/", ok.clone()).route("/health", ok).layer(layer.build().unwrap());
    assert_eq!(statuses(&app, "/health", None, 3).await, [200; 3]);
    assert_eq!(statuses(&app, "/", Some(""), 2).await, [200, 429], "no identity: the address");
    assert_eq!(statuses(&app, "/", None, 1).await, [429]);
    let long = "k".repeat(5000);
    assert_eq!(statuses(&app, "/", Some(&long), 2).await, [200, 429]);
    let mut internal = request(Method::GET, "/", None);
    internal.headers_mut().insert("x-internal", "1".parse().unwrap());
    assert_eq!(app.clone().oneshot(internal).await.unwrap().status(), 200);
}

#[test]
fn what_cannot_work_is_said_when_the_layer_is_built() {
    let gate = gate();
    let build = |rates: &str| RateLimitLayer::builder(rates).store(&gate);
    let say = |builder: tidegate::tower::RateLimitBuilder| {
        builder.build().expect_err("an error").to_string()
    };
    assert!(say(build("100/fortnight")).contains("100/fortnight"));
    assert!(say(build("100/fortnight").per_route()).contains("100/fortnight"));
    assert!(say(build("1/s").name("a b")).contains("a b"));
    assert!(say(build("1/s").trusted_proxies("10.0.0.0/99")).contains("10.0.0.0/99"));
    assert!(say(RateLimitLayer::builder("1/s").store_url("http://x")).contains("redis://"));
}

#[tokio::test]
async fn the_service_answers_under_every_policy_while_its_store_is_away() {
    let server = Server::one();
    let gate = Gate::connect(&format!("{}?timeout_ms=50", server.url())).unwrap();
    let app = |policy: OnFailure| {
        let layer = RateLimitLayer::builder("2/minute").store(&gate).name(policy.as_str());
        let layer = layer.on_failure(policy).build().unwrap();
        Router::new().route("/", get(|| async { "ok" })).layer(layer)
    };
    let (local, open, closed) =
        (app(OnFailure::Local), app(OnFailure::Open), app(OnFailure::Closed));
    assert_eq!(statuses(&closed, "/", None, 3).await, [200, 200, 429]);
    server.freeze();
    assert_eq!(statuses(&local, "/", None, 3).await, [200, 200, 429]);
    assert_eq!(statuses(&open, "/", None, 5).await, [200; 5]);
    let refused = ask(&closed, "/", None).await;
    assert_eq!(refused.status(), 503);
    assert!(!refused.headers().contains_key("ratelimit"), "no quota is claimed");
    server.thaw();
}
