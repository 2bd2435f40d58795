// SPDX-License-Identifier: MIT
//! What only happens at the border: fork, a listener that panics.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use crate::error::Error;
use crate::gate::Gate;

/// Runs `child` in a forked process; whether it answered true.
fn in_child(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child only runs `child` and leaves without unwinding or running destructors of
    // the parent's.
    let process = unsafe { libc::fork() };
    assert!(process >= 0);
    if process == 0 {
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        // SAFETY: leaves at once.
        unsafe { libc::_exit(i32::from(!matches!(answer, Ok(true)))) }
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(process, &mut status, 0) };
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

#[test]
fn a_forked_child_is_told_and_the_parent_is_not_disturbed() {
    let gate = Gate::connect("memory://").unwrap();
    let api = gate.limiter("2/minute").open().unwrap();
    assert!(api.consume("a").call().unwrap().allowed());
    let (copy, of_child) = (api.clone(), gate.clone());
    let told = in_child(move || {
        let is_told = matches!(copy.consume("a").call(), Err(Error::Forked(_)))
            && matches!(of_child.close(), Err(Error::Forked(_)));
        drop((copy, of_child));
        let own = Gate::connect("memory://").unwrap();
        let api = own.limiter("2/minute").open().unwrap();
        is_told && api.consume("a").call().unwrap().remaining() == Some(1)
    });
    assert!(told);
    assert_eq!(api.consume("a").call().unwrap().remaining(), Some(0));
}

#[test]
fn a_child_that_frees_the_parents_gate_does_not_disturb_it() {
    let gate = Gate::connect("memory://").unwrap();
    let api = gate.limiter("2/minute").open().unwrap();
    assert!(in_child(|| {
        // SAFETY: the child's copies are dropped once; the parent's are in another process.
        unsafe {
            drop(std::ptr::read(&api));
            drop(std::ptr::read(&gate));
        }
        true
    }));
    assert!(api.consume("a").call().unwrap().allowed());
}

#[test]
fn a_forked_child_neither_gives_back_nor_renews_what_its_parent_holds() {
    let gate = Gate::connect("memory://").unwrap();
    let slots = gate.limiter("1 at once").open().unwrap();
    let tokens = gate.limiter("10/minute").open().unwrap();
    let slot = slots.slot("k").call().unwrap();
    let reservation = tokens.reserve("k", 10).call().unwrap();
    assert!(in_child(|| {
        // SAFETY: the child's copies are dropped once; the parent's are in another process.
        unsafe {
            drop(std::ptr::read(&slot));
            drop(std::ptr::read(&reservation));
        }
        let own = Gate::connect("memory://").unwrap();
        let slots = own.limiter("1 at once").open().unwrap();
        let its_own = slots.slot("k").call().unwrap();
        its_own.allowed() && its_own.id() != slot.id()
    }));
    assert!(!slots.slot("k").call().unwrap().allowed());
    assert!(!tokens.consume("k").call().unwrap().allowed());
    drop((slot, reservation));
    assert!(slots.slot("k").call().unwrap().allowed());
    assert_eq!(tokens.peek("k").call().unwrap().remaining(), Some(10));
}

#[test]
fn a_panicking_listener_does_not_reach_the_library() {
    let gate = Gate::connect("redis://127.0.0.1:1?timeout_ms=50").unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = heard.clone();
    gate.on_event(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        panic!("a listener of a test");
    })
    .unwrap();
    let api = gate.limiter("2/minute").open().unwrap();
    for _ in 0..8 {
        let _ = api.consume("a").call().unwrap();
    }
    assert!(heard.load(Ordering::SeqCst) > 0);
}
