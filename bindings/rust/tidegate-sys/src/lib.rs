// SPDX-License-Identifier: MIT
//! The declarations of `tidegate.h` and the headers beside it, one to one: names, records,
//! constants and functions are theirs, and they are the manual. Use the `tidegate` crate unless you
//! write a binding.
//!
//! The macros keep each record's fields and each function's types as text too, in `RECORDS` and
//! `FUNCTIONS`, so that a test can hold all of it against the header with a C compiler.
#![no_std]
#![allow(non_camel_case_types)]
#![deny(missing_docs, missing_debug_implementations)]

mod constants;
mod functions;
mod records;

pub use constants::*;
pub use functions::*;
pub use records::*;
