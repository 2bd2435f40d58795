// SPDX-License-Identifier: MIT
//! Finds libtidegate: in TIDEGATE_LIB_DIR where that is set, else through pkg-config. Where docs.rs
//! makes the documentation there is none, and nothing is linked.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-env-changed=TIDEGATE_LIB_DIR");
    println!("cargo:rerun-if-env-changed=DOCS_RS");
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("DOCS_RS").is_some() {
        return;
    }
    let is_static = env::var_os("CARGO_FEATURE_STATIC").is_some();
    match env::var_os("TIDEGATE_LIB_DIR") {
        Some(folder) => link_from(PathBuf::from(folder), is_static),
        None => ask_pkg_config(is_static),
    }
}

fn link_from(folder: PathBuf, is_static: bool) {
    let file = if is_static { "libtidegate.a" } else { "libtidegate.so" };
    let library = folder.join(file);
    if !library.exists() {
        panic!("TIDEGATE_LIB_DIR={}: expected a folder with {file}", folder.display());
    }
    println!("cargo:rerun-if-changed={}", library.display());
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:lib_dir={}", folder.display());
    if is_static {
        println!("cargo:rustc-link-lib=static=tidegate");
        // What the archive leaves for the program to bring: the private parts of tidegate.pc.
        for name in ["ssl", "crypto", "stdc++", "pthread"] {
            println!("cargo:rustc-link-lib=dylib={name}");
        }
    } else {
        println!("cargo:rustc-link-lib=dylib=tidegate");
    }
}

fn ask_pkg_config(is_static: bool) {
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let found = pkg_config::Config::new()
        .atleast_version(env!("CARGO_PKG_VERSION"))
        .statik(is_static)
        .probe("tidegate");
    match found {
        Ok(library) => {
            for folder in library.link_paths {
                println!("cargo:lib_dir={}", folder.display());
            }
        }
        Err(why) => panic!(
            "libtidegate was not found. Build it in a checkout of tidegate (cmake --preset release \
             && cmake --build --preset release) and set TIDEGATE_LIB_DIR to its \
             build/release/capi; or install it (cmake --install build/release) where pkg-config \
             looks, or name its pkgconfig folder in PKG_CONFIG_PATH.\n{why}"
        ),
    }
}
