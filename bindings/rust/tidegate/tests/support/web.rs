// SPDX-License-Identifier: MIT
//! What tests of the layer ask an axum application.
#![allow(dead_code)]

use std::net::{Ipv4Addr, SocketAddr};

use axum::body::{to_bytes, Body};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, Response};
use axum::routing::{get, MethodRouter};
use axum::Router;
use tidegate::testing::FakeClock;
use tidegate::Gate;
use tower::ServiceExt;

/// Embedded, at a time that stands.
pub fn gate() -> Gate {
    let clock = FakeClock::new(1_763_683_200_000_000);
    Gate::builder().url("memory://").clock(&clock).open().unwrap()
}

pub fn ok() -> MethodRouter {
    get(|| async { "ok" })
}

pub fn request(method: &str, path: &str, fields: &[(&str, &[u8])]) -> Request<Body> {
    let peer = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 7), 4711));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut builder = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::empty()).unwrap()
}

pub async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

pub async fn ask(app: &Router, path: &str) -> Response<Body> {
    send(app, request("GET", path, &[])).await
}

pub async fn statuses<'a>(app: &Router, paths: impl IntoIterator<Item = &'a str>) -> Vec<u16> {
    let mut seen = Vec::new();
    for path in paths {
        seen.push(ask(app, path).await.status().as_u16());
    }
    seen
}

pub fn field<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

/// The names of the limits that a response speaks of.
pub fn names(response: &Response<Body>) -> Vec<String> {
    let list = field(response, "ratelimit-policy").split(", ");
    list.map(|item| item.split(';').next().unwrap().trim_matches('"').to_owned()).collect()
}

pub async fn text(response: Response<Body>) -> String {
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}
