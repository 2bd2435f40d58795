// SPDX-License-Identifier: MIT
//! A library that is older than these crates is refused before it is handed anything.
#![cfg(not(feature = "static"))]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tidegate::{Callers, Gate};

const CHILD: &str = "TIDEGATE_TEST_OF_AN_OLD_LIBRARY";

#[test]
fn an_older_library_is_refused() {
    if env::var_os(CHILD).is_some() {
        let of_a_gate = Gate::connect("memory://").unwrap_err();
        let of_callers = Callers::new("0", 64).unwrap_err();
        for why in [of_a_gate, of_callers] {
            assert_eq!(
                why.to_string(),
                format!("libtidegate speaks ABI 0: expected {} or later", tidegate_sys::TG_ABI)
            );
        }
        return;
    }
    Gate::connect("memory://").unwrap();
    // The same library, but for what it says of its age.
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (source, library) = (folder.join("old.c"), folder.join("libold.so"));
    fs::write(&source, "int tg_abi(void) { return 0; }\n").unwrap();
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut compile = Command::new(compiler);
    compile.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    assert!(compile.status().unwrap().success());
    let mut child = Command::new(env::current_exe().unwrap());
    let output = child.env("LD_PRELOAD", &library).env(CHILD, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
