//! What the nodes of one gate share through Redis (`session.redis`): WeCom's access token, which callbacks have been
//! used, and which sessions have ended. Without it each node goes on by itself, and so it does while Redis is away.
//!
//! - `names`: the keys in Redis; `payload`: what is in them, sealed; `outbox`: what is still to be told. All pure.
//! - `link`: the connection, and whether there is one; `probe`: whether it does all that is needed; `endings`, `token`, `callback`: one thing shared each.
//!
//! Whoever can read Redis learns no token and no session; whoever can write there can make the nodes forget, but not
//! believe (a value that was not sealed with `session.keys` is ignored).
//!
//! Must never: be waited for by a signed-in request, hold up a sign-in for longer than a second, or put anything into
//! Redis that is not sealed.

mod callback;
mod endings;
mod error;
mod ledger;
mod link;
mod names;
mod node;
mod outbox;
mod payload;
mod probe;
mod token;

pub use callback::{CallbackId, Claim};
pub(crate) use error::RedisError;
pub use node::Shared;
pub use payload::Ending;
pub(crate) use probe::{ProbeResult, probe};
pub use token::{App, SharedToken, Token};
