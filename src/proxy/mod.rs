//! One request, from its first byte to its log line. Read from top to bottom:
//!
//! `phases` are Pingora's hooks, which call the others. `connection` guards the socket, `request` parses what the client sent,
//! `admission` asks `decide` and acts on the decision. Then either `routes` and `response` (the gate responds), `assets` (a
//! cached file of NocoBase's client), or `forward`, `rewrite` and `upstream` (NocoBase responds), and at the end `access_log` and
//! `request_metrics`.
//!
//! Must never: decide by itself who gets in, set a protected header outside `headers`, or know how the process starts.

mod access_log;
mod address;
mod admission;
mod applications;
mod assets;
mod coded_script;
mod coding;
pub(crate) mod connection;
mod context;
mod forward;
mod gate;
mod headers;
pub(crate) mod lost_peers;
pub(crate) mod maintenance;
mod member;
mod password;
mod patience;
mod phases;
mod request;
mod request_metrics;
mod response;
pub mod rewrite;
mod routes;
mod shares;
#[cfg(test)]
mod test_gate;
pub(crate) mod upstream;

pub(crate) use gate::{CurrentGate, Gate};
pub(crate) use phases::Phases;
