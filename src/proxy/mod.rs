//! Pingora's phases, each a short file that asks `decide` and does what it says.
//!
//! A request goes through `guard` (time limits and a cap on connections), `framing` (is this a message that everybody
//! reads alike?), `admit` (reads cookies and credentials, lets `decide` decide), then either `own` and `reply` (the
//! gate answers) or `request_to_upstream` and `answers` (NocoBase answers), and ends in `access_log` and
//! `counts`.
//!
//! Must never: decide by itself who gets in, or set a protected header outside `headers`.

mod access_log;
mod admit;
mod answers;
mod counts;
mod ctx;
mod forward_auth;
mod frames;
mod framing;
mod gate;
mod guard;
mod headers;
mod own;
mod phases;
mod reload;
mod reply;
mod request_id;
mod request_to_upstream;
mod serve;
mod sockets;
mod tls;
mod tunnel;
mod upgrade;
pub mod upstream;

pub use gate::{Gate, Live};
pub use serve::{Reread, Running, StartError, run, start};
