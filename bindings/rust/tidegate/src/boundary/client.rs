// SPDX-License-Identifier: MIT
use std::ptr::{self, NonNull};

use tidegate_sys as sys;

use super::answer::{with_entries, Answer, Ask};
use super::events::{is_in_hook_of, of_record, on_event, Hook, Listener};
use super::options::Options;
use super::text;
use crate::error::Error;
use crate::events::Event;

/// What a limiter is to be; an empty text is the default, or in a change what it was.
#[derive(Debug, Default)]
pub(crate) struct Spec<'a> {
    pub(crate) rates: &'a str,
    pub(crate) name: &'a str,
    pub(crate) algorithm: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) on_failure: &'a str,
    pub(crate) lease: String,
}

impl Spec<'_> {
    fn record(&self) -> sys::tg_limiter_spec {
        sys::tg_limiter_spec {
            rates: text::borrow(self.rates),
            name: text::borrow(self.name),
            algorithm: text::borrow(self.algorithm),
            mode: text::borrow(self.mode),
            on_failure: text::borrow(self.on_failure),
            lease: text::borrow(&self.lease),
        }
    }
}

/// Requests of one `call_each` that go together.
const CALLED_AT_ONCE: usize = 256;

/// A client of the library, closed and freed by its last owner.
pub(crate) struct Client {
    raw: NonNull<sys::tg_client>,
    hook: Box<Hook>,
}

// SAFETY: a client may be used, and closed, from any thread beside any call; freeing is Drop's.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    pub(crate) fn open(url: Option<&str>, options: &Options) -> Result<Self, Error> {
        let (data, size) = url.map_or((ptr::null(), 0), |url| (url.as_ptr().cast(), url.len()));
        let (mut raw, mut error) = (ptr::null_mut(), sys::tg_error::default());
        // SAFETY: url and options live until the call returns, which keeps neither.
        let code = unsafe { sys::tg_client_open(data, size, options.raw(), &mut raw, &mut error) };
        match NonNull::new(raw) {
            Some(raw) if code >= 0 => {
                let client = Self { raw, hook: Box::default() };
                #[cfg(feature = "tracing")]
                client.on_event(None)?; // events are traced without a listener too
                Ok(client)
            }
            _ => Err(text::of_error(code, &error)),
        }
    }

    /// The client, to be called into. An error within its own event hook, from which it may not be.
    pub(super) fn raw(&self) -> Result<*mut sys::tg_client, Error> {
        if is_in_hook_of(&self.hook) {
            let message = "a listener may not call the gate whose event it hears".to_owned();
            return Err(Error::new(sys::TG_EINVAL, message, None));
        }
        Ok(self.raw.as_ptr())
    }

    pub(crate) fn url(&self) -> String {
        let Ok(raw) = self.raw() else { return String::new() };
        // SAFETY: writes at most `size` bytes into the buffer.
        text::read(|buffer, size| unsafe { sys::tg_client_url(raw, buffer, size) })
            .unwrap_or_default()
    }

    pub(crate) fn close(&self) -> Result<(), Error> {
        let raw = self.raw()?;
        // SAFETY: may be called beside anything but tg_client_free.
        check(unsafe { sys::tg_client_close(raw) })
    }

    pub(crate) fn set_time(&self, now_us: i64) -> Result<(), Error> {
        let raw = self.raw()?;
        // SAFETY: takes a number.
        check(unsafe { sys::tg_client_set_time(raw, now_us) })
    }

    pub(crate) fn stats(&self) -> Result<sys::tg_stats, Error> {
        let raw = self.raw()?;
        let mut stats = sys::tg_stats::default();
        // SAFETY: writes one record of the size given.
        check(unsafe { sys::tg_client_stats_sized(raw, &mut stats, size_of::<sys::tg_stats>()) })?;
        Ok(stats)
    }

    pub(crate) fn on_event(&self, listener: Option<Listener>) -> Result<(), Error> {
        let raw = self.raw()?;
        self.hook.replace(listener);
        let context = ptr::from_ref::<Hook>(&self.hook).cast_mut().cast();
        // SAFETY: the hook lives as long as the client, and no event comes after tg_client_free.
        check(unsafe {
            let size = size_of::<sys::tg_event>();
            sys::tg_client_on_event_sized(raw, Some(on_event), context, size)
        })
    }

    pub(crate) fn next_event(&self) -> Result<Option<Event>, Error> {
        let raw = self.raw()?;
        let mut event = sys::tg_event::default();
        let size = size_of::<sys::tg_event>();
        // SAFETY: writes one record of the size given.
        let taken = check_count(unsafe { sys::tg_client_next_event_sized(raw, &mut event, size) })?;
        Ok((taken == 1).then(|| of_record(&event)))
    }

    pub(crate) fn open_limiter(&self, spec: &Spec<'_>) -> Result<u64, Error> {
        let raw = self.raw()?;
        let (mut handle, mut error) = (0, sys::tg_error::default());
        // SAFETY: the spec's texts live until the call returns, which keeps none of them.
        let code = unsafe {
            sys::tg_limiter_open_sized(
                raw,
                &spec.record(),
                size_of::<sys::tg_limiter_spec>(),
                &mut handle,
                &mut error,
            )
        };
        if code < 0 {
            return Err(text::of_error(code, &error));
        }
        Ok(handle)
    }

    pub(crate) fn change_limiter(&self, handle: u64, spec: &Spec<'_>) -> Result<(), Error> {
        let raw = self.raw()?;
        let mut error = sys::tg_error::default();
        // SAFETY: as in open_limiter.
        let code = unsafe {
            sys::tg_limiter_change_sized(
                raw,
                handle,
                &spec.record(),
                size_of::<sys::tg_limiter_spec>(),
                &mut error,
            )
        };
        if code < 0 {
            return Err(text::of_error(code, &error));
        }
        Ok(())
    }

    pub(crate) fn close_limiter(&self, handle: u64) -> Result<(), Error> {
        let raw = self.raw()?;
        // SAFETY: takes a number; the library checks it.
        check(unsafe { sys::tg_limiter_close(raw, handle) })
    }

    pub(crate) fn rates(&self, handle: u64) -> Result<Vec<sys::tg_rate>, Error> {
        let raw = self.raw()?;
        let mut rates = [sys::tg_rate::default(); sys::TG_MAX_RATES];
        let size = size_of::<sys::tg_rate>();
        // SAFETY: writes at most TG_MAX_RATES records of the size given.
        let count = check_count(unsafe {
            let max = sys::TG_MAX_RATES as i32;
            sys::tg_limiter_rates_sized(raw, handle, rates.as_mut_ptr(), size, max)
        })?;
        Ok(rates[..count.min(rates.len())].to_vec())
    }

    /// The limiter's name, or the policy name of one of its rates.
    pub(crate) fn limiter_name(&self, handle: u64, rate: Option<u32>) -> Result<String, Error> {
        let raw = self.raw()?;
        let rate = rate.map_or(-1, |rate| rate as i32);
        // SAFETY: writes at most `size` bytes into the buffer.
        text::read(|buffer, size| unsafe { sys::tg_limiter_name(raw, handle, rate, buffer, size) })
    }

    /// Runs one request and waits for it.
    pub(crate) fn call(&self, ask: &Ask<'_>) -> Result<Answer, Error> {
        let raw = self.raw()?;
        let mut result = sys::tg_result::default();
        let count = with_entries(ask, 0, |entries| {
            // SAFETY: the entries and their keys live until the call returns; one result is room
            // for one request.
            unsafe {
                let n = entries.len() as i32;
                let layout = sys::TG_LAYOUT;
                let count = sys::tg_call_sized(raw, entries.as_ptr(), n, &mut result, 1, layout);
                text::of_entries(count, entries)
            }
        })?;
        count?;
        // SAFETY: written just now, and no other tg_call has run on this thread since.
        unsafe { Answer::of(&result, ask.op) }
    }

    /// Runs requests of one part each together, and hands over what each was answered.
    pub(crate) fn call_each(&self, asks: &[Ask<'_>]) -> Vec<Result<Answer, Error>> {
        let mut answers = Vec::with_capacity(asks.len());
        for some in asks.chunks(CALLED_AT_ONCE) {
            if let Err(why) = self.call_some(some, &mut answers) {
                answers.resize(answers.len() + some.len(), Err(why));
            }
        }
        answers
    }

    fn call_some(
        &self,
        asks: &[Ask<'_>],
        answers: &mut Vec<Result<Answer, Error>>,
    ) -> Result<(), Error> {
        let raw = self.raw()?;
        let mut entries = Vec::with_capacity(asks.len());
        for ask in asks {
            with_entries(ask, 0, |of_one| entries.extend_from_slice(of_one))?;
        }
        let mut results = vec![sys::tg_result::default(); asks.len()];
        let (n, max) = (entries.len() as i32, results.len() as i32);
        // SAFETY: the entries and their keys live until the call returns; there is room for as
        // many results as there are requests.
        let count = text::of_entries(
            unsafe {
                let room = results.as_mut_ptr();
                sys::tg_call_sized(raw, entries.as_ptr(), n, room, max, sys::TG_LAYOUT)
            },
            &entries,
        )?;
        // SAFETY: written just now, and no other tg_call has run on this thread since.
        let each = results[..count].iter().zip(asks);
        answers.extend(each.map(|(result, ask)| unsafe { Answer::of(result, ask.op) }));
        Ok(())
    }

    /// The header fields of an answer, `Name: value` a line.
    pub(crate) fn headers(&self, answer: &Answer, styles: u32) -> Result<String, Error> {
        let raw = self.raw()?;
        let record = answer.record();
        text::read(|buffer, size| {
            // SAFETY: the record's parts live as long as the answer.
            unsafe {
                let layout = sys::TG_LAYOUT;
                sys::tg_decision_headers_sized(raw, &record, styles, 0, buffer, size, layout).into()
            }
        })
    }

    /// The problem body of a refusal; empty for an answer that is none.
    pub(crate) fn problem(&self, answer: &Answer) -> Result<String, Error> {
        let raw = self.raw()?;
        let record = answer.record();
        text::read(|buffer, size| {
            // SAFETY: the record's parts live as long as the answer.
            unsafe {
                let layout = sys::TG_LAYOUT;
                sys::tg_decision_problem_sized(raw, &record, buffer, size, layout).into()
            }
        })
    }
}

impl Answer {
    /// 200, 429 or 503.
    pub(crate) fn status(&self) -> u16 {
        // SAFETY: reads one record.
        let status = unsafe { sys::tg_decision_status_sized(&self.record(), sys::TG_LAYOUT) };
        u16::try_from(status).unwrap_or(500)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: its last owner is here, so no call runs and no ring is left; freed once.
        unsafe { sys::tg_client_free(self.raw.as_ptr()) }
    }
}

pub(super) fn check(code: i32) -> Result<(), Error> {
    check_count(code).map(drop)
}

pub(super) fn check_count(code: i32) -> Result<usize, Error> {
    usize::try_from(code).map_err(|_| Error::of_code(code))
}
