//! NocoBase as the gate uses it: its public API with a service account, its tokens, its pages (where the
//! script goes in) and its WebSocket (where the token is swapped).
//!
//! Must never: let a token of NocoBase reach a log or, in sealed delivery, a browser.
