// SPDX-License-Identifier: MIT
use std::fmt;
use std::net::IpAddr;

#[cfg(feature = "tower")]
use tidegate_sys as sys;

#[cfg(feature = "tower")]
use crate::error::Error;

/// What a policy sees of a request: names and values, both texts.
///
/// Names of letters, digits, `_` and `-`: `method`, `path`, `route`, `host`, `address`, `identity`,
/// `tier`, and whatever else the policy's rules speak of.
///
/// ```
/// use tidegate::Attributes;
///
/// let request = Attributes::new().method("POST").path("/v1/images/x").identity("k_1");
/// let request = request.with("images", 4).with("trial", true);
/// # let _ = request;
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Each name and each value behind its length, as the library reads them.
    bytes: Vec<u8>,
}

impl Attributes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The request's method.
    pub fn method(self, method: impl Into<Value>) -> Self {
        self.with("method", method)
    }

    /// Its path, as it came: the policy decodes what may be decoded.
    pub fn path(self, path: impl Into<Value>) -> Self {
        self.with("path", path)
    }

    /// The template of its route, as the framework writes it: `/items/{id}`.
    pub fn route(self, template: impl Into<Value>) -> Self {
        self.with("route", template)
    }

    /// Who is asking: an API key, a user. None: his address.
    pub fn identity(self, identity: impl Into<Value>) -> Self {
        self.with("identity", identity)
    }

    /// The caller's address.
    pub fn address(self, address: impl Into<Value>) -> Self {
        self.with("address", address)
    }

    /// One of the policy's tiers.
    pub fn tier(self, tier: impl Into<Value>) -> Self {
        self.with("tier", tier)
    }

    /// Any other: a text, bytes, an integer or a boolean. What is said of a name later counts.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.push(name, &value.into().0);
        self
    }

    /// All of these too.
    pub fn and(mut self, others: &Attributes) -> Self {
        self.bytes.extend_from_slice(&others.bytes);
        self
    }

    /// All of these too, which come from an application's function: what begins with `@` is for the
    /// guard itself, and no caller may have a way to say it.
    #[cfg(feature = "tower")]
    pub(crate) fn and_visible(self, others: &Attributes) -> Result<Self, Error> {
        let Some((name, _)) = others.pairs().find(|(name, _)| name.starts_with(b"@")) else {
            return Ok(self.and(others));
        };
        let name = String::from_utf8_lossy(name);
        let message =
            format!("attribute {name:?}: expected a name that a policy can see, without @");
        Err(Error::new(sys::TG_EATTRIBUTE, message, None))
    }

    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        for text in [name.as_bytes(), value] {
            // A text above 4 GiB is refused with the whole: no entry has room for so much.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(&length.to_ne_bytes());
            self.bytes.extend_from_slice(text);
        }
    }

    #[cfg(feature = "tower")]
    pub(crate) fn push_some(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        let mut next = move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (text, behind) = behind.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
            rest = behind;
            Some(text)
        };
        std::iter::from_fn(move || Some((next()?, next()?)))
    }
}

impl<K: AsRef<str>, V: Into<Value>> FromIterator<(K, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let add = |all: Self, (name, value): (K, V)| all.with(name.as_ref(), value);
        pairs.into_iter().fold(Self::new(), add)
    }
}

impl<K: AsRef<str>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Attributes {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<&Attributes> for Attributes {
    fn from(attributes: &Attributes) -> Self {
        attributes.clone()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        f.debug_map().entries(self.pairs().map(|(name, value)| (text(name), text(value)))).finish()
    }
}

/// The value of an attribute: a text, whatever it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(Vec<u8>);

macro_rules! values {
    ($($kind:ty: |$value:ident| $bytes:expr;)*) => {
        $(impl From<$kind> for Value {
            fn from($value: $kind) -> Self {
                Self($bytes)
            }
        })*
    };
}

values! {
    &str: |text| text.as_bytes().to_vec();
    &String: |text| text.as_bytes().to_vec();
    String: |text| text.into_bytes();
    &[u8]: |bytes| bytes.to_vec();
    Vec<u8>: |bytes| bytes;
    bool: |flag| flag.to_string().into_bytes();
    i32: |number| number.to_string().into_bytes();
    i64: |number| number.to_string().into_bytes();
    u16: |number| number.to_string().into_bytes();
    u32: |number| number.to_string().into_bytes();
    u64: |number| number.to_string().into_bytes();
    usize: |number| number.to_string().into_bytes();
    IpAddr: |address| address.to_string().into_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_texts_and_show_as_such() {
        let all = Attributes::from([("a", "x")]).with("n", 4).with("b", true).with("e", "");
        assert_eq!(format!("{all:?}"), r#"{"a": "x", "n": "4", "b": "true", "e": ""}"#);
        let more = Attributes::new().with("z", vec![0xff]).and(&all);
        assert_eq!(more.pairs().count(), 5);
    }
}
