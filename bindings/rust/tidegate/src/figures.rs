// SPDX-License-Identifier: MIT
//! What a gate can tell of itself: JSON texts, whose members `tidegate_stats.h` lists, and whose
//! schema is `tests/stats/schema.json`.

use tidegate_sys as sys;

use crate::error::Error;
use crate::gate::Gate;

/// By what the callers of a limiter are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopBy {
    /// How often they were denied.
    Denied,
    /// What they cost.
    Cost,
}

/// Which text format Prometheus is told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsFormat {
    /// `text/plain; version=0.0.4`
    #[default]
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

impl Gate {
    /// All figures of this gate, and of each limiter under `limiters`, as JSON: `tests/stats/schema.json`
    /// in tidegate's repository is the schema of this and the other texts. Any time, also after
    /// [`Gate::close`].
    ///
    /// ```
    /// # let gate = tidegate::Gate::connect("memory://")?;
    /// # let api = gate.limiter("1/minute").name("api").open()?;
    /// # for _ in 0..3 { let _ = api.consume("user:42").call()?; }
    /// use tidegate::TopBy;
    ///
    /// assert!(gate.report()?.contains(r#""denied":2"#));
    /// println!("{}", gate.top("api", TopBy::Denied, 20)?); // who, as `labels` says
    /// println!("{}", gate.look_up("user:42")?); // what every limiter would say to him now
    /// println!("{}", gate.metrics(Default::default())?); // for Prometheus
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn report(&self) -> Result<String, Error> {
        self.inner.client.report()
    }

    /// What Prometheus scrapes.
    pub fn metrics(&self, format: MetricsFormat) -> Result<String, Error> {
        self.inner.client.metrics(match format {
            MetricsFormat::Prometheus => 0,
            MetricsFormat::OpenMetrics => sys::TG_METRICS_OPENMETRICS,
        })
    }

    /// The callers that a limiter denied most often, or that cost it most, heaviest first: `n` of
    /// 128 at most, as JSON. They are shown as the option `labels` says.
    pub fn top(&self, limiter: &str, by: TopBy, n: usize) -> Result<String, Error> {
        let by = match by {
            TopBy::Denied => sys::TG_BY_DENIED,
            TopBy::Cost => sys::TG_BY_COST,
        };
        self.inner.client.top(limiter, by, count(n))
    }

    /// Who was denied last and cannot pass yet, most denials first: `n` of 256 at most, as JSON.
    pub fn limited_now(&self, limiter: &str, n: usize) -> Result<String, Error> {
        self.inner.client.limited_now(limiter, count(n))
    }

    /// A caller by his key: what each open limiter would say to him now, as JSON. Nothing is
    /// charged. On a server it waits for the answers on this thread: within tokio, in
    /// `spawn_blocking`.
    pub fn look_up<K: AsRef<[u8]> + ?Sized>(&self, key: &K) -> Result<String, Error> {
        self.inner.client.look_up(key.as_ref())
    }

    /// `n` of the last 1,000 events, oldest first, as JSON; they may be read any number of times.
    /// `after`: the `next` of the page before; None: the last ones.
    pub fn events(&self, after: Option<i64>, n: usize) -> Result<String, Error> {
        self.inner.client.events(after.unwrap_or(-1), count(n))
    }

    /// What was allowed, denied and charged, step by step, of a limiter or (`""`) of all, as JSON.
    /// `period`: `"1h"`, 48 hours at most; `step`: `"1m"`, a multiple of 10 s, beyond an hour of a
    /// minute.
    pub fn series(&self, limiter: &str, period: &str, step: &str) -> Result<String, Error> {
        self.inner.client.series(limiter, period, step)
    }
}
