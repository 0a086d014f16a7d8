//! For the operator: logs, metrics, probes.
//!
//! Must never: be reachable on the public listener, or show a secret.

mod json_line;
mod listener;
pub mod logging;
mod ready;

pub use listener::serve;
