// SPDX-License-Identifier: MIT
use std::ffi::{c_char, CStr};

use tidegate_sys as sys;

use crate::error::Error;

/// A text that the library only borrows while it is called.
pub(super) fn borrow(text: &str) -> sys::tg_text {
    if text.is_empty() {
        return sys::tg_text::default();
    }
    sys::tg_text { data: text.as_ptr().cast(), size: text.len() as u64 }
}

/// Calls `write(buffer, size)`, which returns the length needed, until the text fits.
pub(super) fn read(write: impl FnMut(*mut c_char, usize) -> i64) -> Result<String, Error> {
    read_bytes(write).map(into_string)
}

/// The same of a text that may be any bytes.
pub(super) fn read_bytes(
    mut write: impl FnMut(*mut c_char, usize) -> i64,
) -> Result<Vec<u8>, Error> {
    let mut buffer = vec![0_u8; 256];
    loop {
        let needed = write(buffer.as_mut_ptr().cast(), buffer.len());
        let length = usize::try_from(needed).map_err(|_| Error::of_code(needed as i32))?;
        if length < buffer.len() {
            buffer.truncate(length);
            return Ok(buffer);
        }
        buffer.resize(length + 1, 0);
    }
}

/// The same of a function that says in words what is wrong.
pub(super) fn read_or_why(
    mut write: impl FnMut(*mut c_char, usize, &mut sys::tg_error) -> i64,
) -> Result<String, Error> {
    let mut error = sys::tg_error::default();
    let text = read_bytes(|buffer, size| write(buffer, size, &mut error));
    text.map(into_string).map_err(|why| of_error(why.code(), &error))
}

/// A fixed field that is closed with NUL.
pub(crate) fn of_field(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    into_string(bytes)
}

/// Text of the library is UTF-8 but for what a caller gave it, cut anywhere.
pub(crate) fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|why| String::from_utf8_lossy(why.as_bytes()).into_owned())
}

/// The library's line of text for a code.
pub(crate) fn describe(code: i32) -> String {
    // SAFETY: takes a number; the text is static and never NULL.
    unsafe { of_static(sys::tg_strerror(code)) }.to_owned()
}

/// A text of the library that is static and ASCII.
///
/// # Safety
/// `text` is one, closed with NUL.
unsafe fn of_static(text: *const c_char) -> &'static str {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}

/// `TG_ERATE` of a code.
pub(crate) fn name(code: i32) -> &'static str {
    // SAFETY: takes a number; the text is static and never NULL.
    unsafe { of_static(sys::tg_error_name(code)) }
}

/// What kind of error a code is, the same in every language: `config`, `store`, ...
pub(crate) fn kind(code: i32) -> &'static str {
    // SAFETY: takes a number; the text is static and never NULL.
    unsafe { of_static(sys::tg_error_kind(code)) }
}

/// One option a line: name, type, range, default, meaning, separated by tabs.
pub(crate) fn options_table() -> String {
    // SAFETY: writes at most `size` bytes into the buffer.
    read(|buffer, size| unsafe { sys::tg_options_describe(buffer, size) }).unwrap_or_default()
}

/// The error that a failed call has filled in.
pub(super) fn of_error(code: i32, error: &sys::tg_error) -> Error {
    let message = of_field(&error.message);
    if message.is_empty() {
        return Error::of_code(code);
    }
    Error::new(code, message, usize::try_from(error.position).ok())
}

/// What `tg_call` or `tg_submit` returned about these entries: how many, or the error in words.
pub(super) fn of_entries(code: i32, entries: &[sys::tg_entry]) -> Result<usize, Error> {
    if let Ok(count) = usize::try_from(code) {
        return Ok(count);
    }
    let mut error = sys::tg_error::default();
    // SAFETY: reads the entries and writes one record; their keys are not read.
    let why = unsafe {
        let n = entries.len() as i32;
        sys::tg_check_entries_sized(entries.as_ptr(), n, &mut error, sys::TG_LAYOUT)
    };
    Err(if why == code { of_error(code, &error) } else { Error::of_code(code) })
}

pub(crate) fn is_retriable(code: i32) -> bool {
    // SAFETY: takes a number.
    unsafe { sys::tg_is_retriable(code) == 1 }
}

pub(crate) fn is_fatal(code: i32) -> bool {
    // SAFETY: takes a number.
    unsafe { sys::tg_is_fatal(code) == 1 }
}
