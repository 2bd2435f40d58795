// SPDX-License-Identifier: MIT
//! Processes that hold slots, and end in whatever way.

mod support;

use std::env;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::Server;
use tidegate::{Gate, Limiter};

const LEASE: Duration = Duration::from_secs(3);

fn open(url: &str) -> Limiter {
    let gate = Gate::builder().url(url).option("timeout_ms", 20_000).open().unwrap();
    gate.limiter("2 at once").name("gen").lease(LEASE).open().unwrap()
}

/// This program again, as a worker that holds two slots of the server's.
struct Worker {
    child: Child,
    _lines: Lines<BufReader<ChildStdout>>, // or his output breaks
}

impl Worker {
    fn start(server: &Server, end: &str) -> Worker {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "worker", "--ignored", "--nocapture"])
            .env("TIDEGATE_WORKER", server.url())
            .env("TIDEGATE_WORKER_END", end)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_it = |line: &String| line.contains("slots are held");
        let held = lines.by_ref().map_while(Result::ok).find(is_it);
        assert!(held.is_some(), "the worker holds none");
        Worker { child, _lines: lines }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the other tests run it, as a process of its own"]
fn worker() {
    let limiter = open(&env::var("TIDEGATE_WORKER").unwrap());
    let slots = [limiter.slot("k").call().unwrap(), limiter.slot("k").call().unwrap()];
    assert!(slots.iter().all(|slot| slot.allowed()));
    println!("slots are held");
    match env::var("TIDEGATE_WORKER_END").unwrap().as_str() {
        "exit" => std::process::exit(7),
        "return" => drop(slots),
        _ => drop(std::io::stdin().lines().next()),
    }
}

#[test]
fn slots_of_a_killed_worker_are_free_after_the_lease_and_not_before() {
    for server in Server::all() {
        let limiter = open(&server.url());
        let mut worker = Worker::start(&server, "never");
        // Alive he keeps them for longer than a lease.
        thread::sleep(LEASE + Duration::from_millis(500));
        assert!(!limiter.slot("k").call().unwrap().allowed(), "{}", server.name);
        worker.child.kill().unwrap(); // SIGKILL
        worker.child.wait().unwrap();
        let killed = Instant::now();
        while !limiter.slot("k").call().unwrap().allowed() {
            assert!(killed.elapsed() < LEASE + Duration::from_secs(5), "{}", server.name);
            thread::sleep(Duration::from_millis(5));
        }
        // His last renewal was at most a third of the lease before; a busy machine may be late.
        let after = killed.elapsed();
        assert!(after > LEASE / 3, "{}: free {after:?} after the kill", server.name);
        assert!(after < LEASE + Duration::from_millis(500), "{}: {after:?}", server.name);
        let both = limiter.slot("k").cost(2);
        assert!(both.timeout(Duration::from_secs(5)).call().unwrap().allowed());
    }
}

#[test]
fn a_process_that_ends_with_slots_held_does_not_hang() {
    let server = Server::one();
    let limiter = open(&server.url());
    let mut worker = Worker::start(&server, "exit");
    let started = Instant::now();
    assert_eq!(worker.child.wait().unwrap().code(), Some(7));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let waits = limiter.slot("k").timeout(LEASE * 3);
    assert!(waits.call().unwrap().allowed(), "their lease ends them");
}

#[test]
fn what_is_dropped_before_the_process_ends_is_free_at_once() {
    let server = Server::one();
    let limiter = open(&server.url());
    let mut worker = Worker::start(&server, "return");
    assert!(worker.child.wait().unwrap().success());
    assert_eq!(limiter.peek("k").call().unwrap().remaining(), Some(2));
}
