//! WeCom's API: access token, who a code belongs to, members, departments, tags, addresses of the OAuth
//! pages, and the receive-message callback.
//!
//! Must never: log a secret, a token, a code or a ticket; retry without a bound; treat `errcode` 0 as a login.

mod address;
mod answer;
mod call;
mod client;
mod error;
pub mod event;
mod member;
mod redact;
mod rules;
#[cfg(test)]
mod scripted;
mod token;
mod transport;

pub use address::Scope;
pub use client::Client;
pub use error::{Call, Class, WeComError};
pub use member::{Agent, Details, Identity, Member, Standing, same_userid};
