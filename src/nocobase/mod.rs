//! NocoBase as the gate uses it: its public API with a service account, and its tokens.
//!
//! Must never: let a NocoBase token reach a log or, in sealed delivery, a browser.

pub(crate) mod about;
pub(crate) mod accounts;
pub(crate) mod client;
pub(crate) mod concurrency;
mod crypto;
pub(crate) mod error_body;
pub(crate) mod page_settings;
pub(crate) mod phone;
pub(crate) mod records;
pub(crate) mod roles;
#[cfg(test)]
pub(crate) mod test_client;
pub(crate) mod token;
mod user_id;
pub(crate) mod versions;

pub use about::About;
pub(crate) use accounts::{Accounts, Person, Preview};
pub(crate) use client::{CheckOutcome, NocoBase, OwnSession, PasswordAnswer, PasswordLogin};
pub(crate) use concurrency::{Class, Concurrency, NoPlace, NodeLimiter, Permit, Turn, Who};
pub(crate) use page_settings::PageSettings;
pub use token::{Minted, Minter, TokenError, Verified};
pub use user_id::UserId;
