// SPDX-License-Identifier: MIT
//! Debits, and reservations that are settled by what was used.

mod support;

use std::panic::{catch_unwind, AssertUnwindSafe};

use support::Server;
use tidegate::testing::FakeClock;
use tidegate::{Error, Gate, Limiter, Mode, OnFailure, Reservation, Source};

fn still() -> Gate {
    let clock = FakeClock::new(1_763_683_200_000_000);
    Gate::builder().url("memory://").clock(&clock).open().unwrap()
}

fn patient(server: &Server) -> Gate {
    Gate::builder().url(server.url()).option("timeout_ms", 20_000).open().unwrap()
}

fn left(limiter: &Limiter) -> u64 {
    limiter.peek("k").call().unwrap().remaining().unwrap()
}

#[test]
fn a_debit_is_never_denied_and_says_what_did_not_fit() {
    let gate = still();
    let api = gate.limiter("10/minute overdraft 20").name("api").open().unwrap();
    assert_eq!(api.rates().unwrap()[0].overdraft, 20);
    let debit = api.debit("k", 31).call().unwrap();
    assert!(debit.allowed());
    assert_eq!(debit.remaining(), Some(0));
    assert_eq!(debit.retry_after(), Some(std::time::Duration::from_secs(126)));
    assert_eq!(debit.parts().map(|part| part.shortfall()).collect::<Vec<_>>(), [1]);
    assert!(debit.to_json().contains(r#""shortfall":1"#), "{}", debit.to_json());
    assert!(!api.consume("k").call().unwrap().allowed(), "in debt");
    let huge = api.debit("k", 1 << 52).call().unwrap_err();
    assert!(matches!(huge, Error::Cost(_)), "{huge}");
    assert!(api.debit("k", (1 << 52) - 1).call().unwrap().allowed());
}

#[test]
fn several_parts_are_debited_refunded_and_reset_together() {
    let gate = still();
    let (a, b) = (gate.limiter("10/minute").name("a"), gate.limiter("20/minute").name("b"));
    let (a, b) = (a.open().unwrap(), b.open().unwrap());
    let parts = || [a.part("k").cost(12), b.part("k").cost(12)];
    let debit = gate.debit(parts()).call().unwrap();
    assert_eq!(debit.parts().map(|part| part.shortfall()).collect::<Vec<_>>(), [2, 0]);
    assert_eq!((left(&a), left(&b)), (0, 8));
    gate.refund([a.part("k").cost(3), b.part("k").cost(4)]).call().unwrap();
    assert_eq!((left(&a), left(&b)), (3, 12));
    gate.reset(parts()).call().unwrap();
    assert_eq!((left(&a), left(&b)), (10, 20));
    for why in [gate.debit([]).call().unwrap_err(), gate.reset([]).call().unwrap_err()] {
        assert!(matches!(why, Error::Invalid(_)), "{why}");
    }
}

#[test]
fn a_source_belongs_to_debits_and_anything_else_is_told() {
    let gate = still();
    let api = gate.limiter("10/minute").open().unwrap();
    let why = api.consume("k").source(Source::Fallback).call().unwrap_err();
    assert!(matches!(why, Error::Invalid(_)), "{why:?}");
    assert!(why.to_string().contains("a source belongs to refunds and debits"), "{why}");
}

#[test]
fn settling_gives_back_or_debits_the_difference() {
    let gate = still();
    let api = gate.limiter("1000/minute overdraft 500").open().unwrap();
    let reserve = || {
        api.reset("k").call().unwrap();
        let reservation = api.reserve("k", 800).call().unwrap();
        assert!(reservation.allowed() && left(&api) == 200);
        reservation
    };
    let settled = reserve().settle(300).call().unwrap();
    assert_eq!((settled.is_charged, settled.given_back, settled.debited), (true, 500, 0));
    assert!(settled.debit.is_none());
    assert_eq!(left(&api), 700);
    let settled = reserve().settle(1200).call().unwrap();
    assert_eq!((settled.given_back, settled.debited), (0, 400));
    assert_eq!(settled.debit.unwrap().source(), Source::Memory);
    assert_eq!(api.consume("k").call().unwrap().retry_after().unwrap().as_secs_f64(), 12.06);
    let settled = reserve().settle(800).call().unwrap();
    assert_eq!((settled.given_back, settled.debited), (0, 0));
    assert_eq!(left(&api), 200);
}

#[test]
fn leaving_without_settle_gives_all_back() {
    let gate = still();
    let api = gate.limiter("1000/minute").open().unwrap();
    drop(api.reserve("k", 800).call().unwrap());
    assert_eq!(left(&api), 1000);
    let raised = catch_unwind(AssertUnwindSafe(|| {
        let _reservation = api.reserve("k", 800).call().unwrap();
        assert_eq!(left(&api), 200);
        panic!("a body of a test");
    }));
    assert!(raised.is_err());
    assert_eq!(left(&api), 1000);
    let early = || -> Result<Reservation, Error> {
        let reservation = api.reserve("k", 800).call()?;
        let _ = api.consume("").call()?;
        Ok(reservation)
    };
    assert!(early().is_err());
    assert_eq!(left(&api), 1000);
    drop(api.reserve("k", 800).call().unwrap().settle(3)); // never asked
    assert_eq!(left(&api), 1000);
}

#[test]
fn what_cannot_be_settled_is_told() {
    let gate = still();
    let api = gate.limiter("10/minute").open().unwrap();
    let denied = api.reserve("k", 11).call().unwrap();
    assert!(!denied.allowed() && denied.decision().retry_after() == Some(tidegate::NEVER));
    let why = denied.settle(3).call().unwrap_err();
    assert!(matches!(why, Error::Invalid(_)) && why.to_string().contains("denied"), "{why}");
    drop(api.reserve("k", 11).call().unwrap());
    assert_eq!(left(&api), 10, "a denied one gives nothing back");
    let why = api.reserve("k", 4).call().unwrap().settle(1 << 52).call().unwrap_err();
    assert!(matches!(why, Error::Cost(_)) && why.to_string().contains("4503599627370496"));
    assert_eq!(left(&api), 6, "stays charged");
    let why = api.reserve("k", 1).call().unwrap().settle_each([1, 2]).call().unwrap_err();
    assert!(why.to_string().contains("2 figures: expected 1"), "{why}");
}

#[test]
fn parts_are_settled_each_by_its_own_use_and_slots_are_given_back() {
    let gate = still();
    let tokens = gate.limiter("1000/minute overdraft 100").name("tokens").open().unwrap();
    let calls = gate.limiter("10/minute").name("calls").open().unwrap();
    let slots = gate.limiter("2 at once").name("slots").open().unwrap();
    let reserve = || {
        let parts = [tokens.part("k").cost(800), calls.part("k").cost(3), slots.part("k").id("me")];
        gate.reserve(parts).call().unwrap()
    };
    let reservation = reserve();
    assert_eq!((left(&tokens), left(&calls), left(&slots)), (200, 7, 1));
    let settled = reservation.settle_each([850, 1, 0]).call().unwrap();
    assert_eq!((settled.given_back, settled.debited), (2, 50));
    assert_eq!((left(&tokens), left(&calls), left(&slots)), (150, 9, 2));
    // Slots that were held before are not the reservation's to give back.
    assert!(slots.acquire("k", "me").call().unwrap().allowed());
    tokens.reset("k").call().unwrap();
    drop(reserve());
    assert_eq!((left(&tokens), left(&calls), left(&slots)), (1000, 9, 1));
}

#[test]
fn a_shadow_that_did_not_fit_is_not_given_what_it_was_not_charged() {
    let gate = still();
    let api = gate.limiter("10/minute").mode(Mode::Shadow).open().unwrap();
    let _ = api.consume("k").cost(5).call().unwrap();
    let reservation = api.reserve("k", 8).call().unwrap();
    assert!(reservation.allowed() && reservation.decision().would_deny());
    drop(reservation);
    assert_eq!(left(&api), 5);
    let settled = api.reserve("k", 8).call().unwrap().settle(2).call().unwrap();
    assert_eq!((settled.given_back, left(&api)), (0, 5));
}

#[test]
fn nothing_was_charged_where_a_policy_answered() {
    let gate = Gate::connect("redis://127.0.0.1:1?timeout_ms=50&on_failure=open").unwrap();
    let api = gate.limiter("10/minute").open().unwrap();
    let reservation = api.reserve("k", 4).call().unwrap();
    assert_eq!(reservation.decision().source(), Source::FailOpen);
    let settled = reservation.settle(400).call().unwrap();
    assert!(!settled.is_charged && settled.debit.is_none());
    assert_eq!((settled.given_back, settled.debited), (0, 0));
    let why = api.debit("k", 1).call().unwrap_err();
    assert!(matches!(why, Error::Store(_)), "{why}");
    let closed = gate.limiter("10/minute").name("closed").on_failure(OnFailure::Closed);
    assert!(!closed.open().unwrap().reserve("k", 4).call().unwrap().allowed());
}

#[test]
fn settling_goes_where_the_reservation_was_made() {
    let server = Server::one();
    let gate = Gate::connect(&format!("{}?timeout_ms=150", server.url())).unwrap();
    let api = gate.limiter("1000/hour overdraft 1000").open().unwrap();
    let kept = api.reserve("k", 100).call().unwrap();
    let dropped = api.reserve("k", 50).call().unwrap();
    assert_eq!(kept.decision().source(), Source::Store);
    server.freeze();
    let here = api.reserve("k", 300).call().unwrap();
    assert_eq!(here.decision().source(), Source::Fallback);
    drop(dropped); // cannot be given back: nobody is told, nothing hangs
    let why = api.reserve("k", 7).call().unwrap();
    assert_eq!(why.decision().source(), Source::Fallback);
    server.thaw();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while api.peek("k").call().unwrap().source() != Source::Store {
        assert!(std::time::Instant::now() < end, "the store is not asked again");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // What was made here is settled here, and the store hears nothing of it.
    let before = left(&api);
    let settled = here.settle(400).call().unwrap();
    assert_eq!(settled.debit.unwrap().source(), Source::Fallback);
    drop(why);
    assert_eq!(left(&api), before);
    let settled = kept.settle(150).call().unwrap();
    assert_eq!(settled.debit.unwrap().source(), Source::Store);
    assert_eq!(left(&api), before - 50);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn all_of_it_is_awaited() {
    for server in Server::all() {
        let gate = patient(&server);
        let api = gate.limiter("1000/week overdraft 500").open().unwrap();
        assert!(api.debit("k", 100).await.unwrap().allowed());
        gate.refund([api.part("k").cost(60)]).await.unwrap();
        let settled = api.reserve("k", 400).await.unwrap().settle(500).await.unwrap();
        assert_eq!((settled.debited, settled.debit.unwrap().source()), (100, Source::Store));
        assert_eq!(api.reserve("k", 400).await.unwrap().settle(100).await.unwrap().given_back, 300);
        assert_eq!(api.peek("k").await.unwrap().remaining(), Some(360));
        // Dropped within a runtime it does not wait; its refund is ahead of whatever comes next.
        drop(api.reserve("k", 300).await.unwrap());
        assert_eq!(api.peek("k").await.unwrap().remaining(), Some(360));
        let api = api.clone();
        let held = tokio::spawn(async move {
            let _reservation = api.reserve("k", 300).await.unwrap();
            std::future::pending::<()>().await;
        });
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        held.abort();
        assert!(held.await.unwrap_err().is_cancelled());
        let api = gate.limiter("1000/week overdraft 500").open().unwrap();
        assert_eq!(api.peek("k").await.unwrap().remaining(), Some(360), "{}", server.name);
        assert_eq!(
            gate.reserve([api.part("k")]).await.unwrap().settle(1).await.unwrap().debited,
            0
        );
    }
}
