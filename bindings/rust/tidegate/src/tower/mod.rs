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
//! A refusal is `429` (`503` where the failure policy closed, `403` for the banned) with
//! `Retry-After`, rate limit fields and a problem body, the same as from tidegate's middleware in
//! every language. The decision is in the request's extensions. A CORS preflight passes and is not
//! charged; the same limit met twice on one request is charged once. What several layers say is
//! joined: lists from the outside in, single figures of the tightest limit; fields that the
//! application sends itself stand. What a layer refuses costs nothing, in the layers around it
//! neither: that is given back.
//!
//! **A policy** ([`crate::policy`]) is met by the outermost layer on its gate, or by the layer that
//! has it; [`Used`] tells what its rules `settle` by, and slots are held until the response's body
//! is done or dropped.
//!
//! **The caller's address** is asked of the `peer` function, else looked for in the request's
//! extensions: axum's `ConnectInfo<SocketAddr>` (serve with
//! `into_make_service_with_connect_info::<SocketAddr>()`), or a plain `SocketAddr`. Where there is
//! none, all callers without an identity are one caller, `@unknown`.

mod answer;
mod ask;
mod body;
mod builder;
mod head;
mod limits;
mod passage;
mod plan;
mod service;

use std::fmt;
use std::sync::Arc;

pub use ask::Finding;
pub use body::LimitedBody;
pub use builder::RateLimitBuilder;
pub use limits::Limits;
pub use passage::Used;
pub use service::{FromFunction, FromText, MakeBody, RateLimit, ResponseFuture};

/// A layer that puts a limit in front of a service.
#[derive(Clone)]
pub struct RateLimitLayer<M = FromText> {
    layer: Arc<ask::Layer>,
    bodies: M,
}

impl<M> fmt::Debug for RateLimitLayer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("gate", &self.layer.gate).finish_non_exhaustive()
    }
}

impl RateLimitLayer {
    /// A layer with a limit: rates (`"100/minute"`), a [`Limiter`](crate::Limiter), or several
    /// of either, checked as one atomic request.
    pub fn builder(limits: impl Into<Limits>) -> RateLimitBuilder {
        RateLimitBuilder::new(Some(limits.into()))
    }

    /// A layer whose limits are those of a policy: its own
    /// ([`policy`](RateLimitBuilder::policy)), or else its gate's.
    ///
    /// ```
    /// # let text = "version: 1\nlimiters: {api: 100/minute}\nrules: [{limit: api}]";
    /// use tidegate::{tower::RateLimitLayer, Gate};
    ///
    /// let gate = Gate::builder().url("memory://").policy(text).open()?;
    /// let layer = RateLimitLayer::by_policy().store(&gate).key_header("x-api-key").build()?;
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn by_policy() -> RateLimitBuilder {
        RateLimitBuilder::new(None)
    }

    fn new(layer: ask::Layer) -> Self {
        Self { layer: Arc::new(layer), bodies: FromText }
    }

    /// In front of a service whose response's body is not `From<String>`: how a refusal's text
    /// becomes one, such as `tonic::body::Body::new`.
    pub fn with_body<B, F>(self, make: F) -> RateLimitLayer<FromFunction<F>>
    where
        F: Fn(String) -> B + Clone + Send + 'static,
    {
        RateLimitLayer { layer: self.layer, bodies: FromFunction(make) }
    }
}

impl<S, M: Clone> tower_layer::Layer<S> for RateLimitLayer<M> {
    type Service = RateLimit<S, M>;

    fn layer(&self, service: S) -> RateLimit<S, M> {
        RateLimit::new(service, self.layer.clone(), self.bodies.clone())
    }
}
