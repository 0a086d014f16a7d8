//! Sessions and flows as the browser carries them: sealed cookies, the phantom, the `Cookie` header's
//! stripping and filling, and what this node has seen of each session.
//!
//! Must never: talk to a network, read a clock (`now` is an argument, see [`UnixMillis`]), or put a token of
//! NocoBase or WeCom into a cookie.

pub mod cookies;
pub mod flow;
pub mod forward;
pub mod memo;
pub mod phantom;
pub mod random;
pub mod record;
pub mod seal;
pub mod seen;
pub mod time;

pub use cookies::{LANGUAGE, Names, OwnCookies, first_cookie};
pub use flow::{Flow, Flows, Stage, Via, Wish};
pub use forward::forwardable;
pub use memo::{Callback, Callbacks, Outcome, Refused};
pub use phantom::Phantom;
pub use record::{Limits, Member, Session, SessionCookies, State};
pub use seal::{Keyring, KeyringError, Purpose};
pub use seen::{Recheck, Seen, SeenSessions, Standing, Token};
pub use time::UnixMillis;
