//! NocoBase as the gate uses it: its public API with a service account, and its tokens.
//!
//! Must never: let a token of NocoBase reach a log or, in sealed delivery, a browser.

pub mod about;
pub mod accounts;
pub mod client;
mod crypto;
pub mod error_body;
pub mod page_settings;
pub mod phone;
pub mod roles;
#[cfg(test)]
mod test_client;
pub mod token;
mod user_id;
pub mod versions;

pub use about::About;
pub use accounts::{Accounts, Person, Preview};
pub use client::{CheckOutcome, NocoBase};
pub use page_settings::PageSettings;
pub use token::{Minted, Minter, TokenError, Verified};
pub use user_id::UserId;
