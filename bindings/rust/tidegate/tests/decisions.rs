// SPDX-License-Identifier: MIT
//! What is made of a decision, and what errors and settings say of themselves.

use std::time::Duration;

use serde_json::{json, Value};
use tidegate::testing::{decision, FakeClock, Figures};
use tidegate::{Gate, OnFailure, Retry, Source, NEVER};

fn gate() -> Gate {
    let clock = FakeClock::new(1_763_683_200_000_000);
    Gate::builder().url("memory://").clock(&clock).open().unwrap()
}

#[test]
fn the_four_waits_have_names() {
    let gate = gate();
    let api = gate.limiter("1/minute").open().unwrap();
    assert_eq!(api.consume("a").call().unwrap().retry(), Retry::Now);
    let denied = api.consume("a").call().unwrap();
    assert_eq!(denied.retry(), Retry::After(Duration::from_secs(60)));
    assert_eq!(denied.retry().wait(), Some(Duration::from_secs(60)));
    let never = api.consume("a").cost(2).call().unwrap();
    assert_eq!((never.retry(), never.retry_after()), (Retry::Never, Some(NEVER)));
    assert_eq!(never.parts().next().unwrap().retry(), Retry::Never);
    assert_eq!(never.retry().wait(), None);
    api.change("").mode(tidegate::Mode::Off).apply().unwrap();
    assert_eq!(api.consume("a").call().unwrap().retry(), Retry::Unknown);
}

#[test]
fn nobody_knows_a_wait_that_nobody_was_asked_about() {
    let gate = gate();
    let api = gate.limiter("1/minute").name("api").open().unwrap();
    for source in [Source::FailClosed, Source::Fallback] {
        let figures = Figures { retry_after: NEVER, ..Figures::default() };
        let made = decision(false, source, 0, &[(&api, figures)]).unwrap();
        let expected = if source == Source::Fallback { Retry::Never } else { Retry::Unknown };
        assert_eq!(made.retry(), expected, "{source}");
    }
}

#[test]
fn a_denied_decision_is_an_error_where_that_is_wanted() {
    let gate = gate();
    let api = gate.limiter("1/minute").name("api").open().unwrap();
    let ask = |cost: u64| api.consume("a").cost(cost).call().unwrap().into_result();
    assert!(ask(1).unwrap().allowed());
    let denied = ask(1).unwrap_err();
    assert_eq!(denied.to_string(), "denied by the limit \"api\": try again in 60s");
    assert_eq!(denied.decision().limit(), Some(1));
    assert!(ask(2).unwrap_err().to_string().contains("more than the limit ever allows"));
    let boxed: Box<dyn std::error::Error + Send + Sync> = denied.into();
    assert!(boxed.downcast_ref::<tidegate::Denied>().is_some());
}

#[test]
fn a_decision_is_the_same_json_in_every_language() {
    let gate = gate();
    let api = gate.limiter("2/minute; 5/hour").name("api").open().unwrap();
    let off = gate.limiter("1/s").mode(tidegate::Mode::Off).open().unwrap();
    let read = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let _ = api.consume("a").call().unwrap();
    let _ = api.consume("a").call().unwrap();
    let denied = api.consume("a").call().unwrap();
    assert_eq!(
        read(denied.to_json()),
        json!({
            "allowed": false, "wouldDeny": false, "name": "api-60s", "limit": 2, "remaining": 0,
            "retryAfterMs": 30000, "resetAfterMs": 60000, "source": "memory",
            "parts": [
                {"allowed": false, "name": "api-60s", "limit": 2, "remaining": 0,
                 "retryAfterMs": 30000, "resetAfterMs": 60000, "nextAfterMs": 30000,
                 "shortfall": 0, "renewed": false},
                {"allowed": true, "name": "api-3600s", "limit": 5, "remaining": 3,
                 "retryAfterMs": 0, "resetAfterMs": 1440000, "nextAfterMs": 720000,
                 "shortfall": 0, "renewed": false},
            ],
        })
    );
    let never = read(api.consume("a").cost(3).call().unwrap().to_json());
    assert_eq!(never["retryAfterMs"], json!("never"));
    let unasked = read(off.consume("a").call().unwrap().to_json());
    assert_eq!(unasked["retryAfterMs"], Value::Null);
    assert_eq!((&unasked["remaining"], &unasked["limit"]), (&Value::Null, &json!(1)));
    let nobody = Figures { allowed: true, ..Figures::default() };
    let made = decision(true, Source::None, 0, &[(&off, nobody)]).unwrap();
    assert_eq!(read(made.to_json())["source"], Value::Null);
    #[cfg(feature = "serde")]
    {
        assert_eq!(serde_json::to_string(&denied).unwrap(), denied.to_json());
        let part = serde_json::to_value(denied.parts().next().unwrap()).unwrap();
        assert_eq!(part, read(denied.to_json())["parts"][0]);
    }
}

#[test]
fn errors_of_configuration_are_those_of_every_language() {
    let gate = gate();
    let api = gate.limiter("1/minute").open().unwrap();
    let other = Gate::connect("memory://").unwrap().limiter("1/minute").open().unwrap();
    let wrong = [
        api.consume("").call().map(drop),
        api.consume("a").cost(u64::MAX).call().map(drop),
        gate.consume([]).call().map(drop),
        gate.consume([other.part("a")]).call().map(drop),
        gate.limiter("1/aeon").open().map(drop),
        Gate::builder().option("no_such", 1).open().map(drop),
        Gate::builder().in_flight(0).open().map(drop),
    ];
    for outcome in wrong {
        let why = outcome.unwrap_err();
        assert!(why.is_config() && why.name().starts_with("TG_E"), "{why:?}");
    }
    gate.close().unwrap();
    assert!(!api.consume("a").call().unwrap_err().is_config(), "closed is no configuration");
}

#[test]
fn what_is_shown_of_a_builder_has_no_secret() {
    let builder = Gate::builder().url("redis://:hunter2@host").option("tls_key", "hunter2");
    assert_eq!(format!("{builder:?}"), "GateBuilder { options: [\"tls_key\"], .. }");
}

#[test]
fn closed_by_the_policy_says_when_to_come_back_or_nothing() {
    let gate = Gate::connect("redis://127.0.0.1:1?timeout_ms=50&on_failure=closed").unwrap();
    let api = gate.limiter("1/minute").on_failure(OnFailure::Closed).open().unwrap();
    let refused = api.consume("a").cost(2).call().unwrap();
    assert_eq!(refused.source(), Source::FailClosed);
    assert_ne!(refused.retry(), Retry::Never);
}
