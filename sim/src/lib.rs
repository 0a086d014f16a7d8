//! The WeCom simulator: the calls, responses, errors and limits of WeCom's API, and the pages of its client and QR
//! login, for tests and the demo.
//!
//! - `data`, `range`: companies, apps, members; who can see what
//! - `api`: `/cgi-bin/…`
//! - `pages`: the client, the consent page, the QR page
//! - `handle`, `control`: what tests may do, in Rust and over HTTP (`/sim/…`)
//! - `server`, `net`, `responses`: the HTTP server
//! - `program`: how `wecom-sim` and the demo parse their arguments and end
//! - `state`, `error`: its state; its errors
//! - `fault`, `limit`, `settings`: deliberate faults, rate limits, settings
//! - `event`: callbacks to the app
//!
//! It shares no code with the gate, so that a mistake in the gate is not repeated here.
//!
//! Must never: be part of a deployment.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod api;
mod control;
mod data;
mod error;
mod event;
mod fail;
mod fault;
mod handle;
mod limit;
mod net;
mod pages;
mod program;
mod range;
mod responses;
mod server;
mod settings;
mod state;
#[cfg(test)]
mod tests;

pub use data::{App, Company, Data, DataError, Department, External, Member, SENSITIVE, Tag, Visible};
pub use error::SimError;
pub use event::{Delivery, Event, Forgery, seal, sign};
pub use fault::{CannedResponse, Fault, FaultKind};
pub use handle::{CodeRequest, Handle};
pub use program::program;
pub use server::{Options, Running, Simulator};
pub use settings::{Consent, RateLimits, Refusal, Settings};
pub use state::{Calls, LogLine};
