// SPDX-License-Identifier: MIT
//! The awaited surface: one ring, many tasks, against real servers.
#![cfg(feature = "tokio")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use std::future::{Future, IntoFuture};
use support::Server;
use tidegate::testing::FakeClock;
use tidegate::{Error, Gate, Source};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

fn patient(server: &Server) -> Gate {
    Gate::builder().url(server.url()).option("timeout_ms", 20_000).open().unwrap()
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn admitted(gate: &Gate, tasks: usize, each: usize) -> usize {
    let api = gate.limiter("1000/week").name("api").open().unwrap();
    let admitted = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        let (api, admitted) = (api.clone(), admitted.clone());
        set.spawn(async move {
            for _ in 0..each {
                let decision = api.consume("hot").await.unwrap();
                assert!(matches!(decision.source(), Source::Store | Source::Memory));
                admitted.fetch_add(usize::from(decision.allowed()), Ordering::Relaxed);
            }
        });
    }
    while let Some(joined) = set.join_next().await {
        joined.unwrap();
    }
    admitted.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_are_admitted_exactly_the_limit() {
    let embedded = Gate::connect("memory://").unwrap();
    assert_eq!(admitted(&embedded, 64, 50).await, 1000);
    for server in Server::all() {
        assert_eq!(admitted(&patient(&server), 64, 50).await, 1000, "{}", server.name);
    }
}

#[tokio::test]
async fn one_thread_is_enough() {
    let server = Server::one();
    let gate = patient(&server);
    assert_eq!(admitted(&gate, 64, 50).await, 1000);
    let stats = gate.stats().unwrap();
    assert!(stats.round_trips < 1600, "64 tasks share round trips: {}", stats.round_trips);
    let api = gate.limiter("5/minute").open().unwrap();
    let _ = api.consume("a").cost(5).await.unwrap();
    api.refund("a", 2).await.unwrap();
    assert_eq!(api.peek("a").await.unwrap().remaining(), Some(2));
    api.reset("a").await.unwrap();
    assert_eq!(api.peek("a").await.unwrap().remaining(), Some(5));
    gate.ping().await.unwrap();
    let parts = (0..3).map(|_| api.part("b"));
    assert_eq!(gate.consume(parts).await.unwrap().parts().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_the_ring_holds_wait_their_turn() {
    let server = Server::one();
    let builder = Gate::builder().url(server.url()).option("timeout_ms", 20_000).in_flight(3);
    assert_eq!(admitted(&builder.open().unwrap(), 200, 10).await, 1000);
}

#[tokio::test]
async fn a_stopped_server_does_not_stall_the_loop() {
    let server = Server::one();
    let gate = Gate::connect(&format!("{}?timeout_ms=300", server.url())).unwrap();
    let api = gate.limiter("1000/hour").open().unwrap();
    let _ = api.consume("a").await.unwrap();
    server.freeze();
    let started = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..64 {
        let api = api.clone();
        set.spawn(async move { api.consume("a").await.unwrap().source() });
    }
    let mut longest = Duration::ZERO;
    while !set.is_empty() {
        let before = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        longest = longest.max(before.elapsed());
        while let Some(joined) = set.try_join_next() {
            assert_eq!(joined.unwrap(), Source::Fallback);
        }
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    server.thaw();
    assert!(started.elapsed() >= Duration::from_millis(290), "{:?}", started.elapsed());
    // A busy machine wakes late; a loop that waited for the store would be 300 ms late.
    assert!(longest < Duration::from_millis(100), "the loop stood still for {longest:?}");
}

#[tokio::test]
async fn a_dropped_check_is_taken_back_and_its_slot_used_again() {
    let server = Server::one();
    let builder = Gate::builder().url(server.url()).option("timeout_ms", 20_000).in_flight(8);
    let gate = builder.open().unwrap();
    let api = gate.limiter("100000/hour").open().unwrap();
    let _ = api.consume("a").await.unwrap();
    server.freeze();
    for _ in 0..100 {
        let check = api.consume("a");
        let timed = tokio::time::timeout(Duration::from_millis(1), check.into_future()).await;
        assert!(timed.is_err());
    }
    server.thaw();
    for _ in 0..100 {
        assert_eq!(api.consume("a").await.unwrap().source(), Source::Store);
    }
}

#[test]
fn a_gate_outlives_a_runtime() {
    let server = Server::one();
    let gate = patient(&server);
    for _ in 0..3 {
        let runtime = runtime();
        runtime.block_on(async {
            let api = gate.limiter("1000/hour").name("api").open().unwrap();
            assert_eq!(api.consume("a").await.unwrap().source(), Source::Store);
        });
    }
}

#[test]
fn a_runtime_that_goes_tells_those_who_wait_on_it() {
    let server = Server::one();
    let gate = patient(&server);
    let api = gate.limiter("1000/hour").open().unwrap();
    let (first, second) = (runtime(), runtime());
    server.freeze();
    // Asked on the first runtime, awaited on the second.
    let mut check = Box::pin(api.consume("a").into_future());
    first.block_on(async {
        assert!(poll_once(check.as_mut()).await.is_none());
    });
    drop(first);
    let outcome = second.block_on(check);
    assert!(matches!(outcome, Err(Error::Canceled(_))), "{outcome:?}");
    server.thaw();
    second.block_on(async { assert!(api.consume("a").await.unwrap().allowed()) });
}

/// What one poll brings.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn closing_completes_what_is_in_flight() {
    let server = Server::one();
    let gate = patient(&server);
    let api = gate.limiter("1000/hour").open().unwrap();
    let _ = api.consume("a").await.unwrap();
    server.freeze();
    let mut set = JoinSet::new();
    for _ in 0..20 {
        let api = api.clone();
        set.spawn(async move { api.consume("a").await });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    gate.close().unwrap();
    while let Some(joined) = set.join_next().await {
        let outcome = joined.unwrap();
        assert!(matches!(outcome, Err(Error::Closed(_))), "{outcome:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(matches!(api.consume("a").await, Err(Error::Closed(_))));
    server.thaw();
}

#[tokio::test]
async fn a_gate_dropped_with_checks_abandoned_leaves_nothing() {
    let server = Server::one();
    for _ in 0..20 {
        let gate = patient(&server);
        let api = gate.limiter("1000/hour").open().unwrap();
        let _ = tokio::time::timeout(Duration::ZERO, api.consume("a").into_future()).await;
    }
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn waiting_is_awaited_on_the_clock() {
    let clock = FakeClock::new(1_000_000_000);
    let gate = Gate::builder().url("memory://").clock(&clock).open().unwrap();
    let api = gate.limiter("1/minute").open().unwrap();
    assert!(api.wait("a").await.unwrap().allowed());
    assert!(!api.wait("a").timeout(Duration::from_secs(1)).await.unwrap().allowed());
    let waiter = tokio::spawn(async move { api.wait("a").await.unwrap().allowed() });
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(!waiter.is_finished());
    clock.advance(Duration::from_secs(60));
    assert!(waiter.await.unwrap());
    let real = Gate::connect("memory://").unwrap();
    let api = real.limiter("1/30ms").open().unwrap();
    assert!(api.wait("a").await.unwrap().allowed());
    assert!(api.wait("a").timeout(Duration::from_secs(30)).await.unwrap().allowed());
}

#[tokio::test]
async fn a_task_that_only_asks_lets_others_run() {
    let gate = Gate::connect("memory://").unwrap();
    let api = gate.limiter("1/hour").open().unwrap();
    let endless = async {
        loop {
            drop(api.consume("a").await)
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
}

#[test]
fn without_a_runtime_there_is_a_clear_error() {
    let gate = Gate::connect("redis://127.0.0.1:1").unwrap();
    let api = gate.limiter("1/hour").open().unwrap();
    let mut future = std::pin::pin!(api.consume("a").into_future());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(Error::Invalid(why))) => {
            assert!(why.message().contains("tokio"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_wake_up_is_lost_however_many_are_in_flight() {
    let server = Server::one();
    let gate = patient(&server);
    let api = gate.limiter("700000000/minute").open().unwrap();
    // Callers on the runtime that reaps and on another one, alone and in crowds, with pauses.
    let runtimes = [runtime(), runtime()];
    for tasks in [1, 2, 3, 8, 64] {
        let started = Instant::now();
        let mut joined = Vec::new();
        for task in 0..tasks {
            let api = api.clone();
            joined.push(runtimes[task % 2].spawn(async move {
                for turn in 0..3000 / tasks {
                    let decision = api.consume(&format!("{task}")).await.unwrap();
                    assert_eq!(decision.source(), Source::Store);
                    match (turn * 7 + task) % 11 {
                        0 => tokio::time::sleep(Duration::from_micros(50)).await,
                        1 | 2 => tokio::task::yield_now().await,
                        _ => {}
                    }
                }
            }));
        }
        for task in joined {
            runtimes[0].block_on(task).unwrap();
        }
        // One that is lost is noticed only by its deadline.
        assert!(started.elapsed() < Duration::from_secs(19), "{tasks}: {:?}", started.elapsed());
    }
}
