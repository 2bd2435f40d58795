// SPDX-License-Identifier: MIT
//! Policies in front of an application: what a layer tells its guard, and what it does when the
//! response is done.
#![cfg(feature = "axum")]

mod support;
#[path = "support/web.rs"]
mod web;

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Path;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http_body::Frame;
use http_body_util::BodyExt;
use tidegate::testing::FakeClock;
use tidegate::tower::{RateLimitBuilder, RateLimitLayer, Used};
use tidegate::{Attributes, Decision, Gate, Verdict};
use tower::{Layer, ServiceExt};
use web::{ask, field, names, ok, request, send, statuses, text};

fn gate(policy: &str) -> Gate {
    let clock = FakeClock::new(1_763_683_200_000_000);
    Gate::builder().url("memory://").clock(&clock).policy(policy).open().unwrap()
}

fn by_policy(gate: &Gate) -> RateLimitBuilder {
    RateLimitLayer::by_policy().store(gate).key_header("x-api-key")
}

fn keyed(method: &str, path: &str, key: &str) -> Request<Body> {
    request(method, path, &[("x-api-key", key.as_bytes())])
}

fn left(response: &Response<Body>) -> u64 {
    field(response, "x-ratelimit-remaining").parse().unwrap()
}

const APP: &str = "version: 1\nlimiters: {app: 10/minute}\nrules: [{limit: app}]\n";

#[tokio::test]
async fn a_gates_policy_is_met_once_by_layers_within_layers() {
    let gate = gate(APP);
    // Who asks is known to the outer layer only: the inner one may not charge his address.
    let inner = RateLimitLayer::builder("5/minute").store(&gate).per_route().build().unwrap();
    let app = Router::new().route("/", ok().layer(inner)).layer(by_policy(&gate).build().unwrap());
    let first = send(&app, keyed("GET", "/", "k")).await;
    assert_eq!(names(&first), ["app", "GET"]);
    assert_eq!(gate.stats().unwrap().allowed, 2);
    let outer = gate.check(Attributes::new().identity("k")).call().unwrap();
    assert_eq!(outer.remaining(), Some(8));
}

#[tokio::test]
async fn what_an_inner_layer_refuses_costs_nothing_around_it() {
    let app_gate = gate(APP);
    for inner_gate in [app_gate.clone(), web::gate()] {
        let inner = RateLimitLayer::builder("1/minute").name("inner").store(&inner_gate);
        let app = Router::new().route("/", ok().layer(inner.build().unwrap()));
        let app = app.layer(by_policy(&app_gate).build().unwrap());
        let before = app_gate.policy().explain(Attributes::new().identity("k")).unwrap();
        for expected in [200, 429, 429] {
            assert_eq!(send(&app, keyed("GET", "/", "k")).await.status(), expected);
        }
        let refused = send(&app, keyed("GET", "/", "k")).await;
        assert_eq!(names(&refused).last().unwrap(), "inner");
        assert_eq!(field(&refused, "x-ratelimit-remaining"), "0");
        let after = app_gate.policy().explain(Attributes::new().identity("k")).unwrap();
        let left = |text: &str| -> u64 {
            let figure = text.split(r#""remaining":"#).nth(1).unwrap();
            figure.split(',').next().unwrap().parse().unwrap()
        };
        assert_eq!(left(&before) - left(&after), 1, "one request of four was served");
    }
}

const JOBS: &str = "version: 1\nlimiters: {jobs: {rate: 1 at once, lease: 300ms}}\n\
                    rules: [{limit: jobs}]\n";

/// A body of two frames.
struct Frames(std::array::IntoIter<&'static str, 2>);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.next();
        Poll::Ready(next.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

fn streamed() -> Body {
    Body::new(Frames(["a", "b"].into_iter()))
}

#[tokio::test]
async fn a_slot_is_held_until_the_response_is_done() {
    let gate = gate(JOBS);
    let app = Router::new().route("/", get(|| async { streamed() }));
    let app = app.layer(by_policy(&gate).build().unwrap());
    let mut first = ask(&app, "/").await;
    assert_eq!(first.status(), 200);
    let frame = first.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "a");
    assert_eq!(ask(&app, "/").await.status(), 429, "it is under way");
    assert_eq!(text(first).await, "b");
    let second = ask(&app, "/").await;
    assert_eq!(second.status(), 200);
    drop(second);
    assert_eq!(ask(&app, "/").await.status(), 200, "a body that is dropped is done too");
}

#[tokio::test]
async fn a_slot_is_given_back_where_there_is_no_response() {
    let gate = gate(JOBS);
    let wait = || async { pending::<&str>().await };
    let fail = || async { std::hint::black_box(None::<&str>).expect("a panic on purpose") };
    let app = Router::new().route("/wait", get(wait)).route("/panic", get(fail)).route("/", ok());
    let app = app.layer(by_policy(&gate).build().unwrap());
    let gone = tokio::time::timeout(Duration::from_millis(20), ask(&app, "/wait")).await;
    assert!(gone.is_err(), "its caller has gone");
    assert_eq!(ask(&app, "/").await.status(), 200);
    let panicking = {
        let app = app.clone();
        tokio::spawn(async move { ask(&app, "/panic").await })
    };
    assert!(panicking.await.is_err());
    assert_eq!(ask(&app, "/").await.status(), 200);
}

#[tokio::test]
async fn a_service_that_fails_is_settled_as_500_and_a_caller_who_goes_as_499() {
    let policy = "version: 1\nlimiters: {a: 5/minute, jobs: {rate: 1 at once, lease: 30s}}\n\
                  rules: [{limit: a, count: [500]}, {limit: jobs}]\n";
    let gate = gate(policy);
    let layer = RateLimitLayer::by_policy().store(&gate).build().unwrap();
    let service = layer.layer(tower::service_fn(|request: Request<Body>| async move {
        match request.uri().path() {
            "/wait" => pending().await,
            _ => Err::<Response<Body>, _>(std::io::Error::other("on purpose")),
        }
    }));
    let left = || {
        let at_all = gate.policy().explain(Attributes::new().address("203.0.113.7")).unwrap();
        let figures = at_all.split(r#""remaining":"#).skip(1);
        figures.map(|text| text.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(service.clone().oneshot(request("GET", "/", &[])).await.is_err());
    assert_eq!(left(), ["4", "1"]);
    let call = service.clone().oneshot(request("GET", "/wait", &[]));
    assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    assert_eq!(left(), ["4", "1"]);
}

#[tokio::test]
async fn a_slot_is_renewed_while_the_handler_works_and_while_the_body_is_sent() {
    let gate = Gate::builder().url("memory://").policy(JOBS).open().unwrap();
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        streamed()
    };
    let app = Router::new().route("/", get(slow)).layer(by_policy(&gate).build().unwrap());
    let first = {
        let app = app.clone();
        tokio::spawn(async move { ask(&app, "/").await })
    };
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(ask(&app, "/").await.status(), 429, "twice the lease later");
    let first = first.await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(ask(&app, "/").await.status(), 429, "its body is not done");
    drop(first);
    assert_eq!(ask(&app, "/").await.status(), 200);
}

#[tokio::test]
async fn what_counts_is_known_when_the_response_is() {
    let policy = r#"
version: 1
limiters: {logins: 3/minute, tokens: 1000/minute overdraft 1000}
rules:
  - {when: {path: /login/*}, limit: logins, count: failed}
  - {when: {path: /chat/*}, limit: tokens, cost: 100, settle: "{used}"}
"#;
    let gate = gate(policy);
    let login = |Path(status): Path<u16>| async move { StatusCode::from_u16(status).unwrap() };
    let chat = |Path(used): Path<u32>, Extension(tell): Extension<Used>| async move {
        tell.tell("used", used);
        "ok"
    };
    let app = Router::new().route("/login/{status}", post(login)).route("/chat/{used}", post(chat));
    let app = app.layer(by_policy(&gate).build().unwrap());
    let mut seen = Vec::new();
    for status in ["200", "401", "200", "200", "401", "200"] {
        seen.push(left(&send(&app, request("POST", &format!("/login/{status}"), &[])).await));
    }
    assert_eq!(seen, [2, 2, 1, 1, 1, 0], "before what does not count is given back");
    let mut seen = Vec::new();
    for used in [100, 350, 0, 100] {
        seen.push(left(&send(&app, request("POST", &format!("/chat/{used}"), &[])).await));
    }
    assert_eq!(seen, [900, 800, 450, 450]);
}

#[tokio::test]
async fn an_exempt_layer_within_says_nothing_and_settles_nothing() {
    let policy = "version: 1\nlimiters: {a: 3/minute, jobs: {rate: 1 at once, lease: 30s}}\n\
                  rules: [{limit: [a, jobs]}]\n";
    let gate = gate(policy);
    let inner = RateLimitLayer::builder("1/minute").store(&gate).exempt(["/"]).build().unwrap();
    let show = |Extension(decision): Extension<Decision>| async move { decision.name() };
    let app = Router::new().route("/", get(show).layer(inner));
    let app = app.layer(by_policy(&gate).build().unwrap());
    let first = ask(&app, "/").await;
    assert_eq!(names(&first), ["a", "jobs"], "what the outer layer met");
    assert_eq!(ask(&app, "/").await.status(), 429, "the slot is held");
    assert_eq!(text(first).await, "jobs");
    assert_eq!(ask(&app, "/").await.status(), 200);
}

const TIERS: &str = r#"
version: 1
limiters: {basic: 1/minute, pro: 5/minute, images: 10/minute}
tiers: {basic: [basic], pro: [pro]}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /v1/images/*}, limit: images, cost: "{images}"}
  - {limit: tier}
callers:
  k_evil: {ban: true, reason: scraping}
"#;

#[tokio::test]
async fn who_asks_may_be_found_in_every_way() {
    let gate = gate(TIERS);
    let text_of = |name: &'static str| {
        move |head: &axum::http::request::Parts| {
            Some(head.headers.get(name)?.to_str().ok()?.to_owned())
        }
    };
    let sync = RateLimitLayer::by_policy().store(&gate).identity(text_of("x-api-key"));
    let sync = sync.tier(text_of("x-tier")).attributes(|_| Attributes::new().with("images", 4));
    let awaited = RateLimitLayer::by_policy().store(&gate).find_attributes(|head| {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let of = |name| head.headers.get(name).map(|value| value.as_bytes());
            let mut found = Attributes::new().with("images", 4);
            if let Some(key) = of("x-api-key") {
                found = found.identity(key);
            }
            if let Some(tier) = of("x-tier") {
                found = found.tier(tier);
            }
            found
        })
    });
    for (way, layer) in [("sync", sync), ("awaited", awaited)] {
        let app = Router::new().fallback(ok()).layer(layer.build().unwrap());
        let as_who = |key: &str, tier: &str| {
            let (key, tier) = (format!("{way}-{key}"), tier.to_owned());
            let fields = [("x-api-key", key.as_bytes()), ("x-tier", tier.as_bytes())];
            send(&app, request("GET", "/v1/images/x", &fields))
        };
        let pro = as_who("k", "pro").await;
        assert_eq!(names(&pro), ["images", "pro"], "{way}");
        assert_eq!(field(&pro, "ratelimit"), "\"images\";r=6;t=6, \"pro\";r=4;t=12", "{way}");
        let fields = [("x-api-key", &b"k_evil"[..])];
        assert_eq!(send(&app, request("GET", "/", &fields)).await.status(), 403, "{way}");
        let mistaken = as_who("k2", "gold").await;
        assert_eq!(mistaken.status(), 500, "{way}");
    }
}

#[tokio::test]
async fn a_ban_is_told_and_a_message_is_not_for_it() {
    let gate = gate(TIERS);
    let plain = by_policy(&gate).message("Too many requests").build().unwrap();
    let app = Router::new().fallback(ok()).layer(plain);
    let banned = send(&app, keyed("GET", "/", "k_evil")).await;
    assert_eq!(banned.status(), 403);
    assert_eq!(field(&banned, "content-type"), "application/problem+json");
    assert!(text(banned).await.contains("This caller is banned."));
    assert_eq!(send(&app, keyed("GET", "/", "k")).await.status(), 200);
    assert_eq!(text(send(&app, keyed("GET", "/", "k")).await).await, "Too many requests");

    let own = by_policy(&gate).on_denied_of(|head, decision| {
        let is_banned = decision.verdict() == Verdict::Banned;
        is_banned.then(|| Response::new(format!("{} {:?}", head.uri.path(), decision.reason())))
    });
    let app = Router::new().fallback(ok()).layer(own.build().unwrap());
    let banned = send(&app, keyed("GET", "/x", "k_evil")).await;
    assert_eq!(text(banned).await, "/x Some(\"scraping\")");
    assert_eq!(send(&app, keyed("GET", "/", "k")).await.status(), 429, "None: as without it");

    gate.close().unwrap();
    let quiet = RateLimitLayer::by_policy().store(&self::gate(TIERS)).tier(|_| Some("gold".into()));
    let quiet = quiet.on_error_of(|head, why| {
        let is_api = head.uri.path().starts_with("/api");
        is_api.then(|| Response::new(why.name().to_owned()))
    });
    let app = Router::new().fallback(ok()).layer(quiet.build().unwrap());
    assert_eq!(text(ask(&app, "/api").await).await, "TG_EATTRIBUTE");
    assert_eq!(ask(&app, "/").await.status(), 500);
}

#[tokio::test]
async fn a_policy_sees_the_path_as_it_came_and_exempt_paths_are_those_of_the_router() {
    let gate = gate(TIERS);
    let layer = by_policy(&gate).attributes(|_| Attributes::new().with("images", 1));
    let inner = Router::new().fallback(ok()).layer(layer.exempt(["/open"]).build().unwrap());
    let app = Router::new().nest("/v1", inner);
    assert_eq!(names(&ask(&app, "/v1/images/x").await), ["images", "basic"]);
    assert_eq!(statuses(&app, ["/v1//images/../images/%78"]).await, [429], "another spelling");
    for path in ["/v1/open", "/v1/open"] {
        let response = ask(&app, path).await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("ratelimit"));
    }
    let whole = Router::new().fallback(ok()).layer(by_policy(&gate).build().unwrap());
    assert_eq!(statuses(&whole, ["/health", "/%68ealth", "//health"]).await, [200; 3]);
}

#[tokio::test]
async fn a_layer_may_have_a_policy_of_its_own() {
    let gate = web::gate();
    let layer = |policy: &str| by_policy(&gate).policy(policy);
    let app = Router::new().fallback(ok()).layer(layer(APP).build().unwrap());
    assert_eq!(left(&ask(&app, "/").await), 9);
    let why = layer("version: 1\nlimiters: {a: 1/fortnight}\n").build().unwrap_err();
    assert!(why.to_string().contains("fortnight"), "{why}");
    let why = by_policy(&gate).build().unwrap_err();
    assert!(why.to_string().contains("expected a policy"), "{why}");
    let far = web::gate().limiter("1/s").name("far").open().unwrap();
    let tiers =
        RateLimitLayer::builder("1/s").store(&gate).policy(APP).limit_by(move |_| far.clone());
    let app = Router::new().fallback(ok()).layer(tiers.build().unwrap());
    assert_eq!(ask(&app, "/").await.status(), 500);
}

#[tokio::test]
async fn slots_may_stand_in_a_layer_without_a_policy() {
    let gate = web::gate();
    let layer = RateLimitLayer::builder("1 at once").name("jobs").lease(Duration::from_secs(7));
    let app = Router::new().route("/", get(|| async { streamed() }));
    let app = app.layer(layer.store(&gate).build().unwrap());
    let first = ask(&app, "/").await;
    assert_eq!(field(&first, "ratelimit-policy"), "\"jobs\";q=1;w=7");
    assert_eq!(ask(&app, "/").await.status(), 429);
    drop(first);
    assert_eq!(statuses(&app, ["/", "/"]).await, [200, 200]);
    let places = RateLimitLayer::builder("1 at once").per_route().lease(Duration::from_secs(7));
    let app = Router::new().route("/x", ok()).layer(places.store(&gate).build().unwrap());
    assert_eq!(statuses(&app, ["/x", "/x"]).await, [200, 200]);
    let other = gate.limiter("1 at once").name("GET.x").open();
    assert!(other.is_err(), "it has another lease");
}

#[tokio::test]
async fn attributes_of_an_application_are_none_of_the_guards_own() {
    let gate = gate(TIERS);
    let layer = by_policy(&gate).attributes(|head| {
        let pairs = head.uri.query().unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.split_once('=')).collect()
    });
    let app = Router::new().fallback(ok()).layer(layer.build().unwrap());
    assert_eq!(ask(&app, "/?tenant=t").await.status(), 200);
    let response = ask(&app, "/?@exempt=/").await;
    assert_eq!(response.status(), 500);
    let why = response.extensions().get::<tidegate::Error>().unwrap().to_string();
    assert!(why.contains("@exempt"), "{why}");
}

#[tokio::test]
async fn any_number_of_paths_may_be_exempt() {
    let paths = (0..1000).map(|n| format!("/open/{n}"));
    let layer = RateLimitLayer::builder("1/minute").store(&web::gate()).exempt(paths);
    let app = Router::new().fallback(ok()).layer(layer.build().unwrap());
    assert_eq!(statuses(&app, ["/open/999", "/open/0", "/", "/"]).await, [200, 200, 200, 429]);
}

/// A function may need a field that a preflight or a health check does not send.
#[tokio::test]
async fn functions_are_not_asked_who_comes_where_it_does_not_matter() {
    fn own<T>(head: &axum::http::request::Parts, make: impl Fn(&str) -> T) -> T {
        make(head.headers.get("x-own").expect("a field").to_str().unwrap())
    }
    let layer = RateLimitLayer::builder("5/minute")
        .limit_by(|head| own(head, |_| "1/minute"))
        .and("9/minute", |head| own(head, |text| Some(text.to_owned())))
        .store(&gate(TIERS))
        .key(|head| own(head, |text| Some(text.to_owned())))
        .identity(|head| own(head, |text| Some(text.to_owned())))
        .tier(|head| own(head, |_| Some("pro".to_owned())))
        .attributes(|head| own(head, |_| Attributes::new()))
        .find_attributes(|head| Box::pin(async move { own(head, |_| Attributes::new()) }))
        .cost(|head| own(head, |_| 1))
        .exempt(["/open"])
        .build()
        .unwrap();
    let app = Router::new().fallback(ok()).layer(layer);
    assert_eq!(ask(&app, "/open").await.status(), 200);
    let fields: [(&str, &[u8]); 2] =
        [("origin", b"https://a"), ("access-control-request-method", b"POST")];
    let preflight = send(&app, request("OPTIONS", "/", &fields)).await;
    assert!(!preflight.headers().contains_key("ratelimit"));
    let known = send(&app, request("GET", "/", &[("x-own", b"k")])).await;
    assert_eq!(names(&known).len(), 3);
}
