//! One API call, as its handlers see it, and the owner of its access token.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::data::{App, Company};
use crate::fail::{Fail, fail};

/// One call of the API.
pub(super) struct Call<'a> {
    /// The simulator's host, as used by the caller.
    pub(super) host: String,
    /// The path, which is also the key of counters and limits.
    pub(super) path: &'static str,
    pub(super) query: HashMap<String, String>,
    pub(super) body: &'a [u8],
    /// The caller's address.
    pub(super) ip: IpAddr,
    /// The simulator's clock, milliseconds since 1970.
    pub(super) now: i64,
}

impl Call<'_> {
    /// A parameter that is present and not empty.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A field of the JSON body.
    pub(super) fn field(&self, name: &str) -> Result<Option<String>, Fail> {
        let body: Value = serde_json::from_slice(self.body).map_err(|_| fail(47001))?;
        Ok(body.get(name).and_then(Value::as_str).filter(|v| !v.is_empty()).map(str::to_owned))
    }
}

/// The owner of the access token: a company, and its app (none: the contact-sync assistant).
pub(super) struct Caller<'a> {
    pub(super) company: &'a Company,
    pub(super) app: Option<&'a App>,
}

impl<'a> Caller<'a> {
    /// The app; an error if this is the contact-sync assistant.
    pub(super) fn app(&self) -> Result<&'a App, Fail> {
        self.app.ok_or_else(|| fail(48002))
    }
}
