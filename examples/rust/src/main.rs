// SPDX-License-Identifier: MIT
//! A small HTTP service with one limit in front of it, and generations that are settled by what
//! they used.
//!
//! tidegate-example [--store URL] [--listen HOST:PORT] [--limit RATES] [--name NAME]

mod arguments;
mod generate;

use std::error::Error;
use std::net::SocketAddr;

use arguments::Arguments;
use axum::{
    routing::{get, post},
    Extension, Router,
};
use generate::{generate, Limits};
use tidegate::{tower::RateLimitLayer, Decision, Gate};
use tokio::net::TcpListener;

async fn hello(Extension(decision): Extension<Decision>) -> String {
    format!("hello, {} left\n", decision.remaining().map_or("?".into(), |left| left.to_string()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let gate = Gate::connect(&arguments.store)?;
    let limit = RateLimitLayer::builder(arguments.limit.as_str())
        .store(&gate)
        .name(arguments.name)
        .key_header("x-api-key") // without it: the caller's address
        .exempt(["/health"])
        .build()?;
    let app = Router::new()
        .route("/", get(hello))
        .route("/generate", post(generate).with_state(Limits::open(&gate)?))
        .route("/health", get(|| async { "ok\n" }))
        .layer(limit);
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
