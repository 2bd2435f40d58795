// SPDX-License-Identifier: MIT
//! A server of the benchmark's own, on a free port of the loopback.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

pub struct Server {
    child: Child,
    folder: PathBuf,
    pub address: SocketAddr,
    pub version: String,
}

fn find() -> Result<String, Box<dyn Error>> {
    let listed = env::var("TIDEGATE_SERVERS").unwrap_or_default();
    let mut pairs: Vec<_> = listed.split(':').filter_map(|pair| pair.split_once('=')).collect();
    pairs.sort_by_key(|(name, _)| !name.starts_with("valkey"));
    if let Some((_, path)) = pairs.first() {
        return Ok((*path).to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = ["valkey-server", "redis-server"].iter().find_map(|name| {
        env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists())
    });
    let found = found.ok_or("no server: name one with --server, or in TIDEGATE_SERVERS")?;
    Ok(found.to_string_lossy().into_owned())
}

impl Server {
    pub fn start(path: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let path = path.map_or_else(find, |path| Ok(path.to_owned()))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = env::temp_dir().join(format!("tg-benchmark-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let child = Command::new(&path)
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &address.port().to_string()])
            .arg("--dir")
            .arg(&folder)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|why| format!("{path}: {why}"))?;
        let mut server = Self { child, folder, address, version: String::new() };
        for _ in 0..500 {
            if let Ok(info) = server.ask("INFO server\r\n") {
                server.version = version(&info);
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("{path} does not answer").into())
    }

    fn ask(&self, line: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(line.as_bytes())?;
        let mut reply = vec![0; 8192];
        let size = stream.read(&mut reply)?;
        Ok(String::from_utf8_lossy(&reply[..size]).into_owned())
    }
}

fn version(info: &str) -> String {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    match (field("valkey_version:"), field("redis_version:")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "a server without a version".into(),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name\t: "));
    name.unwrap_or("an unnamed processor").to_owned()
}
