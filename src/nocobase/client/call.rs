//! A call to NocoBase's API and its response, as plain data.

use http::{HeaderName, HeaderValue};
use reqwest::Method;
use serde_json::Value;

use crate::error::{Cause, Failure, FailureWithCause};
use crate::nocobase::{Class, Turn};

/// One call.
pub(in crate::nocobase) struct Call<'a> {
    /// `resource:action`.
    pub action: &'a str,
    pub method: Method,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// Replaces the usual headers of these names.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its precedence while NocoBase is busy.
    pub turn: Turn,
}

impl<'a> Call<'a> {
    pub(in crate::nocobase) fn get(action: &'a str) -> Self {
        Self {
            action,
            method: Method::GET,
            query: Vec::new(),
            body: None,
            headers: Vec::new(),
            turn: Turn::of_call(Class::In),
        }
    }
    pub(in crate::nocobase) fn post(action: &'a str, body: Option<Value>) -> Self {
        Self { body, method: Method::POST, ..Self::get(action) }
    }
    pub(in crate::nocobase) fn in_turn(mut self, turn: Turn) -> Self {
        self.turn = turn;
        self
    }
    /// The failure of this call, with what an operator needs to know.
    pub(in crate::nocobase) fn failed(&self, failure: Failure, reason: &str) -> FailureWithCause {
        let call = Some(self.action.to_owned());
        FailureWithCause::new(failure, Cause { reason: reason.to_owned(), call, ..Cause::default() })
    }
    /// With this header; an invalid value is left out.
    pub(in crate::nocobase) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }
    pub(in crate::nocobase) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// A response, of any kind.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}
