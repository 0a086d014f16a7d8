//! Sessions and flows as the browser carries them: sealed cookies, the phantom, the `Cookie` header's
//! stripping and filling, and what this node has seen of each session.
//!
//! Must never: talk to a network, or put a token of NocoBase or WeCom into a cookie.
