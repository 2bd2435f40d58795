// SPDX-License-Identifier: MIT
//! A small HTTP service under examples/policy.yaml: the same API as the FastAPI, Express and Go
//! examples, and on one store the same budgets.
//!
//! tidegate-example [--store URL] [--listen HOST:PORT] [--policy FILE]

mod arguments;
mod generate;

use std::error::Error;
use std::net::SocketAddr;

use arguments::Arguments;
use axum::{
    http::{header::CONTENT_TYPE, request::Parts},
    response::IntoResponse,
    routing::{get, post},
    Router,
};
use generate::{attributes, generate};
use tidegate::{tower::RateLimitLayer, Gate};
use tokio::net::TcpListener;

async fn json(text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text)
}

/// Who is calling; nobody: the address counts.
fn api_key(head: &Parts) -> Option<String> {
    Some(head.headers.get("x-api-key")?.to_str().ok()?.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let gate = Gate::builder().url(&arguments.store).policy(arguments.policy).open()?;
    let limit = RateLimitLayer::by_policy()
        .store(&gate)
        .identity(api_key)
        .attributes(attributes)
        .build()?;
    let app = Router::new()
        .route("/health", get(|| json("{\"status\": \"ok\"}\n")))
        .route(
            "/items",
            get(|| json("[{\"id\": 1, \"name\": \"first\"}, {\"id\": 2, \"name\": \"second\"}]\n")),
        )
        .route("/report", post(|| json("{\"report\": \"done\"}\n")))
        .route("/generate", post(generate))
        .layer(limit);
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
