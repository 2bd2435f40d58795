// SPDX-License-Identifier: MIT
//! What only happens at the border: fork, a listener that panics, closing beside callers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::turnstile::Turnstile;
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

#[test]
fn closing_waits_until_everybody_is_out() {
    let turnstile = Turnstile::new();
    let (shut, is_inside) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let inside = turnstile.enter();
            is_inside.store(true, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            assert!(!shut.load(Ordering::SeqCst));
            drop(inside);
        });
        while !is_inside.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        assert!(turnstile.close(|| shut.store(true, Ordering::SeqCst)).is_some());
    });
    assert!(turnstile.close(|| ()).is_none(), "only once");
    drop(turnstile.enter());
}

#[test]
fn nobody_is_inside_while_it_closes() {
    for _ in 0..200 {
        let turnstile = Turnstile::new();
        let is_shutting = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _inside = turnstile.enter();
                        assert!(!is_shutting.load(Ordering::SeqCst));
                    }
                });
            }
            turnstile.close(|| {
                is_shutting.store(true, Ordering::SeqCst);
                thread::yield_now();
                is_shutting.store(false, Ordering::SeqCst);
            });
        });
    }
}
