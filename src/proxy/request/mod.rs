//! What the client sent, read into plain facts.
//!
//! `client` says who is at the other end, `framing` refuses messages that two servers could read differently, `target`
//! makes the path canonical, `credential` reads tokens, `facts` collects all of it for `decide`, `request_id` makes ids.
//!
//! Must never: decide who gets in, or respond.

pub mod client;
pub mod credential;
pub mod facts;
pub mod framing;
pub mod request_id;
pub mod target;
