//! WeCom's receive-message callback: what comes in on `/wecom-gate/events/<name>` (section 12 of the
//! reference; docs 90930, 90968, 90240, 90970). Pure: bytes and a time in, an [`Event`] out.
//!
//! The signature is checked before anything is decrypted, and every failure looks the same from outside: the
//! cipher is WeCom's AES-CBC, which would be a padding oracle otherwise (R12).

mod crypto;
mod message;
mod xml;

use std::fmt;

use percent_encoding::percent_decode_str;

use super::member::is_userid;
use crate::config::EventKeys;
use crate::error::Failure;
use crypto::Keys;
pub use message::Event;

/// Longest body of a callback, in bytes.
pub const LARGEST_BODY: usize = 64 * 1024;
/// How far WeCom's timestamp may be from ours, in seconds, either way.
const WINDOW: u64 = 10 * 60;

/// Opens what WeCom sends to one app.
pub struct Receiver {
    corp_id: String,
    keys: Keys,
}

/// An event, and what tells it from a repetition: WeCom sends one up to three times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub event: Event,
    /// Sender, time and kind: equal for repetitions.
    pub key: String,
}

/// `event_aes_key` is not 43 characters of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event_aes_key must be 43 letters and digits")]
pub struct BadAesKey;

/// Not WeCom's, or broken. The reason is for the log; whoever sent it always gets the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    reason: &'static str,
}

impl Refused {
    const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
    /// The one answer to every failure (R12).
    pub fn failure(&self) -> Failure {
        Failure::BadRequest
    }
    /// For the log only.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}
impl std::error::Error for Refused {}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("corp_id", &self.corp_id).finish_non_exhaustive()
    }
}

impl Receiver {
    /// # Errors
    /// The AES key is not one.
    pub fn new(corp_id: &str, keys: &EventKeys) -> Result<Self, BadAesKey> {
        Ok(Self { corp_id: corp_id.to_owned(), keys: Keys::new(keys)? })
    }

    /// The GET with which WeCom proves the address: gives the text to answer with, nothing around it, within
    /// one second. `query` as it came, `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify_address(&self, query: &str, now: u64) -> Result<Vec<u8>, Refused> {
        let query = Query::parse(query)?;
        let echo = query.echostr.as_deref().ok_or(Refused::new("no echostr"))?;
        self.open(&query, echo, now)
    }

    /// A POSTed event, XML or JSON. To be answered 200 within five seconds, whatever becomes of it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn receive(&self, query: &str, body: &[u8], now: u64) -> Result<Notice, Refused> {
        if body.len() > LARGEST_BODY {
            return Err(Refused::new("body too large"));
        }
        let query = Query::parse(query)?;
        let encrypted = message::encrypted(body)?;
        let plain = self.open(&query, &encrypted, now)?;
        message::notice(&plain)
    }

    /// Signature, then time, then decryption, then addressee.
    fn open(&self, query: &Query, encrypted: &str, now: u64) -> Result<Vec<u8>, Refused> {
        self.keys.check_signature(&query.msg_signature, &query.timestamp, &query.nonce, encrypted)?;
        let sent: u64 = query.timestamp.parse().map_err(|_| Refused::new("timestamp is no number"))?;
        if sent.abs_diff(now) > WINDOW {
            return Err(Refused::new("timestamp too far from now: an old request, or a wrong clock"));
        }
        let (message, receiver) = self.keys.decrypt(encrypted)?;
        if receiver != self.corp_id.as_bytes() {
            return Err(Refused::new("meant for another company"));
        }
        Ok(message)
    }
}

/// The parameters, percent-decoded once; `+` stays `+` (it is base64 here, not a form).
struct Query {
    msg_signature: String,
    timestamp: String,
    nonce: String,
    echostr: Option<String>,
}

impl Query {
    fn parse(query: &str) -> Result<Self, Refused> {
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
                .map_err(|_| Refused::new("a parameter is not UTF-8"))?;
            if slot.replace(value.into_owned()).is_some() {
                return Err(Refused::new("a parameter comes twice"));
            }
        }
        match (signature, timestamp, nonce) {
            (Some(msg_signature), Some(timestamp), Some(nonce)) => {
                Ok(Self { msg_signature, timestamp, nonce, echostr })
            }
            _ => Err(Refused::new("a parameter is missing")),
        }
    }
}

#[cfg(test)]
mod tests;
