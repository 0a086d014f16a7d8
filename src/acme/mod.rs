//! Certificates by ACME (RFC 8555): an account at an authority, and one order at a time, validated by HTTP-01 or TLS-ALPN-01.
//!
//! - `order`: from an account to a certificate in its file; uses `account`, `http` and `files`
//! - `nodes`: one of several nodes orders, and the others take the certificate over
//! - `challenges`: what the authority requests during an order; `proxy` and the TLS listeners respond with it
//! - `schedule`: when to renew a certificate, and how long to wait after a failure (pure)
//! - `renewal_info`: when the authority suggests a renewal
//! - `state`: what the rest of the gate sees of it
//!
//! Must never: put a key into an error or a log line, or leave a file that others can read.

mod account;
mod challenges;
mod clock;
mod error;
mod files;
mod http;
mod nodes;
mod order;
mod renewal_info;
mod schedule;
mod state;

pub(crate) use challenges::{Challenges, PROTOCOL};
pub(crate) use clock::now;
pub(crate) use nodes::{Obtained, obtain, take_newer};
pub(crate) use order::Proof;
pub(crate) use renewal_info::suggested;
pub(crate) use schedule::{is_due, pause};
pub(crate) use state::State;
