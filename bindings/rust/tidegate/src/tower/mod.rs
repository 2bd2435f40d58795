// SPDX-License-Identifier: MIT
//! Limits in front of any [tower](https://docs.rs/tower) service over HTTP, such as an axum router.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # fn app() -> Result<axum::Router, tidegate::Error> {
//! use axum::{routing::get, Router};
//! use tidegate::{tower::RateLimitLayer, Gate};
//!
//! let gate = Gate::connect("memory://")?;
//! let limit = RateLimitLayer::builder("100/minute")
//!     .store(&gate)
//!     .key_header("x-api-key")
//!     .exempt(["/health"])
//!     .build()?;
//! let app = Router::new().route("/", get(|| async { "hello" })).layer(limit);
//! # Ok(app)
//! # }
//! ```
//!
//! A refusal is `429` (`503` where the failure policy closed) with `Retry-After`, rate limit fields
//! and a problem body, the same as from tidegate's middleware in every language. The decision is in
//! the request's extensions. A CORS preflight passes and is not charged; the same limit met twice
//! on one request is charged once.
//!
//! **The caller's address** is asked of the `peer` function, else looked for in the request's
//! extensions: axum's `ConnectInfo<SocketAddr>` (serve with
//! `into_make_service_with_connect_info::<SocketAddr>()`), or a plain `SocketAddr`. Where there is
//! none, all callers without an identity are one caller, `@unknown`.

mod builder;
mod check;
mod limits;
mod service;

use std::sync::Arc;

pub use builder::RateLimitBuilder;
pub use limits::Limits;
pub use service::{RateLimit, ResponseFuture};

/// A layer that puts a limit in front of a service.
#[derive(Clone)]
pub struct RateLimitLayer {
    rules: Arc<check::Rules>,
}

impl RateLimitLayer {
    /// A layer with a limit: rates (`"100/minute"`), a [`Limiter`](crate::Limiter), or several
    /// of either, checked as one atomic request.
    pub fn builder(limits: impl Into<Limits>) -> RateLimitBuilder {
        RateLimitBuilder::new(limits.into())
    }
}

impl<S> tower_layer::Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, service: S) -> RateLimit<S> {
        RateLimit::new(service, self.rules.clone())
    }
}
