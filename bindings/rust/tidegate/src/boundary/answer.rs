// SPDX-License-Identifier: MIT
//! Requests on their way in, results on their way out, copied at the border.

use std::slice;
use std::sync::Arc;

use tidegate_sys as sys;

use super::guard::Told;
use super::text;
use crate::error::Error;

/// One part to ask about.
#[derive(Clone, Copy)]
pub(crate) struct PartAsk<'a> {
    pub(crate) handle: u64,
    pub(crate) key: &'a [u8],
    pub(crate) cost: u64,
    /// Whose slots; None: nobody's.
    pub(crate) id: Option<&'a [u8]>,
    /// The attributes of a guard's check.
    pub(crate) value: &'a [u8],
}

/// One request. No parts: a ping.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) op: u32,
    pub(crate) flags: u32,
    pub(crate) timeout_us: i64,
    pub(crate) parts: &'a [PartAsk<'a>],
}

/// Values that are nearly always one: no allocation for it.
#[derive(Clone, Debug)]
pub(crate) enum Few<T> {
    One([T; 1]),
    Many(Box<[T]>),
}

impl<T> Few<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Few::One(one) => one,
            Few::Many(many) => many,
        }
    }
}

/// What a request was answered, owned.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) flags: u32,
    pub(crate) binding: u32,
    pub(crate) parts: Few<sys::tg_part>,
    /// Of a guard's check.
    pub(crate) told: Option<Arc<Told>>,
}

impl Answer {
    /// # Safety
    /// `result` was written by the library for a request of this operation, and what it points to
    /// still lives.
    pub(super) unsafe fn of(result: &sys::tg_result, op: u32) -> Result<Answer, Error> {
        if result.status < 0 {
            if result.data_len == 0 {
                return Err(Error::of_code(result.status));
            }
            // SAFETY: the caller's promise: data has data_len bytes.
            let data = unsafe {
                slice::from_raw_parts(result.data.cast::<u8>(), result.data_len as usize)
            };
            return Err(Error::new(result.status, text::into_string(data.to_vec()), None));
        }
        let parts = match result.part_count {
            0 => Few::Many(Box::default()),
            // SAFETY: the caller's promise: parts has part_count records.
            1 => Few::One([unsafe { *result.parts }]),
            // SAFETY: as above.
            count => {
                Few::Many(unsafe { slice::from_raw_parts(result.parts, count as usize) }.into())
            }
        };
        // SAFETY: the caller's promise: the data of a check is an answer of its own.
        let told = (op == sys::TG_OP_CHECK).then(|| Arc::new(unsafe { Told::of(result) }));
        Ok(Answer { flags: result.flags, binding: result.binding, parts, told })
    }

    /// The record again, for the functions that read one. Valid while `self` is.
    pub(super) fn record(&self) -> sys::tg_result {
        let parts = self.parts.as_slice();
        sys::tg_result {
            flags: self.flags,
            part_count: parts.len() as u32,
            binding: self.binding,
            parts: if parts.is_empty() { std::ptr::null() } else { parts.as_ptr() },
            ..Default::default()
        }
    }
}

/// Lays out an entry for each part and hands them to `run`; the entries borrow the keys.
pub(super) fn with_entries<T>(
    ask: &Ask<'_>,
    user_data: u64,
    run: impl FnOnce(&[sys::tg_entry]) -> T,
) -> Result<T, Error> {
    if ask.parts.len() > sys::TG_MAX_PARTS {
        let message = format!("{} parts: expected 1 to {}", ask.parts.len(), sys::TG_MAX_PARTS);
        return Err(Error::new(sys::TG_EINVAL, message, None));
    }
    match ask.parts {
        [] => Ok(run(&[head(ask, user_data)])),
        [only] => Ok(run(&[entry(ask, user_data, only)?])),
        parts => {
            let mut entries = Vec::with_capacity(parts.len());
            for part in parts {
                let mut next = entry(ask, user_data, part)?;
                next.flags |= sys::TG_LINK;
                entries.push(next);
            }
            if let Some(last) = entries.last_mut() {
                last.flags &= !sys::TG_LINK;
            }
            Ok(run(&entries))
        }
    }
}

fn head(ask: &Ask<'_>, user_data: u64) -> sys::tg_entry {
    sys::tg_entry {
        user_data,
        op: ask.op,
        flags: ask.flags,
        timeout_us: ask.timeout_us,
        ..Default::default()
    }
}

fn entry(ask: &Ask<'_>, user_data: u64, part: &PartAsk<'_>) -> Result<sys::tg_entry, Error> {
    let Ok(key_len) = u32::try_from(part.key.len()) else {
        let message = format!("key of {} bytes: expected at most {}", part.key.len(), u32::MAX);
        return Err(Error::new(sys::TG_EKEY, message, None));
    };
    let arg = i64::try_from(part.cost).ok().filter(|cost| *cost <= sys::TG_MAX_COST);
    let Some(arg) = arg else {
        let message = format!("cost {}: expected 0 to {}", part.cost, sys::TG_MAX_COST);
        return Err(Error::new(sys::TG_ECOST, message, None));
    };
    let Ok(value_len) = u32::try_from(part.value.len()) else {
        let message =
            format!("attributes of {} bytes: expected at most {}", part.value.len(), u32::MAX);
        return Err(Error::new(sys::TG_EATTRIBUTE, message, None));
    };
    let mut id = [0; 16];
    if let Some(given) = part.id {
        let Some(room) = id.get_mut(..given.len()).filter(|room| !room.is_empty()) else {
            let message = format!("id of {} bytes: expected 1 to 16", given.len());
            return Err(Error::new(sys::TG_EID, message, None));
        };
        room.copy_from_slice(given);
    }
    Ok(sys::tg_entry {
        handle: part.handle,
        key: part.key.as_ptr().cast(),
        key_len,
        value: if part.value.is_empty() { std::ptr::null() } else { part.value.as_ptr().cast() },
        value_len,
        arg,
        id,
        ..head(ask, user_data)
    })
}
