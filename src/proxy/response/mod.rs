//! The gate's own responses: what they look like, and the one way in which they are written to a connection.
//!
//! `failure` turns a `Failure` into a page or JSON and a log line, `pages` renders the gate's pages, `links` builds every
//! address that leads to signing in, `language` chooses the language, `reply` writes.
//!
//! Must never: read or change anything of a response from NocoBase; that is `forward`.

pub(super) mod failure;
pub(super) mod language;
pub(super) mod links;
pub(super) mod pages;
pub(super) mod reply;
