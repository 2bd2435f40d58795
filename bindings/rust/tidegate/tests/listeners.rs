// SPDX-License-Identifier: MIT
//! Who hears events, and what may be done there.

mod support;
#[cfg(feature = "tracing")]
#[path = "support/trace.rs"]
mod trace;

use std::sync::mpsc;

use tidegate::{Error, Gate, Limiter};

/// Events come from here: nobody listens on port 1.
fn away() -> Gate {
    Gate::connect("redis://127.0.0.1:1?timeout_ms=50").unwrap()
}

fn provoke(api: &Limiter) {
    for _ in 0..8 {
        let _ = api.consume("a").call().unwrap();
    }
}

/// What one test says while another starts to listen, tracing may take for what nobody listens to.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn a_listener_may_ask_another_gate() {
    let _alone = alone();
    let alerts = Gate::connect("memory://").unwrap();
    let alert = alerts.limiter("7/minute; 70/hour; 700/day").name("alerts").open().unwrap();
    let gate = away();
    let api = gate.limiter("5/minute").name("api").open().unwrap();
    let (tell, told) = mpsc::channel();
    gate.on_event(move |_| tell.send(alert.consume("a").call().unwrap().parts().len()).unwrap())
        .unwrap();
    for _ in 0..8 {
        let decision = api.consume("a").call().unwrap();
        let seen = (decision.limit(), decision.parts().len(), decision.name());
        assert_eq!(seen, (Some(5), 1, "api".to_owned()));
    }
    assert_eq!(told.try_recv(), Ok(3));
}

#[test]
fn a_listener_that_asks_its_own_gate_is_told_that_it_may_not() {
    let _alone = alone();
    let gate = away();
    let api = gate.limiter("5/minute").open().unwrap();
    let (tell, told) = mpsc::channel();
    let (own, own_api) = (gate.clone(), api.clone());
    let via = Gate::connect("memory://").unwrap();
    gate.on_event(move |_| {
        let outcomes = [
            own_api.consume("b").call().map(drop),
            own.close(),
            own.stats().map(drop),
            own.on_event(|_| ()),
            own.limiter("1/s").open().map(drop),
        ];
        let _ = format!("{own:?}");
        drop(via.limiter("1/s").open()); // another gate's calls do not make it forget whose it is
        tell.send(outcomes.into_iter().chain([own.ping().call()]).collect::<Vec<_>>()).unwrap();
    })
    .unwrap();
    provoke(&api);
    let outcomes = told.try_recv().unwrap();
    for outcome in outcomes {
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    }
    gate.on_event(|_| ()).unwrap(); // lets go of the clones in the listener
    gate.close().unwrap();
}

#[cfg(feature = "tracing")]
#[test]
fn events_go_to_tracing_too() {
    let _alone = alone();
    let heard = trace::Heard::default();
    let _listening = heard.listen();
    let gate = away();
    provoke(&gate.limiter("5/minute").open().unwrap());
    let lines = heard.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("WARN tidegate") && line.contains("code=-34")),
        "{lines:?}"
    );
    let count = lines.len();
    let events = std::iter::from_fn(|| gate.next_event().unwrap()).count();
    assert_eq!(count, events, "each once");
}
