// SPDX-License-Identifier: MIT
use std::ffi::CString;
use std::ptr::NonNull;

use tidegate_sys as sys;

use super::text;
use crate::error::Error;

/// Options before a client is opened, or of whom to believe about a caller's address.
#[derive(Debug)]
pub(crate) struct Options {
    raw: NonNull<sys::tg_options>,
}

// SAFETY: options may be used from any thread once they are set, and setting them takes `&mut`.
unsafe impl Send for Options {}
// SAFETY: as above.
unsafe impl Sync for Options {}

impl Options {
    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: takes nothing.
        check_abi(unsafe { sys::tg_abi() })?;
        // SAFETY: takes nothing; NULL means that there is no memory.
        let raw = NonNull::new(unsafe { sys::tg_options_new() });
        raw.map(|raw| Self { raw }).ok_or_else(|| Error::of_code(sys::TG_ENOMEM))
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let (Ok(c_name), Ok(c_value)) = (CString::new(name), CString::new(value)) else {
            let message = format!("option {name:?}: expected no NUL in name or value");
            return Err(Error::new(sys::TG_EOPTION, message, None));
        };
        let mut error = sys::tg_error::default();
        // SAFETY: the texts are closed with NUL and live until the call returns.
        let code = unsafe {
            sys::tg_options_set(self.raw.as_ptr(), c_name.as_ptr(), c_value.as_ptr(), &mut error)
        };
        if code < 0 {
            return Err(text::of_error(code, &error));
        }
        Ok(())
    }

    pub(super) fn raw(&self) -> *const sys::tg_options {
        self.raw.as_ptr()
    }

    /// The key of a caller; `options` says how much of `forwarded_for` to believe.
    pub(crate) fn caller_key(
        options: Option<&Options>,
        peer: &str,
        forwarded_for: &str,
        identity: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let raw = options.map_or(std::ptr::null(), Options::raw);
        text::read_bytes(|buffer, size| {
            // SAFETY: each text is passed with its length, and at most `size` bytes are written.
            unsafe {
                sys::tg_caller_key(
                    raw,
                    peer.as_ptr().cast(),
                    peer.len(),
                    forwarded_for.as_ptr().cast(),
                    forwarded_for.len(),
                    identity.as_ptr().cast(),
                    identity.len(),
                    buffer,
                    size,
                )
            }
        })
    }
}

/// Everything starts with options: a library that is older than the header these crates were
/// written for is told apart here, before it is handed records that it does not know.
fn check_abi(found: i32) -> Result<(), Error> {
    if found >= sys::TG_ABI {
        return Ok(());
    }
    let needed = sys::TG_ABI;
    let message = format!("libtidegate speaks ABI {found}: expected {needed} or later");
    Err(Error::new(sys::TG_EINTERNAL, message, None))
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by tg_options_new and freed once.
        unsafe { sys::tg_options_free(self.raw.as_ptr()) }
    }
}
