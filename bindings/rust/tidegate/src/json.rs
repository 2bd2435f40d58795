// SPDX-License-Identifier: MIT
//! Decisions as JSON, the same in every language: unknown figures are null, waits are milliseconds
//! rounded up, and a wait without an end is the text "never".

use std::fmt::{self, Write};
use std::time::Duration;

use crate::decision::{Decision, PartDecision};
use crate::retry::Retry;
use crate::source::Source;

enum Value {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Object>),
}

struct Object(Vec<(&'static str, Value)>);

impl From<Option<u64>> for Value {
    fn from(figure: Option<u64>) -> Self {
        figure.map_or(Value::Null, Value::Number)
    }
}

impl From<Option<Duration>> for Value {
    fn from(wait: Option<Duration>) -> Self {
        let millis = |wait: Duration| u64::try_from(wait.as_micros().div_ceil(1000)).ok();
        wait.and_then(millis).into()
    }
}

impl From<Retry> for Value {
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::Never => Value::Text("never".into()),
            other => other.wait().into(),
        }
    }
}

fn name(text: String) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        Value::Text(text)
    }
}

/// A text in JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c)); // a String takes everything
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

impl Object {
    fn of_decision(decision: &Decision) -> Self {
        let source = match decision.source() {
            Source::None => Value::Null,
            known => Value::Text(known.as_str().into()),
        };
        Self(vec![
            ("allowed", Value::Bool(decision.allowed())),
            ("wouldDeny", Value::Bool(decision.would_deny())),
            ("name", name(decision.name())),
            ("limit", decision.limit().into()),
            ("remaining", decision.remaining().into()),
            ("retryAfterMs", decision.retry().into()),
            ("resetAfterMs", decision.reset_after().into()),
            ("source", source),
            ("parts", Value::List(decision.parts().map(|part| Self::of_part(&part)).collect())),
        ])
    }

    fn of_part(part: &PartDecision<'_>) -> Self {
        Self(vec![
            ("allowed", Value::Bool(part.allowed())),
            ("name", name(part.name())),
            ("limit", part.limit().into()),
            ("remaining", part.remaining().into()),
            ("retryAfterMs", part.retry().into()),
            ("resetAfterMs", part.reset_after().into()),
            ("nextAfterMs", part.next_after().into()),
            ("shortfall", Value::Number(part.shortfall())),
            ("renewed", Value::Bool(part.is_renewed())),
        ])
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(flag) => flag.fmt(f),
            Value::Number(number) => number.fmt(f),
            // Names of limits and our own words: [A-Za-z0-9_.-], nothing to escape.
            Value::Text(text) => write!(f, "\"{text}\""),
            Value::List(objects) => {
                f.write_char('[')?;
                for (index, object) in objects.iter().enumerate() {
                    write!(f, "{}{object}", if index == 0 { "" } else { "," })?;
                }
                f.write_char(']')
            }
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}\"{name}\":{value}", if index == 0 { "" } else { "," })?;
        }
        f.write_char('}')
    }
}

impl Decision {
    /// As JSON, with the names that every language gives it. Unknown figures are null; waits are
    /// milliseconds, rounded up, or `"never"`.
    ///
    /// ```
    /// # let gate = tidegate::Gate::connect("memory://")?;
    /// # let api = gate.limiter("100/minute").name("api").open()?;
    /// let text = api.consume("user:42").call()?.to_json();
    /// assert!(text.starts_with(r#"{"allowed":true,"wouldDeny":false,"name":"api","limit":100,"#));
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn to_json(&self) -> String {
        Object::of_decision(self).to_string()
    }
}

#[cfg(feature = "serde")]
mod with_serde {
    use serde::ser::{Serialize, Serializer};

    use super::{Object, Value};
    use crate::decision::{Decision, PartDecision};

    impl Serialize for Value {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Value::Null => serializer.serialize_none(),
                Value::Bool(flag) => serializer.serialize_bool(*flag),
                Value::Number(number) => serializer.serialize_u64(*number),
                Value::Text(text) => serializer.serialize_str(text),
                Value::List(objects) => serializer.collect_seq(objects),
            }
        }
    }

    impl Serialize for Object {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
        }
    }

    /// As [`Decision::to_json`].
    impl Serialize for Decision {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Object::of_decision(self).serialize(serializer)
        }
    }

    /// As in [`Decision::to_json`].
    impl Serialize for PartDecision<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Object::of_part(self).serialize(serializer)
        }
    }
}
