// SPDX-License-Identifier: MIT
//! The service as it is started, over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(arguments: &[&str]) -> Service {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate-example"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("LD_LIBRARY_PATH")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
        Service { child, address }
    }

    fn get(&self, path: &str, fields: &str) -> String {
        self.send(&format!("GET {path}"), fields, "")
    }

    fn generate(&self, key: &str, query: &str, prompt: &str) -> String {
        let fields = format!("X-Api-Key: {key}\r\nContent-Length: {}\r\n", prompt.len());
        self.send(&format!("POST /generate{query}"), &fields, prompt)
    }

    /// The same when what was reserved before has come back, which it does behind the answer.
    fn generate_soon(&self, key: &str, query: &str, prompt: &str) -> String {
        let mut answer = self.generate(key, query, prompt);
        for _ in 0..200 {
            if !answer.starts_with("HTTP/1.1 429 ") {
                break;
            }
            thread::sleep(std::time::Duration::from_millis(50));
            answer = self.generate(key, query, prompt);
        }
        answer
    }

    fn send(&self, what: &str, fields: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A policy of the test's own, in a file that nobody else writes.
fn policy(name: &str, text: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

const STRICT: &str = "
version: 1
limiters: { basic: 2/hour, report: 1/hour }
tiers: { basic: [basic] }
default_tier: basic
rules:
  - { when: { path: /health }, exempt: true }
  - { when: { path: /report, method: POST }, limit: report }
  - { limit: tier }
callers: { k_evil: { ban: true } }
";

#[test]
fn each_caller_has_the_limits_of_the_policy_for_himself_and_health_is_free() {
    let file = policy("strict.yaml", STRICT);
    let service = Service::start(&["--store", "memory://", "--policy", &file]);
    let items = service.get("/items", "X-Api-Key: k_1\r\n");
    assert!(items.starts_with("HTTP/1.1 200 ") && items.contains("application/json"), "{items}");
    let report = || service.send("POST /report", "X-Api-Key: k_1\r\nContent-Length: 0\r\n", "");
    assert!(report().starts_with("HTTP/1.1 200 "));
    let refusal = report();
    assert!(refusal.starts_with("HTTP/1.1 429 "), "{refusal}");
    assert!(refusal.contains("\r\nratelimit-policy: \"report\";q=1;w=3600"), "{refusal}");
    assert!(service.get("/items", "X-Api-Key: k_1\r\n").starts_with("HTTP/1.1 429 "));
    assert!(service.get("/items", "").starts_with("HTTP/1.1 200 "), "by address");
    assert!(service.get("/items", "X-Api-Key: k_evil\r\n").starts_with("HTTP/1.1 403 "));
    for _ in 0..5 {
        assert!(service.get("/health", "X-Api-Key: k_1\r\n").starts_with("HTTP/1.1 200 "));
    }
}

/// Of 6,000 tokens and 2,000 of debt, by examples/policy.yaml.
#[test]
fn generations_are_two_at_once_and_pay_what_they_used() {
    let service = Service::start(&["--store", "memory://"]);
    let outcomes: Vec<String> = thread::scope(|scope| {
        let ask = || scope.spawn(|| service.generate("k_1", "?max_tokens=2990", "a b"));
        let threads: Vec<_> = (0..5).map(|_| ask()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let served = outcomes.iter().filter(|answer| answer.starts_with("HTTP/1.1 200 ")).count();
    let refused: Vec<_> = outcomes.iter().filter(|a| a.starts_with("HTTP/1.1 429 ")).collect();
    // A slow machine may start one when another is over, but not all of them.
    assert!((2..5).contains(&served) && served + refused.len() == 5, "{outcomes:?}");
    assert!(refused.iter().all(|answer| answer.contains("generations")), "{refused:?}");
    // Each used 4 of the 2,990 that it reserved, or the tokens would not reach.
    for _ in 0..3 {
        let answer = service.generate_soon("k_1", "?max_tokens=2990", "a b");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\nA B\n"), "{answer}");
        assert!(answer.contains("\r\nx-tokens-used: 4\r\n"), "{answer}");
    }
    let long = "word ".repeat(5900); // 11,800 tokens, of which 5,900 are reserved
    let answer = service.generate("k_2", "?max_tokens=5900", &long);
    assert!(answer.contains("\r\nx-tokens-used: 11800\r\n"), "{answer}");
    thread::sleep(std::time::Duration::from_millis(300)); // what it owes is told behind the answer
    let refusal = service.generate("k_2", "?max_tokens=1", "a");
    assert!(refusal.starts_with("HTTP/1.1 429 ") && refusal.contains("tokens"), "{refusal}");
    assert!(service.generate("k_1", "", " ").starts_with("HTTP/1.1 400 "));
}

#[test]
fn what_does_not_parse_is_said_at_the_start() {
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_tidegate-example");
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let faulty = policy("faulty.yaml", "version: 1\nlimiters: { a: many }\n");
    let said = run(&["--store", "memory://", "--policy", &faulty]);
    assert!(said.contains("line 2") && said.contains("many"), "{said}");
    assert!(run(&["--port", "1"]).contains("--listen"));
    assert!(run(&["--policy"]).contains("expected a value"));
}
