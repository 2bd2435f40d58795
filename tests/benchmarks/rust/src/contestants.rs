// SPDX-License-Identifier: MIT
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::Script;
use tidegate::{Gate, Limiter};
use tokio::task::JoinSet;

use crate::server::Server;

/// What a user of redis-rs writes: one decision a call of a GCRA script.
const SCRIPT: &str = r"
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local tat = tonumber(redis.call('GET', KEYS[1])) or now_us
if tat < now_us then tat = now_us end
local interval, capacity, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local new = tat + interval * cost
local allow_at = new - interval * capacity
if allow_at > now_us then return {0, 0, allow_at - now_us, tat - now_us} end
redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil((new - now_us) / 1000) + 1)
return {1, math.floor((now_us - allow_at) / interval), 0, new - now_us}
";

#[derive(Clone)]
pub enum Contestant {
    Tidegate(Limiter),
    RedisRs(MultiplexedConnection, Arc<Script>),
}

#[derive(Clone, Copy)]
pub enum Keys {
    Distinct,
    Hot,
}

pub fn tidegate(server: &Server) -> Result<Contestant, Box<dyn Error>> {
    let gate = Gate::connect(&format!("redis://{}?timeout_ms=10000", server.address))?;
    Ok(Contestant::Tidegate(gate.limiter("1000000/minute").name("ours").open()?))
}

pub async fn redis_rs(server: &Server) -> Result<Contestant, Box<dyn Error>> {
    let client = redis::Client::open(format!("redis://{}", server.address))?;
    let connection = client.get_multiplexed_async_connection().await?;
    Ok(Contestant::RedisRs(connection, Arc::new(Script::new(SCRIPT))))
}

impl Contestant {
    async fn decide(&mut self, key: &str) -> bool {
        match self {
            Contestant::Tidegate(limiter) => {
                let decision = limiter.consume(key).await.unwrap();
                assert_eq!(decision.source(), tidegate::Source::Store);
                decision.allowed()
            }
            Contestant::RedisRs(connection, script) => {
                let mut call = script.key(key);
                let call = call.arg(60).arg(1_000_000).arg(1);
                let answer: Vec<i64> = call.invoke_async(connection).await.unwrap();
                answer[0] == 1
            }
        }
    }
}

/// The p50 of one caller, and this process's CPU for each decision, microseconds.
pub async fn alone(contestant: &Contestant, length: Duration) -> (f64, f64) {
    let mut contestant = contestant.clone();
    let cpu = cpu_us();
    // A task, as a server's handlers are.
    let task = tokio::spawn(async move {
        let mut times = Vec::new();
        let end = Instant::now() + length;
        while Instant::now() < end {
            let start = Instant::now();
            assert!(contestant.decide("user:00000042").await);
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        (crate::median(&times), (cpu_us() - cpu) / times.len() as f64)
    });
    task.await.unwrap()
}

/// Decisions a second of so many tasks, and this process's CPU for each, microseconds.
pub async fn together(
    contestant: &Contestant,
    tasks: usize,
    keys: Keys,
    length: Duration,
) -> (f64, f64) {
    let (start, cpu) = (Instant::now(), cpu_us());
    let end = start + length;
    let mut set = JoinSet::new();
    for task in 0..tasks {
        let mut contestant = contestant.clone();
        set.spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < end {
                let key = match keys {
                    Keys::Distinct => format!("user:{:08}", task as u64 + 64 * (count % 1500)),
                    Keys::Hot => "user:hot".to_owned(),
                };
                contestant.decide(&key).await;
                count += 1;
            }
            count
        });
    }
    let mut decisions = 0;
    while let Some(count) = set.join_next().await {
        decisions += count.unwrap();
    }
    let decisions = decisions as f64;
    (decisions / start.elapsed().as_secs_f64(), (cpu_us() - cpu) / decisions)
}

fn cpu_us() -> f64 {
    // SAFETY: zeroes are a value of rusage, and getrusage fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let of = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    of(usage.ru_utime) + of(usage.ru_stime)
}
