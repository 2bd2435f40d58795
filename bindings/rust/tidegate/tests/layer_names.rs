// SPDX-License-Identifier: MIT
//! What a layer's limits are called, and what it refuses to be built with.
#![cfg(feature = "axum")]

mod support;
#[path = "support/web.rs"]
mod web;

use axum::routing::{get, post};
use axum::Router;
use tidegate::tower::{Limits, RateLimitBuilder, RateLimitLayer};
use tidegate::{Error, Gate, Mode};
use web::{ask, field, gate, names, ok, request, send, statuses};

fn per_route(gate: &Gate, rates: &str) -> RateLimitLayer {
    RateLimitLayer::builder(rates).store(gate).per_route().build().unwrap()
}

#[tokio::test]
async fn unknown_paths_are_one_limit_and_open_nothing() {
    let gate = gate();
    let app = Router::new().route("/", ok()).layer(per_route(&gate, "2/minute"));
    assert_eq!(statuses(&app, ["/a", "/a/", "//a", "/%61"]).await, [404, 404, 429, 429]);
    assert_eq!(names(&ask(&app, "/b").await), ["GET.unmatched"]);
    assert_eq!(names(&ask(&app, "/").await), ["GET"], "a route has its own");
    // 65,536 is what a gate has room for: no path takes any of it.
    for path in 0..1000 {
        let _ = ask(&app, &format!("/scan/{path}")).await;
    }
    let room = (0..65_500).all(|n| gate.limiter(&format!("{}/hour", n + 1)).open().is_ok());
    assert!(room);
}

#[tokio::test]
async fn methods_that_callers_make_up_are_one_limit() {
    let gate = gate();
    let app = Router::new().route("/", ok()).layer(per_route(&gate, "2/minute"));
    let mut seen = Vec::new();
    for method in ["M1", "M2", "M3"] {
        seen.push(send(&app, request(method, "/", &[])).await.status().as_u16());
    }
    assert_eq!(seen, [405, 405, 429]);
}

#[tokio::test]
async fn a_route_is_named_by_mount_method_and_template() {
    let gate = gate();
    let handlers = get(|| async { "ok" }).post(|| async { "ok" });
    let inner = Router::new().route("/items/{id}", handlers).layer(per_route(&gate, "1/minute"));
    let login = post(|| async { "ok" }).layer(per_route(&gate, "5/minute"));
    let app = Router::new().nest("/v1", inner).route("/login", login);
    assert_eq!(names(&ask(&app, "/v1/items/1").await), ["v1.GET.items-id"]);
    assert_eq!(ask(&app, "/v1/items/2").await.status(), 429);
    let posted = send(&app, request("POST", "/v1/items/1", &[])).await;
    assert_eq!((posted.status().as_u16(), names(&posted)), (200, vec!["v1.POST.items-id".into()]));
    let posted = send(&app, request("POST", "/login", &[])).await;
    assert_eq!(names(&posted), ["POST.login"], "another route's numbers do not matter");
}

#[tokio::test]
async fn without_a_name_a_layer_is_named_by_where_it_stands() {
    let gate = gate();
    let layer = || RateLimitLayer::builder("2/minute").store(&gate).build().unwrap();
    let inner = |gate: &Gate| {
        let layer = RateLimitLayer::builder("2/minute").store(gate).build().unwrap();
        Router::new().route("/x", ok()).layer(layer)
    };
    let app = Router::new().nest("/a", inner(&gate)).nest("/b", inner(&gate));
    let app = app.route("/", ok().layer(layer()));
    assert_eq!(names(&ask(&app, "/").await), ["2-per-60s"]);
    assert_eq!(names(&ask(&app, "/a/x").await), ["a"]);
    assert_eq!(statuses(&app, ["/a/x", "/a/x", "/b/x"]).await, [200, 429, 200]);
}

#[tokio::test]
async fn several_rates_on_a_route_have_their_numbers_behind_its_name() {
    let gate = gate();
    let layer = RateLimitLayer::builder(["10/second", "100/minute"]).store(&gate).per_route();
    let app = Router::new().route("/x", ok()).layer(layer.build().unwrap());
    assert_eq!(names(&ask(&app, "/x").await), ["GET.x.10-per-1s", "GET.x.100-per-60s"]);
    let unmatched = ask(&app, "/y").await;
    assert_eq!(names(&unmatched), ["GET.unmatched.10-per-1s", "GET.unmatched.100-per-60s"]);
}

#[tokio::test]
async fn two_layers_on_a_route_have_two_limits_whichever_request_comes_first() {
    for is_exempt_first in [false, true] {
        let gate = gate();
        let outer = RateLimitLayer::builder("10/second").store(&gate).per_route();
        let outer = outer.exempt_if(|head| head.headers.contains_key("x-internal"));
        let app = Router::new().route("/x", ok()).layer(per_route(&gate, "100/minute"));
        let app = app.layer(outer.build().unwrap());
        if is_exempt_first {
            let internal = send(&app, request("GET", "/x", &[("x-internal", b"1")])).await;
            assert_eq!(names(&internal), ["GET.x.100-per-60s"]);
        }
        assert_eq!(names(&ask(&app, "/x").await), ["GET.x", "GET.x.100-per-60s"]);
    }
    // A limiter has a name of its own, and takes none of a route's.
    let gate = gate();
    let api = gate.limiter("10/second").name("api").open().unwrap();
    let outer = RateLimitLayer::builder(&api).per_route().build().unwrap();
    let app = Router::new().route("/x", ok()).layer(per_route(&gate, "100/minute")).layer(outer);
    assert_eq!(names(&ask(&app, "/x").await), ["api", "GET.x"]);
}

#[tokio::test]
async fn a_routes_name_that_something_else_has_is_no_error() {
    let gate = gate();
    let _mine = gate.limiter("7/minute").name("GET.x").open().unwrap();
    let app = Router::new().route("/x", ok()).layer(per_route(&gate, "3/minute"));
    assert_eq!(names(&ask(&app, "/x").await), ["GET.x.3-per-60s"]);
    // The same numbers in another mode are another limit.
    let shadow = RateLimitLayer::builder("3/minute").store(&gate).per_route().mode(Mode::Shadow);
    let app = Router::new().route("/y", ok()).layer(per_route(&gate, "3/minute"));
    let app = app.layer(shadow.build().unwrap());
    assert_eq!(names(&ask(&app, "/y").await), ["GET.y.3-per-60s"]);
}

#[tokio::test]
async fn tiers_and_lists_of_a_name_have_their_numbers_behind_it() {
    let gate = gate();
    let of = |rates: &[&str]| RateLimitLayer::builder(rates.to_vec()).store(&gate).name("api");
    let tiers = of(&["1/second"]).limit_by(|head| match head.uri.path() {
        "/pro" => "500/minute",
        _ => "100/minute",
    });
    let app = Router::new().route("/pro", ok()).route("/basic", ok()).layer(tiers.build().unwrap());
    assert_eq!(names(&ask(&app, "/basic").await), ["api.100-per-60s"]);
    assert_eq!(names(&ask(&app, "/pro").await), ["api.500-per-60s"]);
    let list = of(&["10/second", "100/minute"]).build().unwrap();
    let app = Router::new().route("/", ok()).layer(list);
    assert_eq!(names(&ask(&app, "/").await), ["api.10-per-1s", "api.100-per-60s"]);
    let one = of(&["9/minute"]).build().unwrap();
    assert_eq!(names(&ask(&Router::new().route("/", ok()).layer(one), "/").await), ["api"]);
}

#[tokio::test]
async fn tiers_may_be_per_route() {
    let gate = gate();
    let layer = RateLimitLayer::builder("unused/never").store(&gate).per_route();
    let layer = layer.limit_by(|_| "1/minute").build().unwrap();
    let app = Router::new().route("/a", ok()).route("/b", ok()).layer(layer);
    assert_eq!(statuses(&app, ["/a", "/a", "/b"]).await, [200, 429, 200]);
    assert_eq!(names(&ask(&app, "/a").await), ["GET.a.1-per-60s"]);
}

#[tokio::test]
async fn the_template_may_come_from_elsewhere() {
    let gate = gate();
    let layer = RateLimitLayer::builder("1/minute").store(&gate);
    let template = |head: &axum::http::request::Parts| {
        head.uri.path().starts_with("/items/").then(|| "/items/:id".to_owned())
    };
    let app = Router::new().fallback(ok());
    let app = app.layer(layer.per_route_of(template).build().unwrap());
    assert_eq!(statuses(&app, ["/items/1", "/items/2", "/x", "/y"]).await, [200, 429, 200, 429]);
}

#[tokio::test]
async fn limits_with_keys_of_their_own_are_one_check() {
    let gate = gate();
    let tenant = |head: &axum::http::request::Parts| {
        Some(head.headers.get("x-tenant")?.to_str().ok()?.to_owned())
    };
    let layer = RateLimitLayer::builder("2/minute").store(&gate).key_header("x-user");
    let layer = layer.and("3/minute", tenant).and("2/minute", tenant).name("api").build().unwrap();
    let app = Router::new().route("/", ok()).layer(layer);
    let as_who = |user: &'static str, tenant: &'static str| {
        let fields = [("x-user", user.as_bytes()), ("x-tenant", tenant.as_bytes())];
        send(&app, request("GET", "/", &fields))
    };
    let first = as_who("u", "t").await;
    // The user "u" and a tenant "u" may have the same numbers, but not the same tokens.
    assert_eq!(names(&first), ["api.2-per-60s", "api.3-per-60s", "api.3.2-per-60s"]);
    assert_eq!(as_who("other", "u").await.status(), 200);
    assert_eq!(as_who("u", "t").await.status(), 200);
    for _ in 0..3 {
        assert_eq!(as_who("u", "t2").await.status(), 429, "the user's are gone");
    }
    let tenants = as_who("u2", "t2").await;
    assert_eq!(tenants.status(), 200, "and the tenant was not charged for him");
    assert_eq!(field(&tenants, "x-ratelimit-remaining"), "1");
}

#[tokio::test]
async fn the_same_limit_twice_in_one_layer_is_charged_once() {
    let layer = RateLimitLayer::builder(["2/minute", "2/minute"]).store(&gate()).build().unwrap();
    let app = Router::new().route("/", ok()).layer(layer);
    assert_eq!(statuses(&app, ["/"; 3]).await, [200, 200, 429]);
}

#[tokio::test]
async fn header_values_that_are_not_text_are_callers_of_their_own() {
    let layer = RateLimitLayer::builder("1/minute").store(&gate()).key_header("x-api-key");
    let app = Router::new().route("/", ok()).layer(layer.build().unwrap());
    for (key, status) in [(b"\xfe1", 200), (b"\xff1", 200), (b"\xfe1", 429)] {
        let response = send(&app, request("GET", "/", &[("x-api-key", key)])).await;
        assert_eq!(response.status(), status, "{key:?}");
    }
}

#[tokio::test]
async fn limiters_bring_their_gate() {
    let gate = gate();
    let api = gate.limiter("1/minute").name("api").open().unwrap();
    let layer = RateLimitLayer::builder([Limits::from(&api), "5/second".into()]).build().unwrap();
    let app = Router::new().route("/", ok()).layer(layer);
    assert_eq!(statuses(&app, ["/", "/"]).await, [200, 429]);
    assert!(gate.stats().unwrap().denied == 1);
}

#[test]
fn what_cannot_work_is_said_when_the_layer_is_built() {
    let (gate, other) = (gate(), gate());
    let foreign = other.limiter("5/minute").name("foreign").open().unwrap();
    let refused = |builder: RateLimitBuilder| -> Error {
        let Err(why) = builder.store(&gate).build() else { panic!("it was built") };
        assert!(why.is_config(), "{why}");
        why
    };
    let builder = |limits: Limits| RateLimitLayer::builder(limits);
    let named = |rates: &str, name: &str| builder(rates.into()).name(name);
    let why = refused(builder([Limits::from("1/minute"), (&foreign).into()].into()));
    assert!(why.to_string().contains("foreign"), "{why}");
    let many: Vec<String> = (1..18).map(|n| format!("{n}/minute")).collect();
    assert!(refused(builder(many.into())).to_string().contains("17 limits"));
    let nothing = || Limits::from(Vec::<String>::new());
    assert!(refused(builder(nothing())).to_string().contains("no limits"));
    assert!(refused(builder("1/s".into()).and(nothing(), |_| None)).to_string().contains("no lim"));
    assert!(refused(named("1/s", "api").per_route()).to_string().contains("per_route"));
    assert!(refused(builder("1/fortnight".into()).per_route()).to_string().contains("fortnight"));
    assert!(refused(builder("1/s".into()).and("1/aeon", |_| None)).to_string().contains("aeon"));
    named("1/s", "api").store(&gate).build().unwrap();
    assert!(matches!(refused(named("2/s", "api")), Error::Conflict(_)));
}
