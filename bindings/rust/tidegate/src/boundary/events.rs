// SPDX-License-Identifier: MIT
//! The event hook. What the library is given lives as long as the client; the closure in it may be
//! replaced at any time.

use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tidegate_sys as sys;

use super::text;
use crate::events::{Event, Level};

pub(crate) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

#[derive(Default)]
pub(super) struct Hook(Mutex<Option<Listener>>);

impl Hook {
    pub(super) fn replace(&self, listener: Option<Listener>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = listener;
    }

    fn listener(&self) -> Option<Listener> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn of_record(record: &sys::tg_event) -> Event {
    Event {
        level: match record.level {
            sys::TG_LOG_INFO => Level::Info,
            sys::TG_LOG_WARNING => Level::Warning,
            _ => Level::Error,
        },
        code: record.code,
        at: UNIX_EPOCH + Duration::from_micros(u64::try_from(record.wall_us).unwrap_or(0)),
        text: text::of_field(&record.text),
    }
}

/// # Safety
/// `context` is the client's `Hook`, and `record` an event that lives until this returns.
pub(super) unsafe extern "C" fn on_event(context: *mut c_void, record: *const sys::tg_event) {
    // SAFETY: the caller's promise.
    let (hook, record) = unsafe { (&*context.cast::<Hook>(), &*record) };
    // A panic may not cross into C; the panic hook has told of it already.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Some(listener) = hook.listener() {
            listener(&of_record(record));
        }
    }));
}
