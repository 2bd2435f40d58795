// SPDX-License-Identifier: MIT
//! Every recorded scenario of the models, through this API.

mod support;

use std::time::Duration;

use serde_json::{json, Value};
use support::{lines, Server};
use tidegate::testing::{decision, FakeClock, Figures};
use tidegate::{
    Algorithm, Callers, Gate, HeaderStyles, Limiter, Mode, PartDecision, Source, NEVER,
};

fn algorithm(limit: &Value) -> Algorithm {
    match limit["algorithm"].as_str().unwrap() {
        "token_bucket" => Algorithm::TokenBucket,
        "fixed_window" => Algorithm::FixedWindow,
        "sliding_window" => Algorithm::SlidingWindow,
        "sliding_log" => Algorithm::SlidingLog,
        "concurrency" => Algorithm::Concurrency,
        other => panic!("unknown algorithm {other}"),
    }
}

fn rates(limit: &Value) -> String {
    if limit["algorithm"] == "concurrency" {
        return format!("{} at once", limit["limit"]);
    }
    let option = |name: &str| match limit[name].as_u64() {
        Some(count) => format!(" {name} {count}"),
        None => String::new(),
    };
    let (burst, overdraft) = (option("burst"), option("overdraft"));
    format!("{}/{}us{burst}{overdraft}", limit["limit"], limit["window_us"])
}

fn lease(limit: &Value) -> Option<Duration> {
    let is_slots = limit["algorithm"] == "concurrency";
    is_slots.then(|| Duration::from_micros(limit["window_us"].as_u64().unwrap()))
}

fn mode(limit: &Value) -> Mode {
    if limit["shadow"] == true {
        Mode::Shadow
    } else {
        Mode::Enforce
    }
}

fn micros(figure: Option<Duration>) -> i64 {
    match figure.expect("a figure") {
        NEVER => -1,
        figure => i64::try_from(figure.as_micros()).unwrap(),
    }
}

fn seen(part: &PartDecision<'_>, is_debit: bool) -> Value {
    let mut seen = json!({
        "allowed": part.allowed(),
        "remaining": part.remaining(),
        "retry_after_us": micros(part.retry_after()),
        "next_us": micros(part.next_after()),
        "reset_after_us": micros(part.reset_after()),
    });
    if is_debit {
        seen["short"] = json!(part.shortfall());
    }
    seen
}

fn change(limiter: &Limiter, to: &Value) {
    let rates = rates(to);
    let change = limiter.change(&rates).algorithm(algorithm(to)).mode(mode(to));
    match lease(to) {
        Some(lease) => change.lease(lease).apply().unwrap(),
        None => change.apply().unwrap(),
    }
}

fn play(gate: &Gate, clock: &FakeClock, scenario: &Value, prefix: &str) {
    let id = scenario["id"].as_str().unwrap();
    let limiters: Vec<Limiter> = scenario["limits"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, limit)| {
            let name = format!("{prefix}{id}-{index}");
            let rates = rates(limit);
            let wish = gate.limiter(&rates).name(&name).algorithm(algorithm(limit));
            let wish = wish.mode(mode(limit));
            match lease(limit) {
                Some(lease) => wish.lease(lease).open().unwrap(),
                None => wish.open().unwrap(),
            }
        })
        .collect();
    for step in scenario["steps"].as_array().unwrap() {
        clock.set_now_us(step["at"].as_i64().unwrap());
        if step["op"] == "change" {
            change(&limiters[step["limit"].as_u64().unwrap() as usize], &step["to"]);
            continue;
        }
        let parts: Vec<_> = step["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| {
                let limiter = &limiters[part["limit"].as_u64().unwrap() as usize];
                let key = part["key"].as_str().unwrap();
                let made = limiter.part(key).cost(part["cost"].as_u64().unwrap_or(1));
                match part.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
                    Some(id) => made.id(id),
                    None => made,
                }
            })
            .collect();
        let request = parts.iter().copied();
        let answer = match step["op"].as_str().unwrap() {
            "consume" => gate.consume(request).call().unwrap(),
            "peek" => gate.peek(request).call().unwrap(),
            "debit" => gate.debit(request).call().unwrap(),
            "refund" => {
                gate.refund(request).call().unwrap();
                continue;
            }
            "reset" => {
                gate.reset(request).call().unwrap();
                continue;
            }
            other => panic!("unknown operation {other}"),
        };
        let is_debit = step["op"] == "debit";
        let figures: Vec<Value> = answer.parts().map(|part| seen(&part, is_debit)).collect();
        let expected = &step["expect"];
        let context = format!("scenario {id}, step {step}");
        assert_eq!(json!(answer.allowed()), expected["allowed"], "{context}");
        assert_eq!(json!(figures), expected["parts"], "{context}");
        let binding = expected["binding"].as_u64().unwrap() as usize;
        assert_eq!(seen(&answer.binding().unwrap(), is_debit), figures[binding], "{context}");
    }
    limiters.iter().for_each(|limiter| limiter.close().unwrap());
}

/// Rates, and then debt and slots.
fn scenarios() -> Vec<Value> {
    let files = ["tests/conformance/vectors.jsonl", "tests/conformance/slots.jsonl"];
    let mut all = Vec::new();
    for (index, path) in files.into_iter().enumerate() {
        let mut scenarios = lines(path);
        assert_eq!(scenarios.len(), 300, "{path}");
        for scenario in &mut scenarios {
            scenario["id"] = json!(format!("{index}-{}", scenario["id"].as_str().unwrap()));
        }
        all.append(&mut scenarios);
    }
    all
}

#[test]
fn every_scenario_on_the_embedded_store() {
    for scenario in &scenarios() {
        let clock = FakeClock::new(0);
        let gate = Gate::builder().url("memory://").clock(&clock).open().unwrap();
        play(&gate, &clock, scenario, "");
    }
}

#[test]
fn every_scenario_on_every_server() {
    let scenarios = scenarios();
    for server in Server::all() {
        let clock = FakeClock::new(0);
        let gate = Gate::builder().url(server.url()).clock(&clock).option("timeout_ms", 20_000);
        let gate = gate.open().unwrap();
        for scenario in &scenarios {
            play(&gate, &clock, scenario, "v");
        }
        let stats = gate.stats().unwrap();
        assert_eq!(
            (stats.by_fallback, stats.by_memory),
            (0, 0),
            "{}: all by the store",
            server.name
        );
        assert!(stats.by_store > 6000, "{}: {stats:?}", server.name);
    }
}

fn source(name: &Value) -> Source {
    match name.as_str().unwrap() {
        "memory" => Source::Memory,
        "store" => Source::Store,
        "fallback" => Source::Fallback,
        "fail_open" => Source::FailOpen,
        "fail_closed" => Source::FailClosed,
        other => panic!("unknown source {other}"),
    }
}

fn styles(names: &Value) -> HeaderStyles {
    names.as_array().unwrap().iter().fold(HeaderStyles::NONE, |styles, name| {
        styles
            | match name.as_str().unwrap() {
                "standard" => HeaderStyles::STANDARD,
                "legacy" => HeaderStyles::LEGACY,
                "legacy-delta" => HeaderStyles::LEGACY_DELTA,
                other => panic!("unknown style {other}"),
            }
    })
}

fn wait(figure: &Value) -> Duration {
    u64::try_from(figure.as_i64().unwrap()).map_or(NEVER, Duration::from_micros)
}

/// Header fields and bodies of one case. The epoch of the legacy style is the present's, so its
/// reset is compared by what it is from now.
fn check_headers(case: &Value, expected: &Value) {
    let gate = Gate::connect("memory://").unwrap();
    let policies = case["policies"].as_array().unwrap();
    let limiters: Vec<Limiter> = policies
        .iter()
        .map(|policy| {
            let (rates, name) = (rates(policy), policy["name"].as_str().unwrap());
            gate.limiter(&rates).name(name).algorithm(algorithm(policy)).open().unwrap()
        })
        .collect();
    let figures =
        case["answers"].as_array().unwrap().iter().zip(policies).map(|(answer, policy)| Figures {
            allowed: answer["allowed"] == true,
            shadow: policy["shadow"] == true,
            remaining: answer["remaining"].as_u64().unwrap(),
            retry_after: wait(&answer["retry_after_us"]),
            next_after: wait(&answer["next_us"]),
            reset_after: wait(&answer["reset_after_us"]),
        });
    let parts: Vec<_> = limiters.iter().zip(figures).collect();
    let binding = case["binding"].as_u64().unwrap() as usize;
    let made = decision(case["allowed"] == true, source(&case["source"]), binding, &parts).unwrap();
    assert_eq!(json!(made.status()), expected["status"], "{case}");
    assert_eq!(json!(made.problem()), expected["body"], "{case}");
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as i64;
    let before = now();
    let headers = made.headers_in(styles(&case["style"]));
    let after = now();
    let wanted = expected["headers"].as_array().unwrap();
    assert_eq!(headers.len(), wanted.len(), "{case}: {headers:?}");
    let is_epoch = case["style"].as_array().unwrap().contains(&json!("legacy"));
    for ((name, value), field) in headers.iter().zip(wanted) {
        assert_eq!(json!(name), field[0], "{case}");
        if name == "X-RateLimit-Reset" && is_epoch {
            let reset = parts[binding].1.reset_after.as_micros() as i64;
            let ceil = |us: i64| (us + reset + 999_999) / 1_000_000;
            let seconds: i64 = value.parse().unwrap();
            assert!((ceil(before)..=ceil(after)).contains(&seconds), "{case}: {seconds}");
        } else {
            assert_eq!(json!(value), field[1], "{case}");
        }
    }
}

fn check_caller(case: &Value, expected: &Value) {
    let trusted = match case["trusted"].as_array() {
        Some(networks) => {
            networks.iter().map(|n| n.as_str().unwrap()).collect::<Vec<_>>().join(",")
        }
        None => case["trusted"].to_string(),
    };
    let prefix = u8::try_from(case["ipv6_prefix"].as_u64().unwrap()).unwrap();
    let callers = Callers::new(&trusted, prefix).unwrap();
    let forwarded: Vec<_> =
        case["forwarded_for"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let peer = case["peer"].as_str().unwrap();
    let key = callers.key(peer, &forwarded.join(","), case["identity"].as_str()).unwrap();
    assert_eq!(json!(key), expected["key"], "{case}");
    let address = callers.key(peer, &forwarded.join(","), None).unwrap();
    assert_eq!(json!(address[1..]), expected["address"], "{case}");
}

#[test]
fn every_http_case() {
    let (mut headers, mut callers) = (0, 0);
    for case in lines("tests/conformance/http.jsonl") {
        if let Some(of) = case.get("headers") {
            check_headers(of, &case["expect"]);
            headers += 1;
        } else if let Some(of) = case.get("caller") {
            check_caller(of, &case["expect"]);
            callers += 1;
        }
    }
    assert_eq!((headers, callers), (150, 120));
}
