// SPDX-License-Identifier: MIT
//! What layers of ours have done with one HTTP request: shared by all that it passes, and brought
//! to an end by the outermost when the response is done.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use tidegate_sys as sys;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::attributes::{Attributes, Value};
use crate::boundary::Told;
use crate::decision::{Decision, Verdict};
use crate::gate::Gate;
use crate::policy::command;

/// The status that settles a request whose response nobody will see.
const GONE: u16 = 499;
const FAILED: u16 = 500;

/// What one gate's checks were told last. Gates know nothing of each other's charges.
struct Visit {
    gate: Gate,
    told: Arc<Told>,
    has_met_policy: bool,
    renewal: Option<AbortHandle>,
}

impl Visit {
    fn renew(&mut self) {
        if let Some(old) = self.renewal.take() {
            old.abort();
        }
        let Ok(wait_us @ 1..) = u64::try_from(self.told.renew_us) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (gate, told) = (self.gate.clone(), self.told.clone());
        let task = runtime.spawn(async move {
            loop {
                sleep(std::time::Duration::from_micros(wait_us)).await;
                for one in told.settlements(0, &[], sys::TG_FINISH_RENEW) {
                    drop(command(&gate, one).await); // the next turn tries again
                }
            }
        });
        self.renewal = Some(task.abort_handle());
    }
}

#[derive(Default)]
struct State {
    visits: Vec<Visit>,
    is_denied: bool,
    used: Attributes,
}

/// One request's way through layers of ours.
#[derive(Clone, Default)]
pub(super) struct Passage(Arc<Mutex<State>>);

impl Passage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of a request, and whether it begins here.
    pub(super) fn of(head: &mut Parts) -> (Self, bool) {
        if let Some(known) = head.extensions.get::<Self>() {
            return (known.clone(), false);
        }
        let passage = Self::default();
        head.extensions.insert(passage.clone());
        head.extensions.insert(Used(passage.clone()));
        (passage, true)
    }

    /// The scope that a gate's next check begins with, and whether it has met the gate's policy.
    pub(super) fn scope(&self, gate: &Gate) -> (Vec<u8>, bool) {
        let state = self.state();
        let visit = state.visits.iter().find(|visit| visit.gate.is_same(gate));
        visit.map_or((Vec::new(), false), |v| (v.told.scope.clone(), v.has_met_policy))
    }

    /// Takes a decision of a gate down; `has_met_policy`: the gate's own.
    pub(super) fn meet(&self, gate: &Gate, decision: &Decision, has_met_policy: bool) {
        let Some(told) = decision.told_shared() else { return };
        let mut state = self.state();
        state.is_denied |= !decision.allowed();
        let known = state.visits.iter().position(|visit| visit.gate.is_same(gate));
        if let Some(index) = known {
            let mut visit = state.visits.remove(index);
            visit.has_met_policy |= has_met_policy;
            if decision.verdict() != Verdict::Exempt {
                visit.told = told;
                visit.renew();
            }
            state.visits.push(visit); // the last one speaks first
            return;
        }
        let gate = gate.clone();
        let mut visit = Visit { gate, told, has_met_policy, renewal: None };
        visit.renew();
        state.visits.push(visit);
    }

    /// Adds the fields of what was met. Those that the application has sent stand, with their
    /// family.
    fn tell(&self, headers: &mut HeaderMap) {
        for visit in self.state().visits.iter().rev() {
            let is_there = |name: &HeaderName| {
                headers.keys().any(|other| family(other.as_str()) == family(name.as_str()))
            };
            let fields = visit.told.fields.lines().filter_map(|line| line.split_once(": "));
            let fields = fields.filter_map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_str(value).ok()?))
            });
            let news: Vec<_> = fields.filter(|(name, _)| !is_there(name)).collect();
            headers.extend(news);
        }
    }

    /// Whether anything is to be done when the response is done.
    fn is_open(&self) -> bool {
        let state = self.state();
        !state.is_denied && state.visits.iter().any(|visit| visit.told.finish)
    }

    fn finish(&self, status: u16) {
        let (visits, used, is_denied) = {
            let mut state = self.state();
            let visits = std::mem::take(&mut state.visits);
            (visits, std::mem::take(&mut state.used), state.is_denied)
        };
        for visit in visits {
            if let Some(renewal) = visit.renewal {
                renewal.abort();
            }
            let flags = if is_denied { sys::TG_FINISH_DENIED } else { 0 };
            if visit.told.finish || is_denied {
                for one in visit.told.settlements(status, used.bytes(), flags) {
                    command(&visit.gate, one).request.call_unawaited();
                }
            }
        }
    }
}

fn family(name: &str) -> &str {
    match name {
        "ratelimit-policy" => "ratelimit",
        name if name.starts_with("x-ratelimit-") => "x-ratelimit",
        name => name,
    }
}

/// The end of a passage: when this goes, what the request was charged is settled.
pub(super) struct Finish {
    passage: Passage,
    status: u16,
}

impl fmt::Debug for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Finish {
    /// Of a request that has no response yet: until then, its caller may go.
    pub(super) fn new(passage: Passage) -> Self {
        Self { passage, status: GONE }
    }

    /// There will be none, since the service has failed.
    pub(super) fn fail(mut self) {
        self.status = FAILED;
    }

    /// Tells a response what was met. What is left is to be kept until its body is done.
    pub(super) fn tell<B>(mut self, response: &mut http::Response<B>) -> Option<Self> {
        self.passage.tell(response.headers_mut());
        self.status = response.status().as_u16();
        self.passage.is_open().then_some(self)
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.status = FAILED;
        }
        self.passage.finish(self.status);
    }
}

/// In a request's extensions: what serving it really used, for the rules of a policy that `settle`.
///
/// ```
/// # #[cfg(feature = "axum")]
/// async fn chat(axum::Extension(used): axum::Extension<tidegate::tower::Used>) -> &'static str {
///     used.tell("tokens_used", 350); // settle: "{tokens_used}"
///     "ok"
/// }
/// ```
///
/// It may be told as long as the response's body is under way.
#[derive(Clone)]
pub struct Used(Passage);

impl Used {
    /// The value of an attribute; what is told later counts.
    pub fn tell(&self, name: &str, value: impl Into<Value>) {
        let mut state = self.0.state();
        state.used = std::mem::take(&mut state.used).with(name, value);
    }
}

impl fmt::Debug for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Used").field(&self.0.state().used).finish()
    }
}
