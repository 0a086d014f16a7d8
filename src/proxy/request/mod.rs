//! What the client sent, parsed into plain facts.
//!
//! `client` determines the client's address, `framing` refuses messages that two servers could read differently, `target` makes
//! the path canonical, `credential` reads tokens, `facts` collects everything for `decide`, `request_id` creates ids.
//!
//! Must never: decide who gets in, or respond.

pub(super) mod client;
pub(super) mod credential;
pub(super) mod facts;
pub(super) mod framing;
pub(super) mod request_id;
pub(super) mod target;
