// SPDX-License-Identifier: MIT
//! The event hook. What the library is given lives as long as the client; the closure in it may be
//! replaced at any time.

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
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

thread_local! {
    /// The hooks that run on this thread, each called from within the one before: a listener may
    /// ask another gate, whose events it then hears.
    static RUNNING: RefCell<Vec<*const Hook>> = const { RefCell::new(Vec::new()) };
}

/// Whether the caller is a listener of this hook, at whatever depth.
pub(super) fn is_in_hook_of(hook: &Hook) -> bool {
    let is_running = |running: &RefCell<Vec<_>>| running.borrow().iter().any(|r| ptr::eq(*r, hook));
    RUNNING.try_with(is_running).unwrap_or(false)
}

fn run(hook: &Hook, event: &Event) {
    #[cfg(feature = "tracing")]
    crate::trace::event(event);
    if let Some(listener) = hook.listener() {
        listener(event);
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
    let _ = RUNNING.try_with(|running| running.borrow_mut().push(hook));
    // A panic may not cross into C; the panic hook has told of it already.
    let _ = catch_unwind(AssertUnwindSafe(|| run(hook, &of_record(record))));
    let _ = RUNNING.try_with(|running| running.borrow_mut().pop());
}
