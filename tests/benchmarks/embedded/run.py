#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The embedded limiter beside Rust's governor: interleaved rounds, medians, JSON and Markdown.

    cmake --preset release -DTIDEGATE_BENCHMARKS=ON
    cmake --build --preset release --target embedded_benchmark
    tests/benchmarks/embedded/run.py --build build/release [--rounds 5] [--seconds 0.5] [--out DIR]

Writes OUT/embedded.json and OUT/embedded.md. Cost is a thread's CPU time per decision, which other
programs on the machine disturb less than time on the wall; "2 threads" is how many times as much
two threads decide, were each to have a core to itself.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEYS = [1, 100_000, 1_000_000]
THREADS = [1, 2]
ANSWERS = ["allowed", "denied"]
ALGORITHMS = ["token_bucket", "fixed_window", "sliding_window", "sliding_log"]


def tidegate(
    binary: Path, engine: str, algorithm: str, answer: str, keys: int, threads: int, seconds: float
) -> dict:
    name = f"{engine}/{algorithm}/{answer}/keys:{keys}/real_time/threads:{threads}"
    out = subprocess.run(
        [
            binary,
            f"--benchmark_filter=^{name}$",
            f"--benchmark_min_time={seconds}",
            "--benchmark_format=json",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    (run,) = json.loads(out.stdout)["benchmarks"]
    # Google Benchmark gives the time on the wall divided by the decisions of all threads.
    return {
        "wall_ns": run["real_time"] * threads,
        "cpu_ns": run["cpu_time"],
        "allocations": round(run["allocations"], 3),
    }


def governor(binary: Path, answer: str, keys: int, threads: int, seconds: float) -> dict:
    out = subprocess.run(
        [binary, answer, str(keys), str(threads), str(seconds)],
        check=True,
        capture_output=True,
        text=True,
    )
    wall, cpu = map(float, out.stdout.split())
    return {"wall_ns": wall, "cpu_ns": cpu}


def build_governor(target: Path) -> Path:
    subprocess.run(
        ["cargo", "build", "--release", "--quiet", "--locked", "--target-dir", target],
        cwd=HERE / "governor",
        check=True,
    )
    return target / "release" / "governor_benchmark"


def machine() -> dict:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    lock = (HERE / "governor" / "Cargo.lock").read_text()
    peer = re.search(r'name = "governor"\nversion = "(.*)"', lock)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "rustc": subprocess.run(
            ["rustc", "--version"], capture_output=True, text=True
        ).stdout.strip(),
        "governor": peer[1] if peer else "?",
        "load": os.getloadavg()[0],
    }


def median(rounds: list[dict]) -> dict:
    return {field: round(statistics.median(r[field] for r in rounds), 2) for field in rounds[0]}


def measure(args, peer: Path) -> dict:
    program = args.build / "bin" / "embedded_benchmark"
    cases: dict[tuple, list[dict]] = {}
    for _ in range(args.rounds):
        for keys in KEYS:
            for answer in ANSWERS:
                for threads in THREADS:
                    for engine in ("abi", "store"):
                        cases.setdefault(
                            (engine, "token_bucket", answer, keys, threads), []
                        ).append(
                            tidegate(
                                program, engine, "token_bucket", answer, keys, threads, args.seconds
                            )
                        )
                    cases.setdefault(("governor", "gcra", answer, keys, threads), []).append(
                        governor(peer, answer, keys, threads, args.seconds)
                    )
        for algorithm in ALGORITHMS[1:]:
            for answer in ANSWERS:
                cases.setdefault(("abi", algorithm, answer, 100_000, 1), []).append(
                    tidegate(program, "abi", algorithm, answer, 100_000, 1, args.seconds)
                )
    return {case: median(rounds) for case, rounds in cases.items()}


def table(results: dict, host: dict, rounds: int) -> str:
    lines = [
        f"CPU ns a decision, medians of {rounds} interleaved rounds; {host['cpu']}, "
        f"{host['cores']} cores, load {host['load']:.1f}, governor {host['governor']}, "
        f"{host['rustc']}.",
        "",
        "| keys, answer | tidegate, C ABI | its store alone | governor | ABI / governor "
        "| 2 threads | allocations |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for keys in KEYS:
        for answer in ANSWERS:
            abi, both, store = (
                results[engine, "token_bucket", answer, keys, threads]
                for engine, threads in (("abi", 1), ("abi", 2), ("store", 1))
            )
            ours, peer = abi["cpu_ns"], results["governor", "gcra", answer, keys, 1]["cpu_ns"]
            lines.append(
                f"| {keys:,}, {answer} | {ours:.0f} | {store['cpu_ns']:.0f} | {peer:.0f} "
                f"| {ours / peer:.2f} | {2 * ours / both['cpu_ns']:.2f} x "
                f"| {abi['allocations']:g} |"
            )
    lines += ["", "| 100,000 keys, C ABI | allowed | denied |", "| --- | --- | --- |"]
    for algorithm in ALGORITHMS:
        costs = [results["abi", algorithm, answer, 100_000, 1]["cpu_ns"] for answer in ANSWERS]
        lines.append(f"| {algorithm} | {costs[0]:.0f} | {costs[1]:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=HERE.parents[2] / "build" / "release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    out = args.out or args.build
    results, host = measure(args, build_governor(args.build.resolve() / "governor")), machine()
    cases = [
        dict(zip(("engine", "algorithm", "answer", "keys", "threads"), case), **figures)
        for case, figures in results.items()
    ]
    (out / "embedded.json").write_text(
        json.dumps({"machine": host, "rounds": args.rounds, "cases": cases}, indent=1)
    )
    text = table(results, host, args.rounds)
    (out / "embedded.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
