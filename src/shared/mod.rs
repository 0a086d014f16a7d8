//! What the nodes of one gate share through Redis (`session.redis`): WeCom's access token, used callbacks, members who may still
//! use the app, sessions that NocoBase has confirmed and that have ended, refused sign-ins, when sessions were last used, attempts
//! to link an account, and a TLS certificate. Without Redis, and while it is unreachable, each node works on its own.
//!
//! - `names`: the keys in Redis; `payload`: their values, sealed; `outbox`: what is still to be published. All pure.
//! - `link`: the connection and its state; `probe`: whether Redis supports everything needed; `node`: this node's part;
//!   `endings`, `token`, `callback`, `member_status`, `session_status` (with `warm_up`), `refusals`, `last_use`, `link_attempts`,
//!   `acme`: one shared thing each.
//!
//! Someone who can read Redis learns no token and no session. Someone who can write to it can make the nodes forget, but not
//! accept anything: a value that was not sealed with `session.keys` is ignored.
//!
//! Must never: make a request of a session that this node knows wait, delay a sign-in for longer than a second, or store anything
//! that tells something, or is believed, without sealing it.

mod acme;
mod callback;
mod endings;
mod error;
mod last_use;
mod ledger;
mod link;
mod link_attempts;
mod member_status;
mod names;
mod node;
mod outbox;
mod payload;
mod probe;
mod refusals;
mod session_status;
mod token;
mod warm_up;

pub(crate) use acme::{AcmeOrder, OrderTurn};
pub(crate) use callback::{CallbackId, Claim};
pub(crate) use error::RedisError;
pub(crate) use last_use::SharedUse;
pub(crate) use link_attempts::LinkTurn;
pub(crate) use member_status::{Confirmed, MemberKey, RecheckTurn, Wanted};
pub(crate) use node::Shared;
pub use payload::{BlockOwner, Change, Ending, ToBlock};
pub(crate) use probe::{ProbeResult, probe};
pub(crate) use refusals::SharedRefusal;
pub(crate) use session_status::{SessionLease, SessionTurn};
pub(crate) use token::{App, SharedToken, Token};
