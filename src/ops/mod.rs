//! For the operator: logs, metrics, probes. `server` passes in the state of the running gate.
//!
//! Must never: be reachable on the public listener, show a secret, or import `proxy` or anything below it.

mod json_line;
mod listener;
pub mod logging;
mod ready;

pub(crate) use listener::serve;
pub(crate) use ready::{Degraded, Status};
