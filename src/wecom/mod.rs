//! WeCom's API: access token, whom a code belongs to, members, departments, tags, addresses of the OAuth pages, and the
//! receive-message callback.
//!
//! Must never: log a secret, a token, a code or a ticket; retry without limit; treat `errcode` 0 as a sign-in.

mod address;
mod api;
mod client;
mod error;
pub mod event;
mod member;
mod member_list;
mod redact;
mod responses;
mod rules;
#[cfg(test)]
mod test_simulator;
mod token;
mod transport;

pub(crate) use address::Scope;
pub(crate) use client::Client;
pub(crate) use error::{Call, Class, WeComError};
pub(crate) use member::{Agent, Department, Details, Identity, Member, MemberStatus};
pub(crate) use member_list::MemberList;
