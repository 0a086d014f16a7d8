//! The gate's own responses: what they look like, and the only code that writes them to a connection.
//!
//! `failure` turns a `Failure` into a page or JSON and a log line, `pages` renders the gate's pages, `links` builds every sign-in
//! link, `language` chooses the language, `reply` writes.
//!
//! Must never: read or change anything in a response from NocoBase; that is `forward`'s task.

pub(super) mod failure;
pub(super) mod language;
pub(super) mod links;
pub(super) mod pages;
pub(super) mod reply;
