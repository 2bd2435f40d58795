// SPDX-License-Identifier: MIT
//! What a gate tells of itself: embedded, and on a server.

mod support;

use serde_json::{json, Value};
use support::Server;
use tidegate::testing::FakeClock;
use tidegate::{Error, Gate, MetricsFormat, TopBy};

fn parsed(text: Result<String, Error>) -> Value {
    serde_json::from_str(&text.unwrap()).unwrap()
}

fn busy() -> Gate {
    let clock = FakeClock::new(1_763_683_200_000_000);
    let gate = Gate::builder().url("memory://").clock(&clock).option("labels", "clear");
    let gate = gate.open().unwrap();
    let api = gate.limiter("5/minute").name("api").open().unwrap();
    for caller in 0..4 {
        for _ in 0..6 + caller {
            let _ = api.consume(&format!("user:{caller}")).call().unwrap();
        }
    }
    gate
}

#[test]
fn a_report_and_a_series_have_what_was_decided() {
    let gate = busy();
    let report = parsed(gate.report());
    assert_eq!(report["limiters"]["api"]["denied"], 1 + 2 + 3 + 4);
    let series = parsed(gate.series("api", "10m", "1m"));
    let allowed = series["allowed"].as_array().unwrap();
    assert_eq!((allowed.len(), &allowed[9]), (10, &json!(20)));
    let why = gate.series("", "1h", "7s").unwrap_err();
    assert!(why.is_config() && why.to_string().contains("10 s"), "{why}");
}

#[test]
fn callers_are_listed_and_looked_up() {
    let gate = busy();
    let top = parsed(gate.top("api", TopBy::Denied, 2));
    let expected = json!([{"caller": "user:3", "denied": 4}, {"caller": "user:2", "denied": 3}]);
    assert_eq!(top["callers"], expected);
    assert!(parsed(gate.top("api", TopBy::Cost, 20))["callers"][0].get("cost").is_some());
    let limited = parsed(gate.limited_now("api", 256));
    assert_eq!(limited["callers"].as_array().unwrap().len(), 4);
    assert_eq!(limited["callers"][0]["retry_after_us"], 12_000_000);
    let why = gate.top("nobody", TopBy::Denied, 20).unwrap_err();
    assert!(matches!(why, Error::Limiter(_)) && why.to_string().contains("nobody"), "{why}");
    let found = parsed(gate.look_up("user:3"));
    assert_eq!(found["limiters"]["api"]["allowed"], false);
    assert!(matches!(gate.look_up("").unwrap_err(), Error::Key(_) | Error::Invalid(_)));
}

#[test]
fn events_go_on_behind_a_page_and_metrics_have_two_formats() {
    let gate = busy();
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
    let server = Server::one();
    let gate = Gate::connect(&format!("{}?timeout_ms=5000", server.url())).unwrap();
    let api = gate.limiter("1/day").name("api").open().unwrap();
    assert!(api.consume("user:42").call().unwrap().allowed());
    let its = parsed(gate.look_up("user:42"));
    assert_eq!(its["limiters"]["api"]["allowed"], false);
    assert_eq!(its["limiters"]["api"]["source"], "store");
    assert_eq!(parsed(gate.report())["limiters"]["api"]["decisions"]["store"]["allowed"], 1);
}
