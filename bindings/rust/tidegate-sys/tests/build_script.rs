// SPDX-License-Identifier: MIT
//! The build script, run as cargo runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The newest of those that cargo has made of this package in this target folder.
fn script() -> PathBuf {
    let folder = Path::new(env!("OUT_DIR")).ancestors().nth(2).unwrap();
    let scripts = fs::read_dir(folder).unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let script = entry.path().join("build-script-build");
        let is_ours = entry.file_name().to_string_lossy().starts_with("tidegate-sys-");
        let made = fs::metadata(&script).ok()?.modified().unwrap();
        is_ours.then_some((made, script))
    });
    scripts.max().expect("a build script in the target folder").1
}

/// Runs it where there is no libtidegate.
fn run(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(script());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("PKG_CONFIG_LIBDIR", "/nowhere").env("OUT_DIR", env!("OUT_DIR"));
    command.env("TARGET", "x86_64-unknown-linux-gnu").env("HOST", "x86_64-unknown-linux-gnu");
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn documentation_is_made_without_the_library() {
    let output = run(&[("DOCS_RS", "1")]);
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert!(output.status.success(), "{}", err.unwrap());
    assert!(!out.unwrap().contains("rustc-link"));
}

#[test]
fn without_the_library_it_says_what_to_do() {
    let output = run(&[]);
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    for word in ["libtidegate was not found", "TIDEGATE_LIB_DIR", "PKG_CONFIG_PATH", "cmake"] {
        assert!(told.contains(word), "no {word} in {told}");
    }
    let output = run(&[("TIDEGATE_LIB_DIR", "/nowhere"), ("CARGO_FEATURE_STATIC", "1")]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("/nowhere: expected a folder with libtidegate.a"), "{told}");
}
