// SPDX-License-Identifier: MIT
//! The floor: the very bytes that one of our decisions sends, replayed over a blocking socket.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tidegate::Gate;

use crate::server::Server;

/// Passes on what comes from one side to the other, and keeps it.
fn pass(mut from: TcpStream, mut to: TcpStream, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 65_536];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        kept.lock().unwrap().extend_from_slice(&buffer[..size]);
        if to.write_all(&buffer[..size]).is_err() {
            return;
        }
    }
}

/// What a decision sends, seen by standing between gate and server.
pub fn record(server: &Server) -> Result<Vec<u8>, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("redis://{}?timeout_ms=5000", listener.local_addr()?);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (address, writer) = (server.address, kept.clone());
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let upstream = TcpStream::connect(address).unwrap();
        let (back, forth) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || pass(back, forth, Arc::default()));
        pass(client, upstream, writer);
    });
    let gate = Gate::connect(&url)?;
    let api = gate.limiter("700000000/minute").name("raw").open()?;
    let _ = api.consume("user:00000042").call()?; // connects, and sends the program whole
    kept.lock().unwrap().clear();
    let _ = api.consume("user:00000042").call()?;
    let bytes = kept.lock().unwrap().clone();
    let has_digest = bytes.windows(7).any(|word| word == b"EVALSHA");
    if has_digest {
        Ok(bytes)
    } else {
        Err("a decision did not send EVALSHA".into())
    }
}

/// Round trips of one blocking caller, microseconds.
pub fn p50(server: &Server, request: &[u8], length: Duration) -> Result<f64, Box<dyn Error>> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_nodelay(true)?;
    let mut reply = [0; 4096];
    let mut times = Vec::new();
    let end = Instant::now() + length;
    while Instant::now() < end {
        let start = Instant::now();
        stream.write_all(request)?;
        let size = stream.read(&mut reply)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
        if size == 0 || reply[0] == b'-' {
            return Err(String::from_utf8_lossy(&reply[..size]).into());
        }
    }
    Ok(crate::median(&times))
}
