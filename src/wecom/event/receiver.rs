//! From query and body of a callback to a [`Notice`]: signature, time, decryption, recipient, content.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::crypto::Keys;
use super::message::{self, Notice};
use super::rejected::{BadAesKey, RejectedEvent};
use crate::config::EventKeys;

/// Longest body of a callback, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// How far WeCom's timestamp may differ from our clock, in seconds, either way.
const WINDOW: u64 = 10 * 60;

/// Opens what WeCom sends to one app.
pub struct Receiver {
    corp_id: String,
    keys: Keys,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("corp_id", &self.corp_id).finish_non_exhaustive()
    }
}

impl Receiver {
    /// # Errors
    /// The AES key is invalid.
    pub fn new(corp_id: &str, keys: &EventKeys) -> Result<Self, BadAesKey> {
        Ok(Self { corp_id: corp_id.to_owned(), keys: Keys::new(keys)? })
    }

    /// The GET with which WeCom verifies the address: returns the body of the response, which must be sent within one
    /// second. `query` as received, `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`RejectedEvent`].
    pub fn verify_address(&self, query: &str, now: u64) -> Result<Vec<u8>, RejectedEvent> {
        let query = Query::parse(query)?;
        let echo = query.echostr.as_deref().ok_or(RejectedEvent::new("no echostr"))?;
        self.open(&query, echo, now)
    }

    /// A POSTed event, XML or JSON. The response must be sent within five seconds, whatever the event is.
    ///
    /// # Errors
    /// [`RejectedEvent`].
    pub fn receive(&self, query: &str, body: &[u8], now: u64) -> Result<Notice, RejectedEvent> {
        if body.len() > MAX_BODY {
            return Err(RejectedEvent::new("body too large"));
        }
        let query = Query::parse(query)?;
        let encrypted = message::encrypted(body)?;
        let plain = self.open(&query, &encrypted, now)?;
        message::notice(&plain)
    }

    /// Signature, then time, then decryption, then recipient.
    fn open(&self, query: &Query, encrypted: &str, now: u64) -> Result<Vec<u8>, RejectedEvent> {
        self.keys.check_signature(&query.msg_signature, &query.timestamp, &query.nonce, encrypted)?;
        let sent: u64 =
            query.timestamp.parse().map_err(|_| RejectedEvent::new("timestamp is not a number"))?;
        if sent.abs_diff(now) > WINDOW {
            return Err(RejectedEvent::new("timestamp too far from now: an old request, or a wrong clock"));
        }
        let (message, receiver) = self.keys.decrypt(encrypted)?;
        if receiver != self.corp_id.as_bytes() {
            return Err(RejectedEvent::new("meant for another company"));
        }
        Ok(message)
    }
}

/// The parameters, percent-decoded once; `+` stays `+` (this is base64, not a form).
struct Query {
    msg_signature: String,
    timestamp: String,
    nonce: String,
    echostr: Option<String>,
}

impl Query {
    fn parse(query: &str) -> Result<Self, RejectedEvent> {
        let (mut signature, mut timestamp, mut nonce, mut echostr) = (None, None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "msg_signature" => &mut signature,
                "timestamp" => &mut timestamp,
                "nonce" => &mut nonce,
                "echostr" => &mut echostr,
                _ => continue,
            };
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| RejectedEvent::new("a parameter is not UTF-8"))?;
            if slot.replace(value.into_owned()).is_some() {
                return Err(RejectedEvent::new("a parameter occurs twice"));
            }
        }
        match (signature, timestamp, nonce) {
            (Some(msg_signature), Some(timestamp), Some(nonce)) => {
                Ok(Self { msg_signature, timestamp, nonce, echostr })
            }
            _ => Err(RejectedEvent::new("a parameter is missing")),
        }
    }
}

#[cfg(test)]
mod tests;
