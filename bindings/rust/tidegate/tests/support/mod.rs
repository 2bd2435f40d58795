// SPDX-License-Identifier: MIT
//! Servers of the tests' own, and the recorded cases.
#![allow(dead_code)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").join(path)
}

/// One JSON value a line.
pub fn lines(path: &str) -> Vec<Value> {
    let path = repository(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server on a unix socket in a folder of its own, gone with this.
pub struct Server {
    child: Child,
    folder: PathBuf,
    pub name: String,
}

/// Name and path of each server there is: $TIDEGATE_SERVERS, else what is on the PATH.
fn programs() -> Vec<(String, PathBuf)> {
    let listed = env::var("TIDEGATE_SERVERS").unwrap_or_default();
    let mut found: Vec<(String, PathBuf)> = listed
        .split(':')
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, path)| (name.to_owned(), path.into()))
        .collect();
    if found.is_empty() {
        let path = env::var_os("PATH").unwrap_or_default();
        for name in ["valkey-server", "redis-server"] {
            let there =
                env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.exists());
            found.extend(there.map(|path| (name.to_owned(), path)));
        }
    }
    found
}

impl Server {
    /// One of each kind there is. None at all is an error, not a test that passes.
    pub fn all() -> Vec<Server> {
        let programs = programs();
        assert!(!programs.is_empty(), "no server: set TIDEGATE_SERVERS to name=path:name=path");
        programs.into_iter().map(|(name, path)| Server::start(name, &path)).collect()
    }

    pub fn one() -> Server {
        let (name, path) = programs().into_iter().next().expect("a server in TIDEGATE_SERVERS");
        Server::start(name, &path)
    }

    fn start(name: String, program: &Path) -> Server {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("tg-rust-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let child = Command::new(program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.join("socket"))
            .arg("--dir")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|why| panic!("{}: {why}", program.display()));
        let server = Server { child, folder, name };
        let end = Instant::now() + Duration::from_secs(20);
        while !server.answers() {
            assert!(Instant::now() < end, "{} does not answer", server.name);
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn answers(&self) -> bool {
        tidegate::Gate::connect(&self.url()).unwrap().ping().call().is_ok()
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.join("socket").display())
    }

    /// Stops it without ending it: it accepts and does not answer.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
