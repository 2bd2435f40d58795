// SPDX-License-Identifier: MIT
//! What a request's head tells, where axum tells more too.

use std::net::{IpAddr, SocketAddr};

use http::header::{HeaderValue, ORIGIN};
use http::request::Parts;
use http::Method;

pub(super) const REQUESTED_METHOD: &str = "access-control-request-method";

pub(super) fn field<'a>(head: &'a Parts, name: &str) -> Option<&'a [u8]> {
    head.headers.get(name).map(HeaderValue::as_bytes).filter(|value| !value.is_empty())
}

pub(super) fn is_preflight(head: &Parts) -> bool {
    let asks = [ORIGIN.as_str(), REQUESTED_METHOD].map(|name| field(head, name));
    head.method == Method::OPTIONS && asks.iter().all(Option::is_some)
}

/// The path as it came, and as it is below a mount.
pub(super) fn paths(head: &Parts) -> (&str, &str) {
    let within = head.uri.path();
    #[cfg(feature = "axum")]
    if let Some(original) = head.extensions.get::<axum::extract::OriginalUri>() {
        return (original.0.path(), within);
    }
    (within, within)
}

/// The path that the layer's router is mounted at, where axum tells it; else empty.
pub(super) fn mount(head: &Parts) -> &str {
    #[cfg(feature = "axum")]
    if let Some(nested) = head.extensions.get::<axum::extract::NestedPath>() {
        return nested.as_str().trim_end_matches('/');
    }
    let _ = head;
    ""
}

/// The template of the request's route, where axum tells it.
pub(super) fn template(head: &Parts) -> Option<String> {
    #[cfg(feature = "axum")]
    if let Some(matched) = head.extensions.get::<axum::extract::MatchedPath>() {
        return Some(matched.as_str().to_owned());
    }
    let _ = head;
    None
}

pub(super) fn peer_of_extensions(head: &Parts) -> Option<IpAddr> {
    #[cfg(feature = "axum")]
    if let Some(info) = head.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>() {
        return Some(info.0.ip());
    }
    head.extensions.get::<SocketAddr>().map(SocketAddr::ip)
}
