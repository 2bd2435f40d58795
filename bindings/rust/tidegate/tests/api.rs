// SPDX-License-Identifier: MIT
//! The synchronous surface on the embedded store: what a user types, and what he gets wrong.

mod support;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::Server;
use tidegate::testing::FakeClock;
use tidegate::{caller_key, Algorithm, Error, Gate, Level, Mode, OnFailure, Source, NEVER};

const START: i64 = 1_763_683_200_000_000;

fn still() -> (Gate, FakeClock) {
    let clock = FakeClock::new(START);
    let gate = Gate::builder().url("memory://").clock(&clock).open().unwrap();
    (gate, clock)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_send_and_sync<T: Send + Sync + 'static>() {}

#[test]
fn what_is_shared_may_be_sent_to_any_thread() {
    is_send_and_sync::<Gate>();
    is_send_and_sync::<tidegate::Limiter>();
    is_send_and_sync::<tidegate::Decision>();
    is_send_and_sync::<Error>();
    is_send_and_sync::<FakeClock>();
}

#[test]
fn a_denied_request_says_how_long_to_wait() {
    let (gate, clock) = still();
    let api = gate.limiter("2/minute burst 3").name("api").open().unwrap();
    for left in [2, 1, 0] {
        let decision = api.consume("user:42").call().unwrap();
        assert!(decision.allowed());
        assert_eq!(decision.remaining(), Some(left));
        assert_eq!(decision.retry_after(), Some(Duration::ZERO));
    }
    let denied = api.consume("user:42").call().unwrap();
    assert!(!denied.allowed());
    assert_eq!((denied.name().as_str(), denied.limit()), ("api", Some(2)));
    assert_eq!(denied.retry_after(), Some(secs(30)));
    assert_eq!(denied.reset_after(), Some(secs(90)));
    assert_eq!((denied.source(), denied.status()), (Source::Memory, 429));
    assert!(denied.problem().unwrap().contains("Retry in 30 s."));
    clock.advance(secs(30) - Duration::from_micros(1));
    assert!(!api.consume("user:42").call().unwrap().allowed());
    clock.advance(Duration::from_micros(1));
    assert!(api.consume("user:42").call().unwrap().allowed());
}

#[test]
fn never_and_unknown_are_two_things() {
    let (gate, _clock) = still();
    let api = gate.limiter("2/minute").open().unwrap();
    let never = api.consume("a").cost(3).call().unwrap();
    assert_eq!((never.allowed(), never.retry_after()), (false, Some(NEVER)));
    assert!(!never.headers().iter().any(|(name, _)| name == "Retry-After"));
    let off = gate.limiter("2/minute").name("off").mode(Mode::Off).open().unwrap();
    let unknown = off.consume("a").cost(3).call().unwrap();
    assert!(unknown.allowed());
    assert_eq!((unknown.retry_after(), unknown.remaining()), (None, None));
}

#[test]
fn several_parts_are_all_or_nothing() {
    let (gate, _clock) = still();
    let per_ip = gate.limiter("1/second").name("ip").open().unwrap();
    let per_key = gate.limiter("10/minute").name("key").open().unwrap();
    let ask = || gate.consume([per_ip.part("203.0.113.7"), per_key.part("k").cost(3)]);
    let first = ask().call().unwrap();
    assert!(first.allowed());
    assert_eq!(first.parts().map(|part| part.name()).collect::<Vec<_>>(), ["ip", "key"]);
    let second = ask().call().unwrap();
    assert!(!second.allowed());
    assert_eq!(second.name(), "ip");
    assert_eq!(second.parts().map(|part| part.allowed()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(
        per_key.peek("k").call().unwrap().remaining(),
        Some(7),
        "a denied part is not charged"
    );
}

#[test]
fn several_rates_are_named_by_their_windows() {
    let (gate, _clock) = still();
    let api = gate.limiter("10/second; 1000/hour").name("api").open().unwrap();
    let decision = api.consume("a").call().unwrap();
    assert_eq!(decision.parts().map(|p| p.name()).collect::<Vec<_>>(), ["api-1s", "api-3600s"]);
    let rates = api.rates().unwrap();
    assert_eq!((rates[1].limit, rates[1].window, rates[1].capacity), (1000, secs(3600), 1000));
}

#[test]
fn peek_refund_reset_and_change() {
    let (gate, _clock) = still();
    let api = gate.limiter("5/minute").name("api").open().unwrap();
    let taken = api.consume("a").cost(4).call().unwrap();
    assert_eq!(api.peek("a").call().unwrap().remaining(), Some(1));
    api.refund("a", 2).source(taken.source()).call().unwrap();
    assert_eq!(api.peek("a").call().unwrap().remaining(), Some(3));
    api.reset("a").call().unwrap();
    assert_eq!(api.peek("a").call().unwrap().remaining(), Some(5));
    api.change("9/minute").apply().unwrap();
    assert_eq!(api.peek("a").call().unwrap().remaining(), Some(9));
    api.change("").mode(Mode::Shadow).apply().unwrap();
    let passed = api.consume("a").cost(10).call().unwrap();
    assert!(passed.allowed() && passed.would_deny());
    gate.ping().call().unwrap();
}

#[test]
fn waiting_follows_the_clock_and_gives_up_at_once_when_it_must() {
    let (gate, clock) = still();
    let api = gate.limiter("1/minute").name("api").open().unwrap();
    assert!(api.wait("a").call().unwrap().allowed());
    let started = Instant::now();
    let late = api.wait("a").timeout(secs(20)).call().unwrap();
    assert!(!late.allowed() && late.retry_after() == Some(secs(60)));
    assert!(!api.wait("a").cost(2).call().unwrap().allowed(), "never");
    assert!(started.elapsed() < secs(10));
    let waiter = thread::spawn(move || api.wait("a").call().unwrap().allowed());
    while !waiter.is_finished() {
        assert!(started.elapsed() < secs(60), "the waiter did not wake");
        clock.advance(secs(20));
        thread::sleep(Duration::from_millis(5));
    }
    assert!(waiter.join().unwrap());
    assert!(clock.now_us() >= START + 60_000_000);
}

#[test]
fn waiting_on_the_real_clock() {
    let gate = Gate::connect("memory://").unwrap();
    let api = gate.limiter("1/50ms").open().unwrap();
    assert!(api.consume("a").call().unwrap().allowed());
    let started = Instant::now();
    assert!(api.wait("a").timeout(secs(30)).call().unwrap().allowed());
    assert!(started.elapsed() >= Duration::from_millis(40));
}

#[test]
fn threads_together_are_admitted_exactly_the_limit() {
    let (gate, _clock) = still();
    let api = gate.limiter("1000/hour").open().unwrap();
    let ask = || (0..500).filter(|_| api.consume("hot").call().unwrap().allowed()).count();
    let admitted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 1000);
    assert_eq!(gate.stats().unwrap().denied, 1000);
}

/// Each message names the value and what was expected.
fn fails<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) -> Error {
    let why = result.unwrap_err();
    let text = why.to_string();
    words.iter().for_each(|word| assert!(text.contains(word), "{text:?} without {word:?}"));
    why
}

#[test]
fn bad_input_is_refused_in_words() {
    let (gate, _clock) = still();
    let why = fails(gate.limiter("100/fortnight").open(), &["100/fortnight", "expected"]);
    assert!(matches!(why, Error::Rate(_)) && why.is_config());
    assert_eq!(why.position(), Some(4));
    let why = fails(gate.limiter("1/s").name("a b").open(), &["a b", "expected"]);
    assert!(matches!(why, Error::Name(_)));
    gate.limiter("1/s").name("api").open().unwrap();
    let why = fails(gate.limiter("2/s").name("api").open(), &["api"]);
    assert!(matches!(why, Error::Conflict(_)));
    let why = fails(Gate::connect("http://localhost"), &["redis://"]);
    assert!(matches!(why, Error::Url(_)));
    let why = fails(Gate::builder().option("timeout", 1).open(), &["timeout_ms"]);
    assert!(matches!(why, Error::Setting(_)));
    fails(Gate::builder().option("on_failure", "\0").open(), &["NUL"]);
    let secret = fails(Gate::connect("redis://u:hunter2@host:99999"), &["a port from 1 to 65535"]);
    assert!(!secret.to_string().contains("hunter2"));
    let shown = Gate::connect("redis://u:hunter2@host").unwrap();
    assert!(!format!("{shown:?}").contains("hunter2"));
}

#[test]
fn bad_requests_are_refused_in_words() {
    let (gate, _clock) = still();
    let api = gate.limiter("100/minute").name("api").open().unwrap();
    assert!(matches!(fails(api.consume("").call(), &["empty key", "api"]), Error::Key(_)));
    let huge = 1_u64 << 60;
    let why =
        fails(api.consume("a").cost(huge).call(), &["1152921504606846976", "4503599627370495"]);
    assert!(matches!(why, Error::Cost(_)));
    let seventeen = (0..17).map(|_| api.part("a"));
    assert!(matches!(fails(gate.consume(seventeen).call(), &["17", "16"]), Error::Invalid(_)));
    assert!(matches!(fails(gate.consume([]).call(), &["0 parts"]), Error::Invalid(_)));
    let other = Gate::connect("memory://").unwrap();
    assert!(matches!(
        fails(other.consume([api.part("a")]).call(), &["limiter"]),
        Error::Limiter(_)
    ));
    api.close().unwrap();
    assert!(matches!(fails(api.consume("a").call(), &["closed"]), Error::Limiter(_)));
}

#[test]
fn any_bytes_are_a_key() {
    let (gate, _clock) = still();
    let api = gate.limiter("1/minute").open().unwrap();
    let keys: [&[u8]; 5] = [b"a\0b", b"a\nb", b"\xff\xfe", &[b'k'; 10_000], &[b'k'; 10_001]];
    for key in keys {
        assert!(api.consume(key).call().unwrap().allowed());
        assert!(!api.consume(key).call().unwrap().allowed());
    }
}

#[test]
fn closing_ends_blocking_calls_that_are_in_flight() {
    let server = Server::one();
    let gate = Gate::builder().url(server.url()).option("timeout_ms", 20_000).open().unwrap();
    let api = gate.limiter("100/minute").open().unwrap();
    let _ = api.consume("a").call().unwrap();
    server.freeze();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| api.consume("a").call())).collect();
        thread::sleep(Duration::from_millis(50));
        let started = Instant::now();
        gate.close().unwrap();
        for caller in callers {
            let outcome = caller.join().unwrap();
            assert!(matches!(outcome, Err(Error::Closed(_))), "{outcome:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    });
    server.thaw();
}

#[test]
fn a_closed_gate_says_so() {
    let gate = Gate::connect("memory://").unwrap();
    let api = gate.limiter("1/minute").open().unwrap();
    let decision = api.consume("a").call().unwrap();
    gate.close().unwrap();
    for why in [gate.close().unwrap_err(), api.consume("a").call().unwrap_err()] {
        assert!(matches!(why, Error::Closed(_)), "{why:?}");
        assert!(why.is_fatal() && !why.is_retriable());
    }
    assert!(matches!(gate.limiter("1/s").open(), Err(Error::Closed(_))));
    assert_eq!(decision.remaining(), Some(0), "what was answered is still there");
}

#[test]
fn closing_while_others_call_is_safe() {
    for _ in 0..50 {
        let gate = Gate::connect("memory://").unwrap();
        let api = gate.limiter("1000000/minute").open().unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| loop {
                    match api.consume("a").call() {
                        Ok(decision) => assert!(decision.allowed()),
                        Err(Error::Closed(_)) => return,
                        Err(why) => panic!("{why}"),
                    }
                });
            }
            thread::sleep(Duration::from_micros(200));
            gate.close().unwrap();
        });
    }
}

#[test]
fn a_shared_gate_is_one_while_it_is_used() {
    let first = Gate::shared(Some("memory://?max_keys=77")).unwrap();
    let second = Gate::shared(Some("memory://?max_keys=77")).unwrap();
    let api = first.limiter("1/minute").open().unwrap();
    assert!(api.consume("a").call().unwrap().allowed());
    let again = second.limiter("1/minute").open().unwrap();
    assert!(!again.consume("a").call().unwrap().allowed());
    drop((first, second, api, again));
    let third = Gate::shared(Some("memory://?max_keys=77")).unwrap();
    assert!(third.limiter("1/minute").open().unwrap().consume("a").call().unwrap().allowed());
}

#[test]
fn the_same_name_and_numbers_are_one_limiter() {
    let (gate, _clock) = still();
    let wish = || gate.limiter("1/minute").algorithm(Algorithm::SlidingLog).open().unwrap();
    assert_eq!(wish().name(), "1-per-60s-sliding_log");
    assert!(wish().consume("a").call().unwrap().allowed());
    assert!(!wish().consume("a").call().unwrap().allowed());
}

#[test]
fn callers_have_the_keys_of_the_middleware() {
    assert_eq!(caller_key(Some("k_1"), "203.0.113.7").unwrap(), "k_1");
    assert_eq!(caller_key(None, "203.0.113.7").unwrap(), "@203.0.113.7");
    assert_eq!(caller_key(Some("@203.0.113.7"), "").unwrap(), "@@203.0.113.7");
    assert!(tidegate::options().lines().any(|line| line.starts_with("timeout_ms\t")));
}

#[test]
fn blocking_callers_of_a_server_share_its_limits() {
    for server in Server::all() {
        let gates = [Gate::connect(&server.url()).unwrap(), Gate::connect(&server.url()).unwrap()];
        let ask = |gate: &Gate| {
            let api = gate.limiter("100/week").name("api").open().unwrap();
            let ask = |_: &i32| api.consume("k").timeout(secs(20)).call().unwrap().allowed();
            (0..80).filter(ask).count()
        };
        let admitted: usize = thread::scope(|scope| {
            let threads: Vec<_> = gates.iter().map(|gate| scope.spawn(|| ask(gate))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 100, "{}", server.name);
    }
}

#[test]
fn a_store_that_is_away_is_answered_by_the_policy_and_heard_of_once() {
    let gate = Gate::connect("redis://127.0.0.1:1?timeout_ms=50&breaker_failures=2").unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let writer = heard.clone();
    gate.on_event(move |event| writer.lock().unwrap().push(event.clone())).unwrap();
    let local = gate.limiter("1/minute").name("local").open().unwrap();
    assert_eq!(local.consume("a").call().unwrap().source(), Source::Fallback);
    assert!(!local.consume("a").call().unwrap().allowed());
    let closed = gate.limiter("1/minute").name("closed").on_failure(OnFailure::Closed);
    let refused = closed.open().unwrap().consume("a").call().unwrap();
    assert_eq!((refused.source(), refused.status()), (Source::FailClosed, 503));
    let open = gate.limiter("1/minute").name("open").on_failure(OnFailure::Open).open().unwrap();
    for _ in 0..20 {
        let passed = open.consume("a").call().unwrap();
        assert_eq!((passed.source(), passed.remaining()), (Source::FailOpen, None));
    }
    let why = gate.ping().call().unwrap_err();
    assert!(matches!(why, Error::Store(_)) && why.is_retriable(), "{why:?}");
    let heard = heard.lock().unwrap();
    assert!((1..=4).contains(&heard.len()), "{heard:?}");
    assert!(heard.iter().all(|event| event.level >= Level::Warning), "{heard:?}");
    assert!(gate.next_event().unwrap().is_some());
}
