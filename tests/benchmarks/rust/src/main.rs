// SPDX-License-Identifier: MIT
//! The Rust rows of the benchmark: tidegate and redis-rs with a script on one server, interleaved,
//! medians of the rounds.
//!
//! tidegate-benchmark [--rounds N] [--length-ms N] [--server PATH] [--json FILE]

mod contestants;
mod raw;
mod server;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use contestants::{alone, together, Contestant};
use serde_json::{json, Value};
use server::Server;
use tokio::runtime::{Builder, Runtime};

struct Options {
    rounds: usize,
    length: Duration,
    server: Option<String>,
    json: Option<String>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut read =
        Options { rounds: 5, length: Duration::from_millis(700), server: None, json: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word}: expected a value after it"))?;
        match word.as_str() {
            "--rounds" => read.rounds = value.parse()?,
            "--length-ms" => read.length = Duration::from_millis(value.parse()?),
            "--server" => read.server = Some(value),
            "--json" => read.json = Some(value),
            _ => {
                return Err(
                    format!("{word}: expected --rounds, --length-ms, --server, --json").into()
                )
            }
        }
    }
    Ok(read)
}

/// Figures of every round, by what was measured.
type Figures = BTreeMap<&'static str, Vec<f64>>;

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn several_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn measure(options: &Options, server: &Server) -> Result<Figures, Box<dyn Error>> {
    let replay = raw::record(server)?;
    let (single, multi) = (one_thread(), several_threads());
    let mut figures = Figures::new();
    let mut add = |name, figure| figures.entry(name).or_default().push(figure);
    // A contestant belongs to the runtime that drives it.
    let enter = |runtime: &Runtime| -> Result<(Contestant, Contestant), Box<dyn Error>> {
        let peer = runtime.block_on(contestants::redis_rs(server))?;
        Ok((contestants::tidegate(server)?, peer))
    };
    let (ours_single, peer_single) = enter(&single)?;
    let (ours_multi, peer_multi) = enter(&multi)?;
    for _ in 0..options.rounds {
        let length = options.length;
        add("raw p50", raw::p50(server, &replay, length)?);
        let (p50, cpu) = single.block_on(alone(&ours_single, length));
        add("ours p50", p50);
        add("ours cpu, alone", cpu);
        let (p50, cpu) = single.block_on(alone(&peer_single, length));
        add("peer p50", p50);
        add("peer cpu, alone", cpu);
        add("ours p50, threads", multi.block_on(alone(&ours_multi, length)).0);
        let hot = contestants::Keys::Hot;
        let distinct = contestants::Keys::Distinct;
        let (rate, cpu) = single.block_on(together(&ours_single, 64, distinct, length));
        add("ours rate", rate);
        add("ours cpu", cpu);
        let (rate, cpu) = single.block_on(together(&peer_single, 64, distinct, length));
        add("peer rate", rate);
        add("peer cpu", cpu);
        let (rate, _) = multi.block_on(together(&ours_multi, 64, distinct, length));
        add("ours rate, threads", rate);
        let (rate, _) = multi.block_on(together(&peer_multi, 64, distinct, length));
        add("peer rate, threads", rate);
        let (rate, _) = single.block_on(together(&ours_single, 64, hot, length));
        add("ours rate, hot", rate);
    }
    Ok(figures)
}

/// What is compared with what, and how far it should reach: `<= 1.1` for times, `>= 1.5` for rates.
#[allow(clippy::type_complexity)]
const ROWS: [(&str, &str, &str, &str, &str, Option<f64>); 10] = [
    (
        "Rust tokio, one caller, p50, against a raw EVALSHA",
        "ours p50",
        "raw p50",
        "a blocking socket",
        "us",
        Some(1.1),
    ),
    (
        "Rust tokio of 2 threads, one caller, p50, against a raw EVALSHA",
        "ours p50, threads",
        "raw p50",
        "a blocking socket",
        "us",
        None,
    ),
    ("Rust tokio, one caller, p50, against redis-rs", "ours p50", "peer p50", REDIS_RS, "us", None),
    (
        "Rust tokio, one caller, client CPU, against redis-rs",
        "ours cpu, alone",
        "peer cpu, alone",
        REDIS_RS,
        "us CPU",
        None,
    ),
    (
        "Rust tokio, 64 tasks, against redis-rs with a script",
        "ours rate",
        "peer rate",
        REDIS_RS,
        "decisions/s",
        Some(1.5),
    ),
    (
        "Rust tokio of 2 threads, 64 tasks, against redis-rs",
        "ours rate, threads",
        "peer rate, threads",
        REDIS_RS,
        "decisions/s",
        Some(1.5),
    ),
    (
        "Rust tokio of 2 threads, 64 tasks, against redis-rs's best",
        "ours rate, threads",
        "peer rate",
        REDIS_RS,
        "decisions/s",
        None,
    ),
    (
        "Rust tokio, 64 tasks, client CPU, against redis-rs",
        "ours cpu",
        "peer cpu",
        REDIS_RS,
        "us CPU",
        None,
    ),
    (
        "Rust tokio, 64 tasks, one hot key, against distinct keys",
        "ours rate, hot",
        "ours rate",
        "tidegate",
        "decisions/s",
        Some(2.0),
    ),
    (
        "Rust tokio, 64 tasks, 2 threads against one",
        "ours rate, threads",
        "ours rate",
        "tidegate",
        "decisions/s",
        None,
    ),
];

const REDIS_RS: &str = "redis-rs 1, multiplexed";

fn rows(figures: &Figures) -> Vec<Value> {
    ROWS.iter()
        .map(|(row, ours, peer, version, unit, target)| {
            let (ours, peer) = (median(&figures[ours]), median(&figures[peer]));
            let ratio = ours / peer;
            let is_time = unit.starts_with("us");
            let met = target.map(|target| if is_time { ratio <= target } else { ratio >= target });
            let sign = if is_time { "<=" } else { ">=" };
            json!({
                "row": row,
                "ours": ours,
                "peer": peer,
                "peer_version": version,
                "ratio": ratio,
                "target": target.map_or("-".into(), |target| format!("{sign} {target}x")),
                "met": met,
                "unit": unit,
            })
        })
        .collect()
}

fn print(rows: &[Value]) {
    println!(
        "| what | ours | peer | ratio | to reach | met |\n| --- | --- | --- | --- | --- | --- |"
    );
    for row in rows {
        let figure = |name: &str| {
            let figure = row[name].as_f64().unwrap();
            if figure < 1000.0 {
                format!("{figure:.2}")
            } else {
                format!("{figure:.0}")
            }
        };
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let met = row["met"].as_bool().map_or("-", |met| if met { "yes" } else { "no" });
        println!(
            "| {} | {} {} | {} ({}) | {:.2} | {} | {met} |",
            text("row"),
            figure("ours"),
            text("unit"),
            figure("peer"),
            text("peer_version"),
            row["ratio"].as_f64().unwrap(),
            text("target"),
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let server = Server::start(options.server.as_deref())?;
    let figures = measure(&options, &server)?;
    let rows = rows(&figures);
    println!("{}, {}\n", server.version, server::processor());
    print(&rows);
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)? + "\n")?;
    }
    Ok(())
}
