// SPDX-License-Identifier: MIT
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_sys as sys;
use tokio::runtime::{Handle, Id};
use tokio::sync::SemaphorePermit;
use tokio::task::AbortHandle;

use super::line::Line;
use super::pump::{lost, Pump};
use crate::boundary::{Client, Ring};
use crate::error::Error;
use crate::request::Request;

struct Entry {
    runtime: Id,
    line: Arc<Line>,
    task: Option<AbortHandle>,
}

/// The lines of a client.
#[derive(Default)]
pub(super) struct Lines(Mutex<Vec<Entry>>);

impl Lines {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, runtime: Id) -> Option<Arc<Line>> {
        let entries = self.entries();
        let is_it = |entry: &&Entry| entry.runtime == runtime && !entry.line.is_dead();
        entries.iter().find(is_it).map(|entry| entry.line.clone())
    }

    /// Those whose runtime has gone, with their rings.
    pub(super) fn forget_dead(&self) {
        let mut dead = Vec::new(); // dropped when the lock is not held
        let mut entries = self.entries();
        let mut index = 0;
        while index < entries.len() {
            if entries[index].line.is_dead() {
                dead.push(entries.swap_remove(index));
            } else {
                index += 1;
            }
        }
        drop(entries);
    }
}

/// The lines of a client, one for each runtime that awaits: opened when it is first needed, and
/// again when its reaping task has gone. A runtime that stands still holds up nobody else's.
pub(crate) struct Driver {
    client: Arc<Client>,
    capacity: u16,
    lines: Arc<Lines>,
}

impl Driver {
    pub(crate) fn new(client: Arc<Client>, capacity: u16) -> Self {
        Self { client, capacity, lines: Arc::default() }
    }

    /// The line of the runtime that this is called in.
    pub(super) fn line(&self) -> Result<Arc<Line>, Error> {
        let Ok(runtime) = Handle::try_current() else {
            let message = "awaited outside of a runtime: expected tokio's; elsewhere, .call() it";
            return Err(Error::new(sys::TG_EINVAL, message.into(), None));
        };
        match self.lines.of(runtime.id()) {
            Some(line) => Ok(line),
            None => self.open(&runtime),
        }
    }

    /// Sends a request whose answer nobody will look at; false: here that cannot be done.
    pub(crate) fn send_unawaited(&self, request: &Request<'_>) -> bool {
        let Ok(line) = self.line() else { return false };
        let has_room = line.room().try_acquire().map(SemaphorePermit::forget).is_ok();
        has_room && request.with_ask(|ask| line.send_unawaited(ask)).is_ok()
    }

    fn open(&self, runtime: &Handle) -> Result<Arc<Line>, Error> {
        self.lines.forget_dead();
        let ring = Ring::open(&self.client, self.capacity.into())?;
        let line = Arc::new(Line::new(ring, self.capacity.into()));
        let pump = Pump::new(&line, &self.lines).map_err(|why| lost(&why))?;
        {
            let mut entries = self.lines.entries();
            let of_another_thread = entries
                .iter()
                .find(|entry| entry.runtime == runtime.id() && !entry.line.is_dead())
                .map(|entry| entry.line.clone());
            if let Some(line) = of_another_thread {
                drop(entries); // the pump that is dropped looks for it
                return Ok(line);
            }
            entries.push(Entry { runtime: runtime.id(), line: line.clone(), task: None });
        }
        // Not under the lock: a runtime that is being shut down drops the task at once.
        let task = runtime.spawn(pump.run()).abort_handle();
        let mut entries = self.lines.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| Arc::ptr_eq(&entry.line, &line)) {
            entry.task = Some(task);
        }
        drop(entries);
        Ok(line)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Their lines go now, unless a task is at work with one, which then takes it along.
        let entries = std::mem::take(&mut *self.lines.entries());
        for task in entries.iter().filter_map(|entry| entry.task.as_ref()) {
            task.abort();
        }
    }
}
