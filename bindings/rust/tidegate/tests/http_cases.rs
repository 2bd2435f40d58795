// SPDX-License-Identifier: MIT
//! The table of requests and answers that every middleware is held to, over real HTTP with axum.
#![cfg(feature = "axum")]

mod support;

use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

use axum::http::header::{HeaderMap, HeaderName, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::routing::{any, MethodRouter};
use axum::Router;
use serde_json::{json, Value};
use tidegate::testing::FakeClock;
use tidegate::tower::{Limits, RateLimitBuilder, RateLimitLayer};
use tidegate::{Gate, HeaderStyles, Limiter, Mode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// One request over a connection of its own; nothing between the bytes and the test.
async fn send(to: SocketAddr, request: &Value) -> Response {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut head = format!("{} {} HTTP/1.1\r\n", text(&request["method"]), text(&request["path"]));
    for field in request["headers"].as_array().unwrap() {
        head += &format!("{}: {}\r\n", text(&field[0]), text(&field[1]));
    }
    head += "Host: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let answer = String::from_utf8(bytes).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields = lines.filter_map(|line| line.split_once(": "));
    let headers = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Response { status, headers, body: body.to_owned() }
}

fn algorithm(name: &Value) -> tidegate::Algorithm {
    match name.as_str().unwrap() {
        "token_bucket" => tidegate::Algorithm::TokenBucket,
        "fixed_window" => tidegate::Algorithm::FixedWindow,
        "sliding_window" => tidegate::Algorithm::SlidingWindow,
        "sliding_log" => tidegate::Algorithm::SlidingLog,
        other => panic!("unknown algorithm {other}"),
    }
}

fn mode(name: &Value) -> Mode {
    match name.as_str().unwrap() {
        "enforce" => Mode::Enforce,
        "shadow" => Mode::Shadow,
        "off" => Mode::Off,
        other => panic!("unknown mode {other}"),
    }
}

fn open(gate: &Gate, limit: &Value) -> Limiter {
    let rates = limit["rates"].as_str().unwrap();
    let name = limit["name"].as_str().unwrap_or_default().to_owned();
    let wish = gate.limiter(rates).algorithm(algorithm(&limit["algorithm"]));
    wish.mode(mode(&limit["mode"])).name(&name).open().unwrap()
}

/// A field's value, where it is there.
fn field_of(name: &Value) -> impl Fn(&Parts) -> Option<String> + Send + Sync + 'static {
    let name = name.as_str().unwrap().to_owned();
    move |head| Some(head.headers.get(name.as_str())?.to_str().unwrap().to_owned())
}

fn styles(names: &Value) -> HeaderStyles {
    names.as_array().unwrap().iter().fold(HeaderStyles::NONE, |styles, style| {
        styles
            | match style.as_str().unwrap() {
                "standard" => HeaderStyles::STANDARD,
                "legacy" => HeaderStyles::LEGACY,
                "legacy-delta" => HeaderStyles::LEGACY_DELTA,
                other => panic!("unknown style {other}"),
            }
    })
}

/// The limits of one middleware, with a key for all of them or a key for each.
fn limits(gate: &Gate, options: &Value) -> RateLimitBuilder {
    let limits = options["limits"].as_array().unwrap();
    let limits: Vec<Limiter> = limits.iter().map(|limit| open(gate, limit)).collect();
    if limits.is_empty() {
        return RateLimitLayer::by_policy();
    }
    let Some(keys) = options["key_headers"].as_array() else {
        let layer = RateLimitLayer::builder(Limits::from(limits));
        return match options["key_header"].as_str() {
            Some(header) => layer.key_header(header.to_owned().leak()),
            None => layer,
        };
    };
    assert_eq!(keys.len(), limits.len());
    let mut each = limits.iter().zip(keys);
    let (first, key) = each.next().unwrap();
    let layer = RateLimitLayer::builder(first);
    let layer = if key.is_null() { layer } else { layer.key(field_of(key)) };
    each.fold(layer, |layer, (limiter, key)| match key {
        Value::Null => layer.and(limiter, |_| None),
        key => layer.and(limiter, field_of(key)),
    })
}

fn layer(gate: &Gate, options: &Value) -> RateLimitLayer {
    let mut layer = limits(gate, options).store(gate).headers(styles(&options["headers"]));
    if !options["policy"].is_null() {
        layer = layer.policy(options["policy"].to_string());
    }
    if !options["identity_header"].is_null() {
        layer = layer.identity(field_of(&options["identity_header"]));
    }
    if !options["tier_header"].is_null() {
        layer = layer.tier(field_of(&options["tier_header"]));
    }
    if let Some(more) = options["attribute_headers"].as_object().cloned() {
        layer = layer.attributes(move |head| {
            let said = more.iter().map(|(name, header)| (name, field_of(header)(head)));
            said.filter_map(|(name, value)| Some((name, value?))).collect()
        });
    }
    layer = match &options["trusted_proxies"] {
        Value::Array(networks) => {
            let networks: Vec<_> = networks.iter().map(|n| n.as_str().unwrap()).collect();
            layer.trusted_proxies(networks.join(","))
        }
        count => layer.trusted_proxies(count),
    };
    layer = layer.exempt(options["exempt"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()));
    let cost = options["cost"].as_u64().unwrap();
    layer = match options["cost_header"].as_str().map(str::to_owned) {
        Some(header) => layer.cost(move |head| {
            let value = head.headers.get(header.as_str());
            value.map_or(cost, |value| value.to_str().unwrap().parse().unwrap())
        }),
        None => layer.cost(move |_| cost),
    };
    layer = match &options["message"] {
        Value::Null => layer,
        Value::String(text) => layer.message(text),
        object => layer.message_json(object.to_string()),
    };
    layer.build().unwrap()
}

/// What every path answers, with fields of the application's own.
fn handler(options: &Value) -> MethodRouter {
    let mut fields = HeaderMap::new();
    for field in options["app_fields"].as_array().into_iter().flatten() {
        let name: HeaderName = field[0].as_str().unwrap().parse().unwrap();
        fields.append(name, field[1].as_str().unwrap().parse().unwrap());
    }
    any(move || async move { ([(CONTENT_TYPE, "text/plain")], fields, "ok") })
}

fn app(gate: &Gate, options: &Value) -> Router {
    let mut app = Router::new().fallback_service(handler(options));
    if !options["inner"].is_null() {
        let inner = handler(options).layer(layer(gate, &options["inner"]));
        app = app.route("/inner", inner);
    }
    app.layer(layer(gate, options))
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

fn wall_us() -> i64 {
    UNIX_EPOCH.elapsed().unwrap().as_micros() as i64
}

const FIELDS: [&str; 6] = [
    "RateLimit-Policy",
    "RateLimit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Retry-After",
];

fn check(response: &Response, expected: &Value, wall: (i64, i64), context: &str) {
    assert_eq!(json!(response.status), expected["status"], "{context}");
    assert_eq!(json!(response.body), expected["body"], "{context}");
    let listed = expected["headers"].as_array().unwrap();
    for field in listed {
        let name = field[0].as_str().unwrap();
        let value = response.header(name).unwrap_or_else(|| panic!("{context}: no {name}"));
        match field[1].get("epoch_after_us").and_then(Value::as_i64) {
            Some(after) => {
                let ceil = |us: i64| (us + after + 999_999) / 1_000_000;
                let seconds: i64 = value.parse().unwrap();
                assert!((ceil(wall.0)..=ceil(wall.1)).contains(&seconds), "{context}: {seconds}");
            }
            None => assert_eq!(json!(value), field[1], "{context}: {name}"),
        }
    }
    for name in FIELDS {
        let count = response.headers.iter().filter(|h| h.0.eq_ignore_ascii_case(name)).count();
        let is_listed = listed.iter().any(|field| field[0] == name);
        assert_eq!(count, usize::from(is_listed), "{context}: {name} in {:?}", response.headers);
    }
}

#[tokio::test]
async fn every_case_of_the_table() {
    let text = std::fs::read_to_string(support::repository("tests/http/cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() >= 48);
    for case in &cases {
        let clock = FakeClock::new(0);
        let gate = Gate::builder().url("memory://").clock(&clock).open().unwrap();
        let address = serve(app(&gate, &case["middleware"])).await;
        for (index, request) in case["requests"].as_array().unwrap().iter().enumerate() {
            clock.set_now_us(request["at_us"].as_i64().unwrap());
            let before = wall_us();
            let response = send(address, request).await;
            let context = format!("{}, request {index}", case["title"]);
            check(&response, &request["expect"], (before, wall_us()), &context);
        }
    }
}
