// SPDX-License-Identifier: MIT
//! Slots: taken under an id, held by a guard, on the embedded store and on a server.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::Server;
use tidegate::testing::FakeClock;
use tidegate::{Error, Gate, Limiter, Source, NEVER};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn still() -> (Gate, FakeClock) {
    let clock = FakeClock::new(1_763_683_200_000_000);
    (Gate::builder().url("memory://").clock(&clock).open().unwrap(), clock)
}

fn free(limiter: &Limiter) -> u64 {
    limiter.peek("k").call().unwrap().remaining().unwrap()
}

/// Waits for it; a machine may be slow.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(ms(5));
    }
}

#[test]
fn a_slot_is_held_until_it_is_dropped() {
    let (gate, _clock) = still();
    let limiter = gate.limiter("2 at once").name("gen").open().unwrap();
    let first = limiter.slot("k").call().unwrap();
    let second = limiter.slot("k").call().unwrap().into_result().unwrap();
    assert!(first.allowed() && first.id() != second.id());
    assert_eq!((second.decision().remaining(), free(&limiter)), (Some(0), 0));
    let denied = limiter.slot("k").call().unwrap();
    assert!(!denied.allowed() && denied.held_by().is_none());
    assert_eq!(denied.decision().retry_after(), Some(Duration::from_secs(30)));
    assert!(denied.into_result().unwrap_err().to_string().contains("gen"));
    assert!(limiter.slot("another").call().unwrap().allowed());
    drop(first);
    assert_eq!(free(&limiter), 1);
    second.release().call().unwrap();
    assert_eq!(free(&limiter), 2);
    let both = limiter.slot("k").cost(2).call().unwrap();
    assert_eq!(free(&limiter), 0);
    drop(both.release()); // never asked
    assert_eq!(free(&limiter), 2);
    let never = limiter.slot("k").cost(3).timeout(Duration::from_secs(60)).call().unwrap();
    assert_eq!(never.decision().retry_after(), Some(NEVER));
}

#[test]
fn slots_are_taken_renewed_and_released_under_an_id() {
    let (gate, clock) = still();
    let limiter = gate.limiter("1 at once").lease(Duration::from_secs(10)).open().unwrap();
    assert!(!first_is_renewed(limiter.acquire("k", "me").call().unwrap()));
    clock.advance(Duration::from_secs(9));
    assert!(first_is_renewed(limiter.renew("k", b"me".as_slice()).call().unwrap()));
    clock.advance(Duration::from_secs(9));
    assert!(!limiter.acquire("k", "you").call().unwrap().allowed());
    assert!(gate.peek([limiter.part("k").id("me")]).call().unwrap().allowed());
    limiter.release("k", "you").call().unwrap(); // holds nothing: no error, nothing freed
    limiter.release("another", "me").call().unwrap();
    assert_eq!(free(&limiter), 0);
    limiter.release("k", "me").call().unwrap();
    limiter.release("k", "me").call().unwrap();
    assert_eq!(free(&limiter), 1);
    assert!(limiter.acquire("k", "me").call().unwrap().allowed());
    clock.advance(Duration::from_secs(10) - Duration::from_micros(1));
    assert_eq!(free(&limiter), 0);
    clock.advance(Duration::from_micros(1));
    assert_eq!(free(&limiter), 1, "a holder is gone to the microsecond");
    let short = limiter.debit("k", 1).call().unwrap().binding().unwrap().shortfall();
    assert_eq!((short, free(&limiter)), (1, 1), "a debit takes no slots");
}

fn first_is_renewed(decision: tidegate::Decision) -> bool {
    assert!(decision.allowed());
    let renewed = decision.parts().next().unwrap().is_renewed();
    renewed
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let (gate, _clock) = still();
    let limiter = gate.limiter("5 at once").name("gen").open().unwrap();
    let rate = limiter.rates().unwrap()[0];
    assert_eq!((rate.limit, rate.window), (5, Duration::from_secs(30)));
    assert_eq!(rate.algorithm, tidegate::Algorithm::Concurrency);
    let why = limiter.consume("k").call().unwrap_err();
    assert!(
        matches!(why, Error::Id(_)) && why.to_string().contains("taken under an id"),
        "{why:?}"
    );
    for (id, told) in [("", "0 bytes"), ("seventeen letters", "17 bytes")] {
        let why = limiter.acquire("k", id).call().unwrap_err();
        assert!(matches!(why, Error::Id(_)), "{why:?}");
        assert!(why.to_string().contains(told) && why.to_string().contains("1 to 16"), "{why}");
    }
    assert!(limiter.acquire("k", "sixteen letters.").call().unwrap().allowed());
    let why = gate.limiter("5 at once").name("no").lease(Duration::ZERO).open().unwrap_err();
    assert!(matches!(why, Error::Rate(_)) && why.to_string().contains("expected a lease"), "{why}");
    let why = gate.limiter("5/minute").lease(ms(50)).open().unwrap_err();
    assert!(matches!(why, Error::Rate(_)), "{why:?}");
    let mixed = gate.limiter("5 at once; 10/minute").name("mixed").open().unwrap();
    let why = mixed.slot("k").call().unwrap_err();
    assert!(matches!(why, Error::Rate(_)) && why.to_string().contains("slots only"), "{why}");
    let why = limiter.slot("k").cost(0).call().unwrap_err();
    assert!(matches!(why, Error::Cost(_)), "{why:?}");
    assert!(matches!(limiter.slot("").call(), Err(Error::Key(_))));
    gate.close().unwrap();
    assert!(matches!(limiter.slot("k").call(), Err(Error::Closed(_))));
}

#[test]
fn a_slot_renews_itself_for_as_long_as_it_is_held() {
    let server = Server::one();
    for url in ["memory://", &server.url()] {
        let gate = Gate::builder().url(url).option("timeout_ms", 20_000).open().unwrap();
        let limiter = gate.limiter("1 at once").lease(ms(600)).open().unwrap();
        let slot = limiter.slot("k").call().unwrap();
        let end = Instant::now() + ms(2000);
        while Instant::now() < end {
            assert!(!limiter.slot("k").call().unwrap().allowed(), "{url}");
            thread::sleep(ms(20));
        }
        assert!(!slot.is_lost());
        drop(slot);
        assert!(limiter.slot("k").call().unwrap().allowed(), "{url}");
    }
}

#[test]
fn leases_follow_the_clock_of_the_gate() {
    let (gate, clock) = still();
    let limiter = gate.limiter("1 at once").open().unwrap();
    let slot = limiter.slot("k").call().unwrap();
    for _ in 0..5 {
        clock.advance(Duration::from_secs(12));
        let seconds = |wait: Option<Duration>| wait.unwrap().as_secs();
        until("renewed", || seconds(limiter.peek("k").call().unwrap().retry_after()) == 30);
    }
    assert!(!slot.is_lost());
    clock.advance(Duration::from_secs(31));
    until("found lost", || slot.is_lost());
    assert_eq!(free(&limiter), 0, "taken anew");
}

#[test]
fn whose_slot_was_lost_is_told_once() {
    let gate = Gate::connect("memory://").unwrap();
    let limiter = gate.limiter("1 at once").lease(ms(150)).open().unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let hold = |limiter: &Limiter| {
        let told = told.clone();
        let count = move || {
            told.fetch_add(1, Ordering::SeqCst);
        };
        limiter.slot("k").on_lost(count).call().unwrap()
    };
    // Somebody took it away, and nobody else came: it is held anew.
    let slot = hold(&limiter);
    limiter.release("k", slot.id()).call().unwrap();
    until("lost", || slot.is_lost());
    until("told", || told.load(Ordering::SeqCst) == 1);
    assert_eq!(free(&limiter), 0);
    thread::sleep(ms(200));
    assert_eq!((free(&limiter), told.load(Ordering::SeqCst)), (0, 1));
    drop(slot);
    // Somebody else came: it is gone, and what the other holds stays his.
    let slot = hold(&limiter);
    limiter.release("k", slot.id()).call().unwrap();
    assert!(limiter.acquire("k", "other").call().unwrap().allowed());
    until("lost", || {
        let _ = limiter.renew("k", "other").call().unwrap();
        slot.is_lost()
    });
    assert_eq!(told.load(Ordering::SeqCst), 2);
    drop(slot);
    assert_eq!(free(&limiter), 0);
    // A closed limiter renews nothing.
    limiter.release("k", "other").call().unwrap();
    let slot = hold(&limiter);
    limiter.close().unwrap();
    until("lost", || slot.is_lost());
}

#[test]
fn nobody_is_thrown_out_when_there_are_fewer_slots() {
    let gate = Gate::connect("memory://").unwrap();
    let limiter = gate.limiter("3 at once").name("gen").lease(ms(300)).open().unwrap();
    let slots: Vec<_> = (0..3).map(|_| limiter.slot("k").call().unwrap()).collect();
    limiter.change("1 at once").apply().unwrap();
    thread::sleep(ms(900));
    assert!(slots.iter().all(|slot| !slot.is_lost()));
    assert!(!limiter.slot("k").call().unwrap().allowed());
    drop(slots);
    let one = limiter.slot("k").call().unwrap();
    assert!(one.allowed() && !limiter.slot("k").call().unwrap().allowed());
}

#[test]
fn a_timeout_waits_for_a_free_slot_and_no_longer() {
    let gate = Gate::connect("memory://").unwrap();
    let limiter = gate.limiter("1 at once").open().unwrap();
    let slot = limiter.slot("k").call().unwrap();
    let started = Instant::now();
    assert!(!limiter.slot("k").timeout(ms(300)).call().unwrap().allowed());
    let took = started.elapsed();
    assert!(took >= ms(300) && took < Duration::from_secs(5), "{took:?}");
    let waiter = {
        let limiter = limiter.clone();
        thread::spawn(move || limiter.slot("k").timeout(Duration::from_secs(20)).call().unwrap())
    };
    thread::sleep(ms(100));
    assert!(!waiter.is_finished());
    drop(slot); // long before its lease ends
    let waited = waiter.join().unwrap();
    assert!(waited.allowed() && started.elapsed() < Duration::from_secs(15));
}

#[test]
fn slots_of_a_gate_share_a_thread_and_round_trips() {
    let server = Server::one();
    let gate = Gate::builder().url(server.url()).option("timeout_ms", 20_000).open().unwrap();
    let limiter = gate.limiter("500 at once").lease(ms(1500)).open().unwrap();
    let slots: Vec<_> = (0..200).map(|_| limiter.slot("k").call().unwrap()).collect();
    let before = gate.stats().unwrap().round_trips;
    thread::sleep(ms(3000));
    let trips = gate.stats().unwrap().round_trips - before;
    assert!(slots.iter().all(|slot| !slot.is_lost()));
    assert_eq!(free(&limiter), 300);
    // Six rounds of 200 renewals.
    assert!((2..400).contains(&trips), "{trips}");
    drop(slots);
    assert_eq!(free(&limiter), 500);
}

#[test]
fn a_short_outage_loses_no_slot_and_a_long_one_does() {
    let server = Server::one();
    let gate = Gate::connect(&format!("{}?timeout_ms=50", server.url())).unwrap();
    let limiter = gate.limiter("1 at once").lease(ms(3000)).open().unwrap();
    let slot = limiter.slot("k").call().unwrap();
    assert_eq!(slot.held_by(), Some(Source::Store));
    server.freeze();
    thread::sleep(ms(1500)); // a renewal is due after 1000
    server.thaw();
    thread::sleep(ms(3000));
    assert!(!slot.is_lost(), "tried on until the lease was over");
    server.freeze();
    until("lost", || slot.is_lost());
    server.thaw();
    drop(slot);
    until("free", || {
        let seen = limiter.peek("k").call().unwrap();
        seen.source() == Source::Store && seen.remaining() == Some(1)
    });
}

#[test]
fn a_slot_of_the_fallback_is_released_there_or_moves_to_the_store() {
    let server = Server::one();
    let gate = Gate::connect(&format!("{}?timeout_ms=50", server.url())).unwrap();
    let limiter = gate.limiter("2 at once").lease(ms(1500)).open().unwrap();
    assert!(limiter.slot("k").call().unwrap().allowed());
    server.freeze();
    let here = limiter.slot("k").call().unwrap();
    assert_eq!(here.held_by(), Some(Source::Fallback));
    drop(here);
    let seen = limiter.peek("k").call().unwrap();
    assert_eq!((seen.source(), seen.remaining()), (Source::Fallback, Some(2)));
    let here = limiter.slot("k").call().unwrap();
    thread::sleep(ms(2000));
    assert!(!here.is_lost() && here.held_by() == Some(Source::Fallback), "renewed here");
    server.thaw();
    until("moved", || here.held_by() == Some(Source::Store));
    assert!(!here.is_lost());
    assert_eq!(free(&limiter), 1);
    drop(here);
    assert_eq!(free(&limiter), 2);
    server.freeze();
    until("away", || limiter.peek("k").call().unwrap().source() == Source::Fallback);
    assert_eq!(free(&limiter), 2, "nothing is left behind here");
    server.thaw();
}

#[cfg(feature = "tokio")]
mod awaited {
    use std::future::IntoFuture;

    use super::*;

    fn patient(server: &Server) -> Gate {
        Gate::builder().url(server.url()).option("timeout_ms", 20_000).open().unwrap()
    }

    #[tokio::test]
    async fn a_slot_is_awaited_and_dropped_without_waiting() {
        for server in Server::all() {
            let gate = patient(&server);
            let limiter = gate.limiter("2 at once").lease(ms(900)).open().unwrap();
            for _ in 0..50 {
                let first = limiter.slot("k").await.unwrap();
                let second = limiter.slot("k").await.unwrap();
                assert!(first.allowed() && second.allowed(), "{}", server.name);
                assert!(!limiter.slot("k").await.unwrap().allowed());
                second.release().await.unwrap();
            }
            let slot = limiter.slot("k").await.unwrap();
            tokio::time::sleep(ms(2000)).await;
            assert_eq!(limiter.peek("k").await.unwrap().remaining(), Some(1));
            assert!(!slot.is_lost());
            assert!(tokio::time::timeout(ms(10), slot.lost()).await.is_err());
            limiter.release("k", slot.id()).await.unwrap();
            tokio::time::timeout(Duration::from_secs(20), slot.lost()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_is_cancelled_leaves_no_slot_behind() {
        let server = Server::one();
        let gate = patient(&server);
        let limiter = gate.limiter("1 at once").open().unwrap();
        // While he holds it.
        let holder = limiter.clone();
        let held = tokio::spawn(async move {
            let _slot = holder.slot("k").await.unwrap();
            std::future::pending::<()>().await;
        });
        while limiter.peek("k").await.unwrap().remaining() != Some(0) {
            tokio::time::sleep(ms(5)).await;
        }
        // While he waits for it.
        let wait = limiter.slot("k").timeout(Duration::from_secs(20)).into_future();
        assert!(tokio::time::timeout(ms(150), wait).await.is_err());
        held.abort();
        assert!(held.await.unwrap_err().is_cancelled());
        assert_eq!(limiter.peek("k").await.unwrap().remaining(), Some(1));
        // While the store is asked for it, or is asked to take it back.
        server.freeze();
        let asks = limiter.slot("k").into_future();
        assert!(tokio::time::timeout(ms(50), asks).await.is_err());
        server.thaw();
        assert_eq!(limiter.peek("k").await.unwrap().remaining(), Some(1));
        let slot = limiter.slot("k").await.unwrap();
        assert!(slot.allowed());
        server.freeze();
        let release = slot.release().into_future();
        assert!(tokio::time::timeout(ms(50), release).await.is_err());
        server.thaw();
        assert_eq!(limiter.peek("k").await.unwrap().remaining(), Some(1));
    }

    #[test]
    fn a_runtime_that_ends_gives_back_what_its_tasks_hold() {
        let server = Server::one();
        let gate = patient(&server);
        let limiter = gate.limiter("9 at once").open().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (holder, (told, ready)) = (limiter.clone(), std::sync::mpsc::channel());
        for _ in 0..9 {
            let (holder, told) = (holder.clone(), told.clone());
            runtime.spawn(async move {
                let slot = holder.slot("k").await.unwrap();
                told.send(slot.allowed()).unwrap();
                std::future::pending::<()>().await;
            });
        }
        assert!((0..9).all(|_| ready.recv().unwrap()));
        assert_eq!(free(&limiter), 0);
        drop(runtime);
        until("given back", || free(&limiter) == 9);
    }
}
