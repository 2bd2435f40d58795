// SPDX-License-Identifier: MIT
//! Policies: the recorded resolutions, and what a gate's checks make of them.

mod support;

use std::fs;
use std::future::IntoFuture;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{json, Map, Value};
use support::{lines, Server};
use tidegate::policy::Document;
use tidegate::testing::FakeClock;
use tidegate::{policy, Attributes, Error, Gate, Mode, Source, Verdict, NEVER};

const NOW_US: i64 = 1_763_683_200_000_000;

fn request(members: &Value) -> Attributes {
    let members = members.as_object().unwrap().iter();
    members.map(|(name, value)| (name, value.as_str().unwrap())).collect()
}

/// What `resolve` answers, without what the recorded answers do not speak of.
fn resolved(policy: &Document, live: &str, case: &Value) -> Map<String, Value> {
    let now_us = case["now_us"].as_i64();
    let found =
        policy::resolve(policy.clone(), request(&case["request"]), Some(live), now_us).unwrap();
    serde_json::from_str(&found).unwrap()
}

#[test]
fn every_recorded_resolution() {
    let (mut cases, mut faults, mut live_faults) = (0, 0, 0);
    for line in lines("tests/conformance/policy.jsonl") {
        let id = &line["id"];
        let text = Document::Text(line["policy"].to_string());
        let found: Value = serde_json::from_str(&policy::validate(text.clone()).unwrap()).unwrap();
        if let Some(path) = line.get("error_path") {
            assert_eq!(found[0]["path"], *path, "{id}: {found}");
            assert!(!found[0]["message"].as_str().unwrap().is_empty(), "{id}");
            faults += 1;
            continue;
        }
        assert_eq!(found, json!([]), "{id}");
        let live = line["live"].to_string();
        if let Some(path) = line.get("live_error_path") {
            let why =
                policy::resolve(text.clone(), Attributes::new(), Some(&live), None).unwrap_err();
            assert!(matches!(why, Error::Policy(_)), "{id}: {why}");
            assert!(why.to_string().contains(path.as_str().unwrap()), "{id}: {path} in {why}");
            live_faults += 1;
            continue;
        }
        for case in line["cases"].as_array().unwrap() {
            let answer = resolved(&text, &live, case);
            for (member, value) in case["expect"].as_object().unwrap() {
                assert_eq!(answer.get(member), Some(value), "{id}: {member} of {case}");
            }
            cases += 1;
        }
        let ignored: Value =
            serde_json::from_str(&policy::ignored(text.clone(), &live).unwrap()).unwrap();
        assert_eq!(ignored, line["ignored"], "{id}");
    }
    assert!(cases > 1000 && faults == 73 && live_faults == 10, "{cases} {faults} {live_faults}");
}

const POLICY: &str = r#"
version: 1
limiters:
  basic: 3/minute
  pro: 100/minute
  images: {rate: 10/minute, mode: shadow}
  everybody: 1000/minute
tiers: {basic: [basic], pro: [pro]}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /v1/images/*}, limit: images, cost: "{images}"}
  - limit: tier
  - {limit: everybody, per: everyone}
callers:
  k_pro: {tier: pro}
  k_evil: {ban: true, reason: scraping}
  k_soon: {ban: true, until: 2025-11-21T00:01:00Z}
"#;

fn embedded(policy: &str) -> (Gate, FakeClock) {
    let clock = FakeClock::new(NOW_US);
    let gate = Gate::builder().url("memory://").clock(&clock).policy(policy).open().unwrap();
    (gate, clock)
}

fn get(path: &str, identity: &str) -> Attributes {
    Attributes::new().method("GET").path(path).identity(identity)
}

fn header(decision: &tidegate::Decision, name: &str) -> String {
    let fields = decision.headers();
    fields.into_iter().find(|field| field.0 == name).map(|field| field.1).unwrap_or_default()
}

fn status(gate: &Gate, request: Attributes) -> u16 {
    gate.check(request).call().unwrap().status()
}

#[test]
fn a_request_is_one_check_of_all_that_it_meets() {
    let (gate, _) = embedded(POLICY);
    for left in [2, 1, 0] {
        let decision = gate.check(get("/", "k_1")).call().unwrap();
        assert_eq!((decision.status(), decision.parts().len()), (200, 2));
        assert_eq!(decision.remaining(), Some(left));
        assert_eq!(decision.caller().as_deref(), Some("k_1"));
        assert_eq!(header(&decision, "X-RateLimit-Remaining"), left.to_string());
        assert_eq!(decision.problem(), None);
    }
    let denied = gate.check(get("/", "k_1")).call().unwrap();
    assert_eq!((denied.allowed(), denied.status()), (false, 429));
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(20)));
    assert_eq!(header(&denied, "Retry-After"), "20");
    assert!(denied.problem().unwrap().contains(r#""violated-policies":["basic"]"#));
    let pro = gate.check(get("/", "k_pro")).call().unwrap();
    assert_eq!((pro.name().as_str(), pro.source()), ("pro", Source::Memory));
    let images = gate.check(get("/v1/images/x", "k_2").with("images", 4)).call().unwrap();
    assert_eq!(images.parts().next().unwrap().remaining(), Some(6));
}

#[test]
fn bans_and_exemptions_ask_nobody() {
    let (gate, clock) = embedded(POLICY);
    let banned = gate.check(get("/", "k_evil")).call().unwrap();
    assert_eq!((banned.status(), banned.verdict()), (403, Verdict::Banned));
    assert_eq!((banned.reason(), banned.retry_after()), (Some("scraping"), Some(NEVER)));
    assert_eq!((banned.source(), banned.headers()), (Source::Policy, vec![]));
    assert!(banned.problem().unwrap().contains("This caller is banned."));
    let soon = gate.check(get("/", "k_soon")).call().unwrap();
    assert_eq!(soon.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(header(&soon, "Retry-After"), "60");
    clock.advance(Duration::from_secs(60));
    assert_eq!(status(&gate, get("/", "k_soon")), 200);
    let exempt = gate.check(get("/health", "k_1")).call().unwrap();
    assert_eq!((exempt.status(), exempt.verdict()), (200, Verdict::Exempt));
    assert!(exempt.allowed() && exempt.headers().is_empty());
    assert_eq!(gate.stats().unwrap().allowed, 1, "one check was asked of limiters");
}

#[test]
fn a_faulty_policy_is_said_when_the_gate_is_opened() {
    let open = |policy: &str| Gate::builder().url("memory://").policy(policy).open().unwrap_err();
    let why = open("version: 1\nlimiters: {a: 1/fortnight}\n");
    assert!(matches!(why, Error::Policy(_)) && why.is_config() && why.name() == "TG_EPOLICY");
    let text = why.to_string();
    assert!(text.contains("line 2") && text.contains("limiters.a"), "{text}");
    assert!(open("/nowhere/limits.yaml").to_string().contains("/nowhere/limits.yaml"));
    let why = policy::validate("/nowhere/limits.yaml").unwrap_err();
    assert!(why.to_string().contains("/nowhere/limits.yaml"), "{why}");
}

#[test]
fn mistakes_of_the_application_are_errors() {
    let (gate, _) = embedded(POLICY);
    let refused = |request: Attributes| gate.check(request).call().unwrap_err();
    let why = refused(get("/", "k").tier("gold"));
    assert!(matches!(why, Error::Attribute(_)) && why.to_string().contains("gold"), "{why}");
    assert!(matches!(
        refused(get("/v1/images/x", "k").with("images", "many")),
        Error::Attribute(_)
    ));
    let why = gate.check(get("/", "k")).cost(3).call().unwrap_err();
    assert!(why.to_string().contains("cost 3"), "{why}");
    // What is said later counts.
    let later = get("/v1/images/x", "k").with("images", "many").with("images", 2);
    assert_eq!(status(&gate, later), 200);
}

#[test]
fn what_is_said_over_the_policy_acts_at_once() {
    let (gate, clock) = embedded(POLICY);
    let policy = gate.policy().by("tests");
    policy
        .set_caller("k_1")
        .ban_for(Duration::from_secs(3600))
        .reason("a \"reason\"\n")
        .apply()
        .unwrap();
    let banned = gate.check(get("/", "k_1")).call().unwrap();
    assert_eq!((banned.status(), banned.reason()), (403, Some("a \"reason\"\n")));
    assert_eq!(banned.retry_after(), Some(Duration::from_secs(3600)));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(status(&gate, get("/", "k_1")), 200);
    policy.set_caller("k_1").tier("pro").limits([("pro", "7/minute")]).apply().unwrap();
    assert_eq!(gate.check(get("/", "k_1")).call().unwrap().limit(), Some(7));
    policy.set_caller("k_1").exempt().apply().unwrap();
    assert_eq!(gate.check(get("/", "k_1")).call().unwrap().verdict(), Verdict::Exempt);
    policy.clear("k_1").unwrap();
    assert_eq!(gate.check(get("/", "k_1")).call().unwrap().limit(), Some(3));

    policy.set_limit("basic", "1/minute").until(Duration::from_secs(60)).apply().unwrap();
    assert_eq!(gate.check(get("/", "k_2")).call().unwrap().limit(), Some(1));
    assert_eq!(status(&gate, get("/", "k_2")), 429);
    policy.set_limit("basic", "1/minute").mode(Mode::Shadow).apply().unwrap();
    assert!(gate.check(get("/", "k_2")).call().unwrap().would_deny());
    policy.clear_limit("basic").unwrap();
    policy.set_tier("basic", ["pro", "images"]).apply().unwrap();
    assert_eq!(gate.check(get("/", "k_3")).call().unwrap().parts().len(), 3);
    let live: Value = serde_json::from_str(&policy.live().unwrap()).unwrap();
    assert_eq!(live["live"], json!({"tiers": {"basic": {"limiters": ["pro", "images"]}}}));
    let version = policy.replace("{}").unwrap();
    assert_eq!(live["version"].as_u64(), Some(version - 1));
    assert_eq!(gate.check(get("/", "k_3")).call().unwrap().limit(), Some(3));

    for why in [
        policy.set_limit("unheard", "1/minute").apply().unwrap_err(),
        policy.set_limit("basic", "1/fortnight").apply().unwrap_err(),
        policy.set_caller("k").until("tomorrow").apply().unwrap_err(),
        policy.edit("{").unwrap_err(),
    ] {
        assert!(matches!(why, Error::Policy(_)), "{why}");
    }
}

#[test]
fn explain_says_why_and_how_limits_stand() {
    let (gate, _) = embedded(POLICY);
    let request = get("/", "k_1");
    let _ = gate.check(&request).call().unwrap();
    let text = gate.policy().explain(&request).unwrap();
    let why: Value = serde_json::from_str(&text).unwrap();
    let states = why["states"].as_array().unwrap();
    assert_eq!(
        (&states[0]["limiter"], &states[0]["remaining"]),
        (&json!("basic"), &json!(2)),
        "{why}"
    );
    assert_eq!(states.len(), 2);
    let again = gate.policy().explain(&request).unwrap();
    assert_eq!(again, text, "it takes nothing");
}

#[test]
fn checks_by_hand_are_nested_finished_and_renewed() {
    let policy = "version: 1\nlimiters: {app: 10/minute, jobs: {rate: 1 at once, lease: 10s}}\n\
                  rules: [{limit: app}, {when: {path: /job}, limit: jobs}]\n";
    let (gate, clock) = embedded(policy);
    let left = || gate.check(get("/", "k")).call().unwrap().remaining();
    let outer = gate.check(get("/job", "k")).call().unwrap();
    assert_eq!((outer.status(), outer.parts().len()), (200, 2));
    assert_eq!(outer.renew_within(), Some(Duration::from_secs(5)));
    let again = gate.check(get("/job", "k")).after(&outer).call().unwrap();
    assert_eq!((again.status(), again.parts().len()), (200, 0), "it was charged");
    assert!(again.is_to_be_finished());
    clock.advance(Duration::from_secs(9));
    gate.renew(&again).call().unwrap();
    clock.advance(Duration::from_secs(9));
    assert_eq!(status(&gate, get("/job", "k")), 429, "it was renewed");
    gate.finish(&again, 200, Attributes::new()).call().unwrap();
    assert_eq!(status(&gate, get("/job", "k")), 200);

    let before = left().unwrap();
    let outer = gate.check(get("/", "k")).call().unwrap();
    let denied = gate.check(get("/job", "k")).after(&outer).call().unwrap();
    assert_eq!(denied.status(), 429);
    gate.finish(&denied, 429, Attributes::new()).call().unwrap();
    assert_eq!(left(), Some(before - 1), "what the outer one took was given back");
}

struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn another_policy_keeps_the_states_and_a_file_is_followed() {
    let of = |rates: &str| format!("version: 1\nlimiters: {{a: {rates}}}\nrules: [{{limit: a}}]\n");
    let path = std::env::temp_dir().join(format!("tg-rust-policy-{}.yaml", std::process::id()));
    let file = File(path);
    fs::write(&file.0, of("2/minute")).unwrap();
    let gate = Gate::builder().url("memory://").policy(file.0.as_path()).open().unwrap();
    let left = || gate.check(get("/", "k")).call().unwrap().remaining();
    assert_eq!(left(), Some(1));
    gate.policy().load(of("9/minute")).unwrap();
    assert_eq!(left(), Some(7));
    assert!(gate.policy().load("version: 1\nlimiters: {a: 9/fortnight}\n").is_err());
    assert_eq!(left(), Some(6));
    fs::write(&file.0, of("50/minute")).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while gate.check(get("/", "other")).call().unwrap().limit() != Some(50) {
        assert!(Instant::now() < end, "the file was changed, and nobody looked");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Awaited, in batches with others, given up, and followed by another gate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_are_awaited_on_every_server_and_bans_reach_other_gates() {
    for server in Server::all() {
        let open = || {
            let url = format!("{}?timeout_ms=20000", server.url());
            Gate::builder().url(url).policy(POLICY).open().unwrap()
        };
        let (gate, other) = (open(), open());
        let limiter = gate.limiter("1000/minute").name("beside").open().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..200_u32 {
            let (gate, limiter) = (gate.clone(), limiter.clone());
            tasks.spawn(async move {
                let caller = format!("k_{}", number % 20);
                let check = gate.check(get("/", &caller));
                let (checked, consumed) =
                    tokio::join!(check.into_future(), limiter.consume("k").into_future());
                assert!(consumed.unwrap().allowed());
                let decision = checked.unwrap();
                assert_eq!(decision.caller(), Some(caller));
                assert_eq!(decision.source(), Source::Store);
                assert_eq!(decision.status() == 200, decision.allowed());
                u32::from(decision.allowed())
            });
        }
        // Given up before anybody answered.
        for _ in 0..50 {
            tokio::select! {
                biased;
                _ = gate.check(get("/", "gone")).into_future() => {}
                () = std::future::ready(()) => {}
            }
        }
        let allowed: u32 = tasks.join_all().await.into_iter().sum();
        assert_eq!(allowed, 60, "{}: 3 for each of 20 callers", server.name);
        assert_eq!(gate.check(get("/", "k_evil")).await.unwrap().status(), 403);
        let edit = tokio::task::spawn_blocking(move || {
            gate.policy().by("tests").set_caller("k_new").ban().apply().unwrap()
        });
        edit.await.unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while other.check(get("/", "k_new")).await.unwrap().status() != 403 {
            assert!(Instant::now() < end, "{}: the ban did not arrive", server.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
