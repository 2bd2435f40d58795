// SPDX-License-Identifier: MIT
//! What happens, told to `tracing`.

use crate::events::{Event, Level};

pub(crate) fn event(event: &Event) {
    let (code, text) = (event.code, event.text.as_str());
    match event.level {
        Level::Info => tracing::info!(target: "tidegate", code, "{text}"),
        Level::Warning => tracing::warn!(target: "tidegate", code, "{text}"),
        Level::Error => tracing::error!(target: "tidegate", code, "{text}"),
    }
}
