// SPDX-License-Identifier: MIT
//! The layer in front of a plain hyper service: no router, no framework.
#![cfg(feature = "tower")]

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tidegate::testing::FakeClock;
use tidegate::tower::{RateLimitLayer, Used};
use tidegate::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{service_fn, Layer};

const POLICY: &str = r#"
version: 1
limiters: {api: 3/minute, tokens: 1000/minute overdraft 1000}
rules:
  - {limit: api}
  - {when: {path: /chat}, limit: tokens, cost: 100, settle: "{used}"}
callers:
  k_evil: {ban: true}
"#;

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(used) = request.extensions().get::<Used>() {
        used.tell("used", 350);
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}

async fn serve(gate: Gate) -> SocketAddr {
    let layer = RateLimitLayer::by_policy().store(&gate).key_header("x-api-key").build().unwrap();
    let service = layer.with_body(|text| Full::new(Bytes::from(text))).layer(service_fn(hello));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            // Whoever accepts connections knows the peer: the layer finds him in the extensions.
            let service = tower::ServiceBuilder::new()
                .map_request(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer);
                    request
                })
                .service(service.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            tokio::spawn(connection);
        }
    });
    address
}

/// Status line and fields in small letters, and the body.
async fn ask(to: SocketAddr, line: &str, fields: &str) -> (String, String) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn hyper_is_limited_without_a_router() {
    let clock = FakeClock::new(1_763_683_200_000_000);
    let gate = Gate::builder().url("memory://").clock(&clock).policy(POLICY).open().unwrap();
    let address = serve(gate).await;
    let (head, body) = ask(address, "GET /", "").await;
    assert!(head.starts_with("http/1.1 200") && body == "hello", "{head}");
    assert!(head.contains("\r\nratelimit: \"api\";r=2;t=20\r\n"), "{head}");
    for left in [900, 550] {
        let (head, _) = ask(address, "POST /chat", "").await;
        let expected = format!("\"tokens\";r={left};");
        assert!(head.contains(&expected), "{expected} in {head}");
    }
    let (head, body) = ask(address, "GET /", "").await;
    assert!(head.starts_with("http/1.1 429") && body.contains("violated-policies"), "{head}");
    let (head, body) = ask(address, "HEAD /", "").await;
    assert!(head.starts_with("http/1.1 429") && body.is_empty(), "{head}");
    let preflight = "Origin: https://a\r\nAccess-Control-Request-Method: POST\r\n";
    let (head, _) = ask(address, "OPTIONS /", preflight).await;
    assert!(head.starts_with("http/1.1 200") && !head.contains("ratelimit"), "{head}");
    let (head, body) = ask(address, "GET /", "X-Api-Key: k_evil\r\n").await;
    assert!(head.starts_with("http/1.1 403") && body.contains("banned"), "{head}");
    let (head, _) = ask(address, "GET /", "X-Api-Key: k_1\r\n").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}
