// SPDX-License-Identifier: MIT
//! Figures of a client and of its limiters, as the library writes them: JSON, and for Prometheus.

use tidegate_sys as sys;

use super::client::Client;
use super::text;
use crate::error::Error;

impl Client {
    pub(crate) fn report(&self) -> Result<String, Error> {
        let raw = self.raw()?;
        // SAFETY: writes at most `size` bytes into the buffer.
        text::read(|buffer, size| unsafe { sys::tg_client_report(raw, buffer, size) })
    }

    pub(crate) fn metrics(&self, flags: u32) -> Result<String, Error> {
        let raw = self.raw()?;
        // SAFETY: writes at most `size` bytes into the buffer.
        text::read(|buffer, size| unsafe { sys::tg_client_metrics_as(raw, flags, buffer, size) })
    }

    pub(crate) fn top(&self, limiter: &str, by: u32, n: i32) -> Result<String, Error> {
        let raw = self.raw()?;
        let limiter = text::borrow(limiter);
        text::read_or_why(|buffer, size, error| {
            // SAFETY: reads the name, and writes at most `size` bytes into the buffer.
            unsafe { sys::tg_client_top(raw, limiter, by, n, buffer, size, error) }
        })
    }

    pub(crate) fn limited_now(&self, limiter: &str, n: i32) -> Result<String, Error> {
        let raw = self.raw()?;
        let limiter = text::borrow(limiter);
        text::read_or_why(|buffer, size, error| {
            // SAFETY: reads the name, and writes at most `size` bytes into the buffer.
            unsafe { sys::tg_client_limited_now(raw, limiter, n, buffer, size, error) }
        })
    }

    pub(crate) fn look_up(&self, key: &[u8]) -> Result<String, Error> {
        let raw = self.raw()?;
        text::read_or_why(|buffer, size, error| {
            let (data, length) = (key.as_ptr().cast(), key.len());
            // SAFETY: reads the key, and writes at most `size` bytes into the buffer.
            unsafe { sys::tg_client_look_up(raw, data, length, buffer, size, error) }
        })
    }

    pub(crate) fn events(&self, after: i64, n: i32) -> Result<String, Error> {
        let raw = self.raw()?;
        text::read_or_why(|buffer, size, error| {
            // SAFETY: writes at most `size` bytes into the buffer.
            unsafe { sys::tg_client_events(raw, after, n, buffer, size, error) }
        })
    }

    pub(crate) fn series(&self, limiter: &str, period: &str, step: &str) -> Result<String, Error> {
        let raw = self.raw()?;
        let [limiter, period, step] = [limiter, period, step].map(text::borrow);
        text::read_or_why(|buffer, size, error| {
            // SAFETY: reads the texts, and writes at most `size` bytes into the buffer.
            unsafe { sys::tg_client_series(raw, limiter, period, step, buffer, size, error) }
        })
    }
}
