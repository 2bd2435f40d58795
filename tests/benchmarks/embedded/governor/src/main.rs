// SPDX-License-Identifier: MIT
// governor's keyed limiter (dashmap) asked as embedded_benchmark asks tidegate:
//   governor_benchmark allowed|denied KEYS THREADS SECONDS
// prints the ns of one decision of one thread: on the wall, and of CPU.
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::time::{Duration, Instant};

fn thread_cpu_ns() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn random_order(count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count.max(4096)).map(|i| (i % count) as u32).collect();
    let mut seed = 7u64;
    for i in (1..order.len()).rev() {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        order.swap(i, ((seed >> 33) % (i as u64 + 1)) as usize);
    }
    order
}

fn measure(
    limiter: &DefaultKeyedRateLimiter<String>,
    keys: &[String],
    order: &[u32],
    from: usize,
    denied: bool,
    time: Duration,
) -> (f64, f64) {
    let (mut at, mut decisions, mut allowed) = (from, 0u64, 0u64);
    let (start, start_cpu) = (Instant::now(), thread_cpu_ns());
    while start.elapsed() < time {
        for _ in 0..10_000 {
            allowed += limiter.check_key(&keys[order[at] as usize]).is_ok() as u64;
            at += 1;
            if at == order.len() {
                at = 0;
            }
        }
        decisions += 10_000;
    }
    assert_eq!(allowed, if denied { 0 } else { decisions });
    let wall = start.elapsed().as_nanos() as f64;
    (
        wall / decisions as f64,
        (thread_cpu_ns() - start_cpu) / decisions as f64,
    )
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let denied = arguments[1] == "denied";
    let (count, threads): (usize, usize) =
        (arguments[2].parse().unwrap(), arguments[3].parse().unwrap());
    let time = Duration::from_secs_f64(arguments[4].parse().unwrap());

    let quota = if denied {
        Quota::with_period(Duration::from_secs(86_400)).unwrap()
    } else {
        Quota::per_second(NonZeroU32::new(1_000_000_000).unwrap())
    };
    let limiter: DefaultKeyedRateLimiter<String> = RateLimiter::keyed(quota);
    let keys: Vec<String> = (0..count).map(|i| format!("user:{i:016}")).collect();
    let order = random_order(count);
    for key in &keys {
        assert!(limiter.check_key(key).is_ok());
    }
    let barrier = Barrier::new(threads);
    let each: Vec<(f64, f64)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|i| {
                let (limiter, keys, order, barrier) = (&limiter, &keys, &order, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    measure(
                        limiter,
                        keys,
                        order,
                        order.len() / threads * i,
                        denied,
                        time,
                    )
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let mean = |f: fn(&(f64, f64)) -> f64| each.iter().map(f).sum::<f64>() / threads as f64;
    println!("{:.2} {:.2}", mean(|x| x.0), mean(|x| x.1));
}
