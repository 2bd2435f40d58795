// SPDX-License-Identifier: MIT
//! What a gate tells of itself: embedded, and on a server.

mod support;

use std::time::Duration;

use serde_json::{json, Value};
use support::Server;
use tidegate::testing::FakeClock;
use tidegate::{Error, Gate, MetricsFormat, TopBy};

fn parsed(text: Result<String, Error>) -> Value {
    serde_json::from_str(&text.unwrap()).unwrap()
}

fn busy() -> (Gate, FakeClock) {
    let clock = FakeClock::new(1_763_683_200_000_000);
    let gate = Gate::builder().url("memory://").clock(&clock).option("labels", "clear");
    let gate = gate.open().unwrap();
    let _ = gate.limiter("2 at once").name("slots").open().unwrap();
    let api = gate.limiter("5/minute").name("api").open().unwrap();
    for caller in 0..4 {
        for _ in 0..6 + caller {
            let _ = api.consume(&format!("user:{caller}")).call().unwrap();
        }
    }
    (gate, clock)
}

#[test]
fn a_report_and_a_series_have_what_was_decided() {
    let (gate, _) = busy();
    let report = parsed(gate.report());
    assert_eq!(report["limiters"]["api"]["denied"], 1 + 2 + 3 + 4);
    let series = parsed(gate.series("api", "10m", "1m"));
    let allowed = series["allowed"].as_array().unwrap();
    assert_eq!((allowed.len(), &allowed[9]), (10, &json!(20)));
    let why = gate.series("", "1h", "7s").unwrap_err();
    assert!(why.is_config() && why.to_string().contains("10 s"), "{why}");
}

#[test]
fn callers_are_listed_as_the_option_says() {
    let (gate, clock) = busy();
    let top = parsed(gate.top("api", TopBy::Denied, 2));
    let expected = json!([{"caller": "user:3", "denied": 4}, {"caller": "user:2", "denied": 3}]);
    assert_eq!(top["callers"], expected);
    let dearest = &parsed(gate.top("api", TopBy::Cost, 20))["callers"][0];
    assert!(dearest.get("cost").is_some() && dearest.get("denied").is_none(), "{dearest}");
    let limited = parsed(gate.limited_now("api", 256));
    let denied = limited["callers"].as_array().unwrap().iter().map(|one| one["denied"].as_i64());
    assert_eq!(denied.flatten().collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!(limited["callers"][0]["retry_after_us"], 12_000_000);
    clock.advance(Duration::from_secs(5));
    let later = parsed(gate.limited_now("api", 1));
    assert_eq!(
        later["callers"],
        json!([{"caller": "user:3", "denied": 4, "retry_after_us": 7_000_000}])
    );
    let why = gate.top("nobody", TopBy::Denied, 20).unwrap_err();
    assert!(matches!(why, Error::Limiter(_)) && why.to_string().contains("nobody"), "{why}");
}

#[test]
fn callers_are_masked_unless_told_otherwise() {
    let gate = Gate::connect("memory://").unwrap();
    let api = gate.limiter("1/day").name("api").open().unwrap();
    for _ in 0..3 {
        let _ = api.consume("user:42").call().unwrap();
    }
    let top = parsed(gate.top("api", TopBy::Denied, 20));
    let shown = top["callers"][0]["caller"].as_str().unwrap();
    assert!(shown.starts_with("use~"), "{shown}");
    let texts = [gate.report(), gate.events(None, 100), gate.metrics(MetricsFormat::Prometheus)];
    let all = texts.map(Result::unwrap).concat();
    assert!(all.contains(shown) && !all.contains("user:42"), "{all}");
}

#[test]
fn a_caller_is_looked_up_by_any_key() {
    let (gate, _) = busy();
    let found = parsed(gate.look_up("user:3"));
    let limiters = &found["limiters"];
    assert_eq!(
        (&limiters["api"]["allowed"], &limiters["api"]["denied"]),
        (&json!(false), &json!(4))
    );
    assert_eq!(limiters["slots"]["rates"][0]["remaining"], 2);
    assert_eq!(parsed(gate.look_up("somebody"))["limiters"]["api"]["allowed"], true);
    assert_eq!(parsed(gate.look_up(b"\xff"))["caller"], "\u{fffd}");
    let why = gate.look_up("").unwrap_err();
    assert!(matches!(why, Error::Key(_)) && why.to_string().contains("1 byte or more"), "{why}");
    gate.close().unwrap();
    assert!(matches!(gate.look_up("user:3").unwrap_err(), Error::Closed(_)));
    assert_eq!(parsed(gate.report())["denied"], 10, "figures are still to be had");
}

#[test]
fn events_go_on_behind_a_page_and_metrics_have_two_formats() {
    let (gate, _) = busy();
    let all = parsed(gate.events(None, 100));
    assert_eq!(all["events"].as_array().unwrap().len(), 4);
    let first = parsed(gate.events(Some(0), 1));
    let next = parsed(gate.events(first["next"].as_i64(), 100));
    assert_eq!(
        next["events"].as_array().unwrap().as_slice(),
        &all["events"].as_array().unwrap()[1..]
    );
    let line = r#"tidegate_decisions_total{limiter="api",outcome="denied",source="memory"} 10"#;
    assert!(gate.metrics(MetricsFormat::Prometheus).unwrap().contains(line));
    assert!(gate.metrics(MetricsFormat::OpenMetrics).unwrap().ends_with("# EOF\n"));
}

#[test]
fn a_server_is_asked_what_it_would_say() {
    for server in Server::all() {
        let gate = Gate::connect(&format!("{}?timeout_ms=5000", server.url())).unwrap();
        let api = gate.limiter("1/day").name("api").open().unwrap();
        assert!(api.consume("user:42").call().unwrap().allowed());
        assert!(!api.consume("user:42").call().unwrap().allowed());
        let its = &parsed(gate.look_up("user:42"))["limiters"]["api"];
        assert_eq!((&its["allowed"], &its["source"]), (&json!(false), &json!("store")));
        let report = parsed(gate.report());
        assert_eq!(report["limiters"]["api"]["decisions"]["store"]["denied"], 1);
        let durations = &report["durations"];
        assert_eq!(durations["decisions"]["count"], 2);
        assert!(durations["decisions"]["p50_us"].as_i64().unwrap() > 0, "{durations}");
        assert!(durations["round_trips"]["count"].as_i64().unwrap() >= 3, "{durations}");
    }
}
