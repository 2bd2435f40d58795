// SPDX-License-Identifier: MIT
//! The only place that speaks to the C ABI, and the only one with `unsafe`: safe, owned types over
//! `tidegate-sys`. What is kept by the library is kept alive here; nothing of Rust's is kept there.
#![allow(unsafe_code)]

mod answer;
mod client;
mod events;
mod figures;
mod guard;
mod options;
#[cfg(feature = "tokio")]
mod ring;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use answer::{Answer, Ask, Few, PartAsk};
pub(crate) use client::{Client, Spec};
#[cfg(feature = "tower")]
pub(crate) use guard::place_name;
pub(crate) use guard::{ignored, resolve, validate, GuardSpec, Settlement, Told};
pub(crate) use options::Options;
#[cfg(feature = "tokio")]
pub(crate) use ring::{Results, Ring};
pub(crate) use text::{
    describe, into_string, is_fatal, is_retriable, kind, name, of_field, options_table,
};
