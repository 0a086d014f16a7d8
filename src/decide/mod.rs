//! The decision core: plain data in, one [`Decision`] out.
//!
//! `proxy` turns a request into a [`Request`], [`decide()`] returns what to do, and `proxy` does it: nothing else in the gate
//! decides who gets through. An ordinary signed-in request allocates nothing here.
//!
//! Must never: do I/O, know Pingora, read a clock, or look at anything that is not an argument.

pub mod address;
pub mod application;
pub mod browser;
pub mod client;
mod client_file;
mod decision;
pub mod host;
mod own;
mod page_load;
mod password;
pub mod path;
mod policy;
pub mod query;
pub mod rules;
pub mod target;

pub use client::Caller;
pub use client_file::{ClientFile, FileKind, Naming, client_file};
pub use decision::{
    Decision, ForwardOptions, Identity, LoginKind, Page, allowed, decide, is_for_a_person, is_verify_file,
    needs_session, stops_for_maintenance,
};
pub use own::{ANY as ANY_METHOD, ConsolePage, OwnPath, own_path};
pub use page_load::{is_frame, is_page_load, takes_page};
pub use password::form_address;
pub use policy::{Browsers, ClientPaths, Credential, Policy, Request, SessionState};
