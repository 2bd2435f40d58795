// SPDX-License-Identifier: MIT
use std::fmt;

use tidegate_sys as sys;

use crate::boundary;

/// What went wrong, in words that name the value and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    code: i32,
    message: Box<str>,
    position: Option<usize>,
}

impl Detail {
    /// The text, where it is not shown through `Display`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The byte offset in the text that was parsed, if a text was.
    pub fn position(&self) -> Option<usize> {
        self.position
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why a call failed. Being denied is not an error, and neither is a store that cannot be reached
/// while checks are made: the failure policy answers those.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that cannot be: more than 16 parts, an unknown algorithm, no tokio runtime.
    #[error("{0}")]
    Invalid(Detail),
    /// A rate that does not parse, or cannot be enforced exactly.
    #[error("{0}")]
    Rate(Detail),
    /// An unknown option, or a value out of its range.
    #[error("{0}")]
    Setting(Detail),
    /// A store URL that does not parse. Its password is never shown.
    #[error("{0}")]
    Url(Detail),
    /// A limiter's name that is not `[A-Za-z0-9_.-]{1,64}`.
    #[error("{0}")]
    Name(Detail),
    /// The name is taken by a limiter with other numbers.
    #[error("{0}")]
    Conflict(Detail),
    /// An empty key.
    #[error("{0}")]
    Key(Detail),
    /// A cost above 2^52 - 1.
    #[error("{0}")]
    Cost(Detail),
    /// Slots without an id of 1 to 16 bytes.
    #[error("{0}")]
    Id(Detail),
    /// A policy that does not parse, or says what cannot be: with line, column and member.
    #[error("{0}")]
    Policy(Detail),
    /// A request's attribute that cannot be: a tier that there is not, a cost that is no number.
    #[error("{0}")]
    Attribute(Detail),
    /// The limiter was closed, or belongs to another gate.
    #[error("{0}")]
    Limiter(Detail),
    /// The gate is closed.
    #[error("{0}")]
    Closed(Detail),
    /// The gate was opened by the parent of this process. A forked child opens a gate of its own:
    /// `fork` without `exec` is only possible from `unsafe` code, so nothing is reopened behind
    /// anybody's back. The parent's gate is not disturbed; dropping the copy in the child is fine.
    #[error("{0}")]
    Forked(Detail),
    /// The request was taken back, or the runtime that carried it was shut down. It may have been
    /// charged.
    #[error("{0}")]
    Canceled(Detail),
    /// A stated bound is reached: limiters, descriptors.
    #[error("{0}")]
    Full(Detail),
    /// The store could not do it. Checks do not fail so: see `OnFailure`.
    #[error("{0}")]
    Store(Detail),
    /// The system has no memory or descriptor left, or tidegate has a bug.
    #[error("{0}")]
    System(Detail),
}

impl Error {
    pub(crate) fn new(code: i32, message: String, position: Option<usize>) -> Self {
        let detail = Detail { code, message: message.into(), position };
        match code {
            sys::TG_ERATE => Error::Rate(detail),
            sys::TG_EOPTION => Error::Setting(detail),
            sys::TG_EURL => Error::Url(detail),
            sys::TG_EKEY => Error::Key(detail),
            sys::TG_ECOST => Error::Cost(detail),
            sys::TG_EID => Error::Id(detail),
            sys::TG_EPOLICY => Error::Policy(detail),
            sys::TG_EATTRIBUTE => Error::Attribute(detail),
            sys::TG_ENAME => Error::Name(detail),
            sys::TG_ECONFLICT => Error::Conflict(detail),
            sys::TG_EFORK => Error::Forked(detail),
            sys::TG_ENOMEM => Error::System(detail),
            // Also what a later library has a code for.
            _ => match boundary::kind(code) {
                "config" => Error::Invalid(detail),
                "handle" => Error::Limiter(detail),
                "closed" => Error::Closed(detail),
                "canceled" => Error::Canceled(detail),
                "full" => Error::Full(detail),
                "store" => Error::Store(detail),
                _ => Error::System(detail),
            },
        }
    }

    pub(crate) fn of_code(code: i32) -> Self {
        Self::new(code, boundary::describe(code), None)
    }

    fn detail(&self) -> &Detail {
        match self {
            Error::Invalid(d) | Error::Rate(d) | Error::Setting(d) | Error::Url(d) => d,
            Error::Name(d) | Error::Conflict(d) | Error::Key(d) | Error::Cost(d) => d,
            Error::Id(d) | Error::Policy(d) | Error::Attribute(d) => d,
            Error::Limiter(d) | Error::Closed(d) | Error::Forked(d) | Error::Canceled(d) => d,
            Error::Full(d) | Error::Store(d) | Error::System(d) => d,
        }
    }

    /// The `TG_E...` code of `tidegate.h`, the same in every language.
    pub fn code(&self) -> i32 {
        self.detail().code
    }

    /// The code's name: `TG_ERATE`.
    pub fn name(&self) -> &'static str {
        boundary::name(self.code())
    }

    /// The byte offset in the text that was parsed, if a text was.
    pub fn position(&self) -> Option<usize> {
        self.detail().position
    }

    /// Something was configured or asked that can never work: rates, options, URLs, names, keys,
    /// costs, policies, a limiter that was closed. The same errors are configuration errors in
    /// every language.
    pub fn is_config(&self) -> bool {
        matches!(boundary::kind(self.code()), "config" | "handle")
    }

    /// The same call may succeed later.
    pub fn is_retriable(&self) -> bool {
        boundary::is_retriable(self.code())
    }

    /// No call on this gate will succeed again: it is closed, or the parent's.
    pub fn is_fatal(&self) -> bool {
        boundary::is_fatal(self.code())
    }
}
