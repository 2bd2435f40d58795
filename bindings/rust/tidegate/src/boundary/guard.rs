// SPDX-License-Identifier: MIT
//! Guards, what their checks are told, and the functions of a policy that need neither.

use std::mem::size_of;
use std::ptr;
use std::slice;

use tidegate_sys as sys;

use super::answer::PartAsk;
#[cfg(feature = "tower")]
use super::client::check;
use super::client::Client;
use super::text;
use crate::error::Error;

/// What a guard is to be; an empty text is the default. A policy or a file, or neither.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GuardSpec<'a> {
    pub(crate) policy: &'a str,
    pub(crate) file: &'a str,
    pub(crate) headers: &'a str,
    pub(crate) trusted_proxies: &'a str,
    pub(crate) ipv6_prefix: i64,
}

/// What a guard's check was told beside its decision, owned.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) verdict: u32,
    pub(crate) fields: String,
    pub(crate) body: String,
    pub(crate) scope: Vec<u8>,
    pub(crate) caller: Vec<u8>,
    pub(crate) reason: String,
    pub(crate) retry_after_us: i64,
    pub(crate) renew_us: i64,
    pub(crate) finish: bool,
}

impl Told {
    /// # Safety
    /// `result` is a check's, written by the library, and what it points to still lives.
    pub(super) unsafe fn of(result: &sys::tg_result) -> Self {
        let mut answer = sys::tg_answer::default();
        let size = size_of::<sys::tg_answer>().min(result.data_len as usize);
        if !result.data.is_null() {
            // SAFETY: the caller's promise: data has data_len bytes, of which the record's are
            // taken.
            unsafe {
                let to = ptr::from_mut(&mut answer).cast::<u8>();
                ptr::copy_nonoverlapping(result.data.cast::<u8>(), to, size);
            }
        }
        // SAFETY: the caller's promise: the answer's texts live.
        let bytes = |given: sys::tg_text| unsafe { copied(given) };
        Self {
            status: u16::try_from(answer.status).unwrap_or(500),
            verdict: answer.verdict,
            fields: text::into_string(bytes(answer.fields)),
            body: text::into_string(bytes(answer.body)),
            scope: bytes(answer.scope),
            caller: bytes(answer.caller),
            reason: text::into_string(bytes(answer.reason)),
            retry_after_us: answer.retry_after_us,
            renew_us: answer.renew_us,
            finish: answer.finish != 0,
        }
    }

    /// The requests that settle what a response with this status and these attributes leaves of
    /// what was charged; with TG_FINISH_RENEW, those that renew slots.
    pub(crate) fn settlements(&self, status: u16, said: &[u8], flags: u32) -> Vec<Settlement> {
        let mut entries = [sys::tg_entry::default(); sys::TG_MAX_PARTS];
        let mut room = entries.as_mut_slice();
        let mut more;
        loop {
            // SAFETY: reads scope and attributes, and writes at most `max` entries.
            let count = unsafe {
                sys::tg_guard_finish_sized(
                    self.scope.as_ptr().cast(),
                    self.scope.len(),
                    status.into(),
                    said.as_ptr().cast(),
                    said.len(),
                    flags,
                    room.as_mut_ptr(),
                    room.len() as i32,
                    sys::TG_LAYOUT,
                )
            };
            let count = usize::try_from(count).unwrap_or(0);
            if count <= room.len() {
                // SAFETY: written just now; their keys point into the scope.
                return room[..count]
                    .iter()
                    .map(|entry| unsafe { Settlement::of(entry) })
                    .collect();
            }
            more = vec![sys::tg_entry::default(); count];
            room = &mut more;
        }
    }
}

/// # Safety
/// What the text points to lives.
unsafe fn copied(text: sys::tg_text) -> Vec<u8> {
    if text.size == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(text.data.cast::<u8>(), text.size as usize) }.to_vec()
}

/// A request that settles one charge: a refund, a debit, or slots that are renewed.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) op: u32,
    pub(crate) flags: u32,
    handle: u64,
    key: Box<[u8]>,
    cost: u64,
    id: [u8; 16],
}

impl Settlement {
    /// # Safety
    /// The entry is one of tg_guard_finish, and the scope that its key points into still lives.
    unsafe fn of(entry: &sys::tg_entry) -> Self {
        let key = sys::tg_text { data: entry.key.cast(), size: entry.key_len.into() };
        Self {
            op: entry.op,
            flags: entry.flags,
            handle: entry.handle,
            // SAFETY: the caller's promise.
            key: unsafe { copied(key) }.into(),
            cost: u64::try_from(entry.arg).unwrap_or(0),
            id: entry.id,
        }
    }

    pub(crate) fn ask(&self) -> PartAsk<'_> {
        let id = (self.id != [0; 16]).then_some(self.id.as_slice());
        PartAsk { handle: self.handle, key: &self.key, cost: self.cost, id, value: &[] }
    }
}

impl Client {
    pub(crate) fn open_guard(&self, spec: &GuardSpec<'_>) -> Result<u64, Error> {
        let raw = self.raw()?;
        let record = sys::tg_guard_spec {
            policy: text::borrow(spec.policy),
            file: text::borrow(spec.file),
            headers: text::borrow(spec.headers),
            trusted_proxies: text::borrow(spec.trusted_proxies),
            ipv6_prefix: spec.ipv6_prefix,
        };
        let (mut handle, mut error) = (0, sys::tg_error::default());
        let size = size_of::<sys::tg_guard_spec>();
        // SAFETY: the spec's texts live until the call returns, which keeps none of them.
        let code = unsafe { sys::tg_guard_open_sized(raw, &record, size, &mut handle, &mut error) };
        if code < 0 {
            return Err(text::of_error(code, &error));
        }
        Ok(handle)
    }

    pub(crate) fn replace_policy(&self, guard: u64, policy: &str) -> Result<(), Error> {
        let raw = self.raw()?;
        let mut error = sys::tg_error::default();
        // SAFETY: the text lives until the call returns, which keeps nothing of it.
        let code = unsafe {
            sys::tg_guard_replace(raw, guard, policy.as_ptr().cast(), policy.len(), &mut error)
        };
        if code < 0 {
            return Err(text::of_error(code, &error));
        }
        Ok(())
    }

    #[cfg(feature = "tower")]
    pub(crate) fn close_guard(&self, guard: u64) -> Result<(), Error> {
        let raw = self.raw()?;
        // SAFETY: takes a number; the library checks it.
        check(unsafe { sys::tg_guard_close(raw, guard) })
    }

    pub(crate) fn explain(&self, guard: u64, said: &[u8]) -> Result<String, Error> {
        let raw = self.raw()?;
        text::read_or_why(|buffer, size, error| {
            // SAFETY: reads the attributes, and writes at most `size` bytes into the buffer.
            unsafe {
                let said_size = said.len();
                sys::tg_guard_explain(
                    raw,
                    guard,
                    said.as_ptr().cast(),
                    said_size,
                    buffer,
                    size,
                    error,
                )
            }
        })
    }

    /// Merges a patch into the live document, or with TG_EDIT_REPLACE puts it in its place. The
    /// version that is there then.
    pub(crate) fn edit_live(
        &self,
        guard: u64,
        flags: u32,
        patch: &str,
        who: &str,
    ) -> Result<u64, Error> {
        let raw = self.raw()?;
        let mut error = sys::tg_error::default();
        // SAFETY: the texts live until the call returns, which keeps neither.
        let version = unsafe {
            sys::tg_guard_edit(
                raw,
                guard,
                flags,
                patch.as_ptr().cast(),
                patch.len(),
                who.as_ptr().cast(),
                who.len(),
                &mut error,
            )
        };
        u64::try_from(version).map_err(|_| text::of_error(version as i32, &error))
    }

    pub(crate) fn live(&self) -> Result<String, Error> {
        let raw = self.raw()?;
        // SAFETY: writes at most `size` bytes into the buffer.
        text::read(|buffer, size| unsafe { sys::tg_client_live(raw, buffer, size) })
    }
}

/// The faults of a policy, as a JSON list.
pub(crate) fn validate(policy: &str) -> Result<String, Error> {
    text::read(|buffer, size| {
        // SAFETY: reads the text, and writes at most `size` bytes into the buffer.
        unsafe { sys::tg_policy_validate(policy.as_ptr().cast(), policy.len(), buffer, size) }
    })
}

/// What applies to a request by a policy and a live document over it, as JSON.
pub(crate) fn resolve(policy: &str, live: &str, said: &[u8], now_us: i64) -> Result<String, Error> {
    text::read_or_why(|buffer, size, error| {
        // SAFETY: reads the texts, and writes at most `size` bytes into the buffer.
        unsafe {
            sys::tg_policy_resolve(
                policy.as_ptr().cast(),
                policy.len(),
                live.as_ptr().cast(),
                live.len(),
                said.as_ptr().cast(),
                said.len(),
                now_us,
                buffer,
                size,
                error,
            )
        }
    })
}

/// The places of a live document that name what a policy has not, as a JSON list.
pub(crate) fn ignored(policy: &str, live: &str) -> Result<String, Error> {
    text::read_or_why(|buffer, size, error| {
        // SAFETY: reads the texts, and writes at most `size` bytes into the buffer.
        unsafe {
            sys::tg_policy_ignored(
                policy.as_ptr().cast(),
                policy.len(),
                live.as_ptr().cast(),
                live.len(),
                buffer,
                size,
                error,
            )
        }
    })
}

/// What a limit without a name is called where it stands; `route` None: nobody tells the template.
#[cfg(feature = "tower")]
pub(crate) fn place_name(mount: &str, method: &str, route: Option<&str>) -> Result<String, Error> {
    let (data, length) = route.map_or((ptr::null(), 0), |route| (route.as_ptr(), route.len()));
    text::read(|buffer, size| {
        // SAFETY: reads the texts, and writes at most `size` bytes into the buffer.
        unsafe {
            sys::tg_place_name(
                mount.as_ptr().cast(),
                mount.len(),
                method.as_ptr().cast(),
                method.len(),
                data.cast(),
                length,
                buffer,
                size,
            )
        }
    })
}
