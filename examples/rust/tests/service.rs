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

    fn generate(&self, key: &str, prompt: &str) -> String {
        let fields = format!("X-Api-Key: {key}\r\nContent-Length: {}\r\n", prompt.len());
        self.send("POST /generate", &fields, prompt)
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

#[test]
fn each_caller_has_the_limit_for_himself_and_health_is_free() {
    let service = Service::start(&["--limit", "2/minute", "--name", "demo"]);
    for left in ["1", "0"] {
        let answer = service.get("/", "X-Api-Key: k_1\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with(&format!("hello, {left} left\n")), "{answer}");
    }
    let refusal = service.get("/", "X-Api-Key: k_1\r\n");
    assert!(refusal.starts_with("HTTP/1.1 429 "), "{refusal}");
    assert!(refusal.contains("\r\nratelimit-policy: \"demo\";q=2;w=60\r\n"), "{refusal}");
    assert!(service.get("/", "").starts_with("HTTP/1.1 200 "), "by address");
    for _ in 0..5 {
        assert!(service.get("/health", "X-Api-Key: k_1\r\n").starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn generations_are_two_at_once_and_pay_what_they_used() {
    let service = Service::start(&[]);
    let long = "word ".repeat(200); // 600 tokens, estimated as 100
    let outcomes: Vec<String> = thread::scope(|scope| {
        let ask = || scope.spawn(|| service.generate("k_1", "a b"));
        let threads: Vec<_> = (0..5).map(|_| ask()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let served = outcomes.iter().filter(|answer| answer.starts_with("HTTP/1.1 200 ")).count();
    let refused: Vec<_> = outcomes.iter().filter(|a| a.starts_with("HTTP/1.1 429 ")).collect();
    // A slow machine may start one when another is over, but not all of them.
    assert!((2..5).contains(&served) && served + refused.len() == 5, "{outcomes:?}");
    assert!(refused.iter().all(|answer| answer.contains("generations")), "{refused:?}");
    let answer = service.generate("k_2", &long);
    let left = answer.trim_end().rsplit(' ').nth(1).and_then(|left| left.parse::<u64>().ok());
    assert!(answer.contains("600 tokens") && (400..500).contains(&left.unwrap()), "{answer}");
    assert!(service.generate("k_2", &long).ends_with("\n600 tokens, 0 left\n"), "in debt");
    let refusal = service.generate("k_2", "a b");
    assert!(refusal.starts_with("HTTP/1.1 429 ") && refusal.contains("tokens"), "{refusal}");
}

#[test]
fn what_does_not_parse_is_said_at_the_start() {
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_tidegate-example");
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["--limit", "many"]).contains("many"));
    assert!(run(&["--port", "1"]).contains("--listen"));
    assert!(run(&["--name"]).contains("expected a value"));
}
