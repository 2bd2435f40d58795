// SPDX-License-Identifier: MIT
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidegate_sys as sys;

use crate::boundary::{Answer, Client, Told};
use crate::denied::Denied;
use crate::http::HeaderStyles;
use crate::retry::{Retry, NEVER};
use crate::source::Source;

/// The answer to a request. Its figures are those of the part that speaks for it.
#[derive(Clone)]
#[must_use = "a denied request must not be served"]
pub struct Decision {
    client: Arc<Client>,
    answer: Answer,
}

impl Decision {
    pub(crate) fn new(client: Arc<Client>, answer: Answer) -> Self {
        Self { client, answer }
    }

    /// Whether the request may pass.
    pub fn allowed(&self) -> bool {
        self.answer.flags & sys::TG_ALLOWED != 0
    }

    /// Whether a limiter in shadow mode would have denied it.
    pub fn would_deny(&self) -> bool {
        self.answer.flags & sys::TG_WOULD_DENY != 0
    }

    /// Who decided.
    pub fn source(&self) -> Source {
        Source::of(self.answer.flags)
    }

    /// One for each rate of each part, in the order of the request.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = PartDecision<'_>> + '_ {
        self.answer.parts.as_slice().iter().map(|record| PartDecision { decision: self, record })
    }

    /// The part that speaks for the request: the one that denies it longest, or has least left.
    pub fn binding(&self) -> Option<PartDecision<'_>> {
        let record = self.answer.parts.as_slice().get(self.answer.binding as usize)?;
        Some(PartDecision { decision: self, record })
    }

    /// The name of the limit that speaks for the request; empty when there is none.
    pub fn name(&self) -> String {
        self.binding().map(|part| part.name()).unwrap_or_default()
    }

    /// Tokens per window.
    pub fn limit(&self) -> Option<u64> {
        self.binding()?.limit()
    }

    /// Tokens that could be spent now. None: unknown.
    pub fn remaining(&self) -> Option<u64> {
        self.binding()?.remaining()
    }

    /// The least wait after which this cost would fit if nobody else came: zero when it was
    /// allowed, [`NEVER`] when no wait is long enough. None: unknown, because nobody was asked.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.told() {
            Some(told) if self.verdict() == Verdict::Banned => {
                Some(micros(told.retry_after_us).unwrap_or(NEVER))
            }
            _ => self.binding()?.retry_after(),
        }
    }

    /// The same wait, its four cases by name.
    pub fn retry(&self) -> Retry {
        Retry::of(self.retry_after())
    }

    /// The wait after which nothing of the past is left. None: unknown.
    pub fn reset_after(&self) -> Option<Duration> {
        self.binding()?.reset_after()
    }

    /// Of a check by policy: whether limits decided, and who else.
    pub fn verdict(&self) -> Verdict {
        match self.told().map(|told| told.verdict) {
            Some(sys::TG_VERDICT_EXEMPT) => Verdict::Exempt,
            Some(sys::TG_VERDICT_BANNED) => Verdict::Banned,
            _ => Verdict::Limits,
        }
    }

    /// Of a check by policy: the caller's key, his identity or `@` and his address.
    pub fn caller(&self) -> Option<String> {
        self.told().map(|told| String::from_utf8_lossy(&told.caller).into_owned())
    }

    /// Why he is banned, where the policy says it. For operators: it is in no response.
    pub fn reason(&self) -> Option<&str> {
        self.told().map(|told| told.reason.as_str()).filter(|reason| !reason.is_empty())
    }

    /// Of a check by policy: whether [`Gate::finish`](crate::Gate::finish) has anything to do when
    /// the response is done.
    pub fn is_to_be_finished(&self) -> bool {
        self.told().is_some_and(|told| told.finish)
    }

    /// Of a check by policy that took slots: within what time they are to be
    /// [renewed](crate::Gate::renew).
    pub fn renew_within(&self) -> Option<Duration> {
        self.told().and_then(|told| micros(told.renew_us)).filter(|wait| !wait.is_zero())
    }

    /// Of a check by policy.
    pub(crate) fn told(&self) -> Option<&Told> {
        self.answer.told.as_deref()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn told_shared(&self) -> Option<Arc<Told>> {
        self.answer.told.clone()
    }

    /// For `?`: a denied decision becomes an error.
    ///
    /// ```
    /// # let gate = tidegate::Gate::connect("memory://")?;
    /// # let api = gate.limiter("100/minute").open()?;
    /// fn serve(api: &tidegate::Limiter) -> Result<(), Box<dyn std::error::Error>> {
    ///     let decision = api.consume("user:42").call()?.into_result()?;
    ///     assert!(decision.allowed());
    ///     Ok(())
    /// }
    /// # serve(&api).unwrap();
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn into_result(self) -> Result<Decision, Denied> {
        if self.allowed() {
            Ok(self)
        } else {
            Err(Denied::new(self))
        }
    }

    /// What an HTTP response says of this decision: 200, 429, 503 where the failure policy closed,
    /// or 403 where the caller is banned.
    pub fn status(&self) -> u16 {
        self.told().map_or_else(|| self.answer.status(), |told| told.status)
    }

    /// The header fields of a response, in the default styles.
    pub fn headers(&self) -> Vec<(String, String)> {
        match self.told() {
            Some(told) => fields(&told.fields),
            None => self.headers_in(HeaderStyles::default()),
        }
    }

    /// The header fields of a response, in these styles.
    pub fn headers_in(&self, styles: HeaderStyles) -> Vec<(String, String)> {
        fields(&self.client.headers(&self.answer, styles.bits()).unwrap_or_default())
    }

    /// The body of a refusal, `application/problem+json`. None when allowed.
    pub fn problem(&self) -> Option<String> {
        let body = match self.told() {
            Some(told) => Ok(told.body.clone()),
            None => self.client.problem(&self.answer),
        };
        body.ok().filter(|body| !body.is_empty())
    }
}

/// Why a check by policy was answered as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// By the limits that the request met; perhaps there were none.
    Limits,
    /// The caller, or the request, is exempt: nobody was asked.
    Exempt,
    /// The caller is banned: nobody was asked.
    Banned,
}

impl Verdict {
    /// As it is written in every language.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Limits => "limits",
            Verdict::Exempt => "exempt",
            Verdict::Banned => "banned",
        }
    }
}

/// `Name: value` lines.
fn fields(text: &str) -> Vec<(String, String)> {
    let fields = text.lines().filter_map(|line| line.split_once(": "));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("allowed", &self.allowed())
            .field("name", &self.name())
            .field("limit", &self.limit())
            .field("remaining", &self.remaining())
            .field("retry_after", &self.retry_after())
            .field("reset_after", &self.reset_after())
            .field("source", &self.source().as_str())
            .finish_non_exhaustive()
    }
}

/// One rate of one part of a request.
#[derive(Clone, Copy)]
pub struct PartDecision<'a> {
    decision: &'a Decision,
    record: &'a sys::tg_part,
}

impl PartDecision<'_> {
    /// Whether this part fits.
    pub fn allowed(&self) -> bool {
        self.record.flags & sys::TG_ALLOWED != 0
    }

    /// Its limiter is in shadow mode: it does not block, and callers do not see it.
    pub fn is_shadow(&self) -> bool {
        self.record.flags & sys::TG_SHADOW != 0
    }

    /// Of slots: the id held them already, and their lease runs anew; none were taken.
    pub fn is_renewed(&self) -> bool {
        self.record.flags & sys::TG_RENEWED != 0
    }

    /// Of a debit: tokens of the cost that did not fit, overdraft included.
    pub fn shortfall(&self) -> u64 {
        u64::try_from(self.record.shortfall).unwrap_or(0)
    }

    /// Which of its limiter's rates it is.
    pub(crate) fn rate(&self) -> u32 {
        self.record.rate
    }

    /// Of slots: their lease, which is their window.
    pub(crate) fn lease_us(&self) -> Option<i64> {
        (self.record.window_us > 0).then_some(self.record.window_us)
    }

    /// The name of the limit, with its window where the limiter has several (`api-60s`).
    pub fn name(&self) -> String {
        let rate = Some(self.record.rate);
        self.decision.client.limiter_name(self.record.handle, rate).unwrap_or_default()
    }

    /// Tokens per window.
    pub fn limit(&self) -> Option<u64> {
        u64::try_from(self.record.limit).ok()
    }

    /// Tokens that could be spent now. None: unknown.
    pub fn remaining(&self) -> Option<u64> {
        u64::try_from(self.record.remaining).ok()
    }

    /// As [`Decision::retry_after`].
    pub fn retry_after(&self) -> Option<Duration> {
        let is_asked = !matches!(
            self.decision.source(),
            Source::FailOpen | Source::FailClosed | Source::Policy
        );
        match micros(self.record.retry_after_us) {
            None if !self.allowed() && is_asked => Some(NEVER),
            known => known,
        }
    }

    /// As [`Decision::retry`].
    pub fn retry(&self) -> Retry {
        Retry::of(self.retry_after())
    }

    /// The least wait after which `remaining` grows; zero when it is full. None: unknown.
    pub fn next_after(&self) -> Option<Duration> {
        micros(self.record.next_us)
    }

    /// The wait after which nothing of the past is left. None: unknown.
    pub fn reset_after(&self) -> Option<Duration> {
        micros(self.record.reset_after_us)
    }
}

impl fmt::Debug for PartDecision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartDecision")
            .field("allowed", &self.allowed())
            .field("name", &self.name())
            .field("remaining", &self.remaining())
            .field("retry_after", &self.retry_after())
            .field("reset_after", &self.reset_after())
            .finish_non_exhaustive()
    }
}

fn micros(figure: i64) -> Option<Duration> {
    u64::try_from(figure).ok().map(Duration::from_micros)
}
