// SPDX-License-Identifier: MIT
//! What is open in this process: alone here, since other tests open things too.
#![cfg(feature = "tokio")]

mod support;

use support::Server;
use tidegate::Gate;
use tokio::runtime::{Builder, Runtime};

fn open_here() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn ask(gate: &Gate) {
    assert!(gate.limiter("100/minute").open().unwrap().consume("a").await.unwrap().allowed());
}

#[test]
fn dropping_gates_and_runtimes_closes_what_they_had() {
    let server = Server::one();
    let idle = runtime();
    let before = open_here();

    // The last clone goes while its runtime stands still: the connection goes with it.
    let gate = Gate::connect(&server.url()).unwrap();
    idle.block_on(ask(&gate));
    let blocking = gate.limiter("100/minute").open().unwrap();
    assert!(blocking.consume("a").call().unwrap().allowed());
    drop(blocking);
    assert!(open_here() > before + 4);
    drop(gate);
    // The runtime's poller has a copy of one descriptor, which polls nothing any more.
    assert!(open_here() <= before + 1, "{} and {before} before", open_here());
    idle.block_on(tokio::task::yield_now());
    assert_eq!(open_here(), before);

    // A runtime goes, and the gate stays: so does nothing of that runtime's.
    let gate = Gate::connect(&server.url()).unwrap();
    idle.block_on(ask(&gate));
    let with_one = open_here();
    for _ in 0..5 {
        let other = runtime();
        other.block_on(ask(&gate));
    }
    assert_eq!(open_here(), with_one);
}
