// SPDX-License-Identifier: MIT
//! Runtimes that stand still, come and go; rings that are full; deadlines.
#![cfg(feature = "tokio")]

mod support;

use std::future::{poll_fn, Future, IntoFuture};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use support::Server;
use tidegate::{Error, Gate, Source};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn open(server: &Server, timeout_ms: u64, in_flight: u16) -> Gate {
    let builder = Gate::builder().url(server.url()).option("timeout_ms", timeout_ms);
    builder.option("breaker_failures", 1000).in_flight(in_flight).open().unwrap()
}

/// Polls it once; it is not to be ready.
async fn start<F: Future + Unpin>(future: &mut F) {
    poll_fn(|context| {
        assert!(std::pin::Pin::new(&mut *future).poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn a_runtime_that_stands_still_holds_nobody_up() {
    let server = Server::one();
    let gate = open(&server, 500, 100);
    let api = gate.limiter("100/minute").open().unwrap();
    let (still, other) = (one_thread(), one_thread());
    still.block_on(async { assert!(api.consume("a").await.unwrap().allowed()) });
    // From here on nobody runs `still`.
    let source = other.block_on(async {
        let check = async { api.consume("a").await.unwrap().source() };
        tokio::time::timeout(Duration::from_secs(5), check).await
    });
    assert_eq!(source, Ok(Source::Store));
    still.block_on(async { assert!(api.consume("a").await.unwrap().allowed()) });
}

#[test]
fn many_runtimes_share_a_gate_and_its_limit() {
    let server = Server::one();
    let gate = open(&server, 20_000, 100);
    let admitted = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (gate, admitted) = (gate.clone(), admitted.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    let (gate, admitted) = (gate.clone(), admitted.clone());
                    one_thread().block_on(async move {
                        let api = gate.limiter("500/week").name("api").open().unwrap();
                        for _ in 0..50 {
                            let allowed = api.consume("hot").await.unwrap().allowed();
                            admitted.fetch_add(usize::from(allowed), Ordering::Relaxed);
                        }
                    });
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(admitted.load(Ordering::Relaxed), 500);
}

#[tokio::test]
async fn waiting_for_room_ends_at_the_deadline() {
    let server = Server::one();
    let gate = open(&server, 20_000, 2);
    let api = gate.limiter("100/minute").open().unwrap();
    let _ = api.consume("a").await.unwrap();
    server.freeze();
    let mut held = [Box::pin(api.peek("a").into_future()), Box::pin(api.peek("a").into_future())];
    for check in &mut held {
        start(check).await;
    }
    let started = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..50 {
        let api = api.clone();
        waiting.spawn(async move {
            let late = Duration::from_millis(100);
            (api.consume("b").timeout(late).await, api.refund("b", 1).timeout(late).await)
        });
    }
    for (decision, refund) in waiting.join_all().await {
        assert_eq!(decision.unwrap().source(), Source::Fallback);
        assert!(matches!(refund, Err(Error::Store(_))), "{refund:?}");
    }
    let took = started.elapsed();
    server.thaw();
    // Two waits of 100 ms each; the ring is full for 20 s.
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(3), "{took:?}");
    for check in held {
        assert_eq!(check.await.unwrap().source(), Source::Store);
    }
}

#[tokio::test]
async fn the_gates_own_deadline_counts_where_the_request_has_none() {
    let server = Server::one();
    let url = format!("{}?timeout_ms=150&breaker_failures=1000", server.url());
    for (gate, least) in [
        (Gate::builder().url(&url).in_flight(1).open().unwrap(), 150),
        (Gate::builder().url(&url).option("timeout_ms", 250).in_flight(1).open().unwrap(), 250),
    ] {
        let api = gate.limiter("100/minute").open().unwrap();
        let _ = api.consume("a").await.unwrap();
        server.freeze();
        let mut held = Box::pin(api.peek("a").timeout(Duration::from_secs(20)).into_future());
        start(&mut held).await;
        let started = Instant::now();
        assert_eq!(api.consume("a").await.unwrap().source(), Source::Fallback);
        let took = started.elapsed();
        server.thaw();
        let least = Duration::from_millis(least);
        assert!(took >= least && took < least + Duration::from_secs(2), "{took:?}");
        let _ = held.await.unwrap();
    }
}

#[tokio::test]
async fn whoever_waits_for_room_gets_it_in_turn_and_may_give_up() {
    let server = Server::one();
    let gate = open(&server, 20_000, 1);
    let api = gate.limiter("100/minute").open().unwrap();
    let _ = api.consume("a").await.unwrap();
    server.freeze();
    let mut held = Box::pin(api.consume("a").into_future());
    start(&mut held).await;
    let mut gives_up = Box::pin(api.consume("a").into_future());
    start(&mut gives_up).await;
    let mut stays = Box::pin(api.consume("a").into_future());
    start(&mut stays).await;
    drop(gives_up);
    server.thaw();
    assert_eq!(held.await.unwrap().source(), Source::Store);
    assert_eq!(stays.await.unwrap().source(), Source::Store);
    assert_eq!(api.peek("a").await.unwrap().remaining(), Some(97), "whoever gave up paid nothing");
}

#[test]
fn whoever_waits_for_room_of_a_runtime_that_goes_is_told() {
    let server = Server::one();
    let gate = open(&server, 20_000, 1);
    let api = gate.limiter("100/minute").open().unwrap();
    let (first, second) = (one_thread(), one_thread());
    server.freeze();
    let mut held = Box::pin(api.consume("a").into_future());
    let mut waits = Box::pin(api.consume("a").into_future());
    first.block_on(async {
        start(&mut held).await;
        start(&mut waits).await;
    });
    drop(first);
    let outcomes = second.block_on(async { [held.await, waits.await] });
    server.thaw();
    for outcome in outcomes {
        assert!(matches!(outcome, Err(Error::Canceled(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_patient_request_does_not_take_the_deadline_of_others() {
    let server = Server::one();
    let gate = open(&server, 100, 100);
    let api = gate.limiter("100/minute").open().unwrap();
    let _ = api.consume("a").await.unwrap();
    server.freeze();
    let mut patient = Box::pin(api.consume("a").timeout(Duration::MAX).into_future());
    start(&mut patient).await;
    let others = async { api.consume("a").await.unwrap().source() };
    let source = tokio::time::timeout(Duration::from_secs(5), others).await;
    server.thaw();
    assert_eq!(source, Ok(Source::Fallback));
    assert_eq!(patient.await.unwrap().source(), Source::Store);
}
