// SPDX-License-Identifier: MIT
//! The guards of a gate's own policy: one for each way of telling and of working addresses out.

use std::collections::HashMap;
#[cfg(feature = "tower")]
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Document;
use crate::boundary::{Client, GuardSpec};
use crate::error::Error;

/// How a guard tells and whom it believes; empty: as its gate's options say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct GuardOptions {
    pub(crate) headers: String,
    pub(crate) trusted_proxies: String,
    pub(crate) ipv6_prefix: u8,
    /// Of no policy: the request has met the gate's already.
    pub(crate) is_bare: bool,
}

fn open(client: &Client, document: Option<&Document>, how: &GuardOptions) -> Result<u64, Error> {
    let (mut policy, mut file) = ("", "".into());
    match document {
        Some(Document::Text(text)) => policy = text.as_str(),
        Some(Document::File(path)) => file = path.to_string_lossy(),
        None => {}
    }
    client.open_guard(&GuardSpec {
        policy,
        file: &file,
        headers: &how.headers,
        trusted_proxies: &how.trusted_proxies,
        ipv6_prefix: how.ipv6_prefix.into(),
    })
}

#[derive(Default)]
pub(crate) struct Guards(Mutex<State>);

#[derive(Default)]
struct State {
    document: Option<Document>,
    open: HashMap<GuardOptions, u64>,
}

impl Guards {
    pub(crate) fn new(document: Option<Document>) -> Self {
        Self(Mutex::new(State { document, ..State::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "tower")]
    pub(crate) fn has_policy(&self) -> bool {
        self.state().document.is_some()
    }

    /// The guard with these options, opened when it is first needed.
    pub(crate) fn of(&self, client: &Client, how: &GuardOptions) -> Result<u64, Error> {
        let mut state = self.state();
        if let Some(guard) = state.open.get(how) {
            return Ok(*guard);
        }
        let document = state.document.as_ref().filter(|_| !how.is_bare);
        let guard = open(client, document, how)?;
        state.open.insert(how.clone(), guard);
        Ok(guard)
    }

    /// Another policy for all of them.
    pub(crate) fn load(&self, client: &Client, policy: &str) -> Result<(), Error> {
        self.of(client, &GuardOptions::default())?;
        let mut state = self.state();
        for (_, guard) in state.open.iter().filter(|(how, _)| !how.is_bare) {
            client.replace_policy(*guard, policy)?; // what the first one takes, all take
        }
        state.document = Some(Document::Text(policy.to_owned()));
        Ok(())
    }
}

/// The guard of a policy that is not its gate's, closed by its last owner.
#[cfg(feature = "tower")]
pub(crate) struct OwnGuard {
    client: Arc<Client>,
    pub(crate) handle: u64,
}

#[cfg(feature = "tower")]
impl OwnGuard {
    pub(crate) fn open(
        client: &Arc<Client>,
        document: &Document,
        how: &GuardOptions,
    ) -> Result<Self, Error> {
        let handle = open(client, Some(document), how)?;
        Ok(Self { client: client.clone(), handle })
    }
}

#[cfg(feature = "tower")]
impl Drop for OwnGuard {
    fn drop(&mut self) {
        drop(self.client.close_guard(self.handle)); // with its client, it is closed already
    }
}
