//! Sessions and flows as the browser carries them: sealed cookies, the phantom, the `Cookie` header's
//! stripping and filling, and what this node has seen of each session.
//!
//! Must never: talk to a network, read a clock (`now` is an argument, see [`UnixMillis`]), or put a token of
//! NocoBase or WeCom into a cookie.

pub(crate) mod callback_dedup;
pub(crate) mod cookie_header;
pub(crate) mod cookies;
pub mod flow;
mod member_check;
mod open_sessions;
pub(crate) mod open_streams;
pub(crate) mod phantom;
pub(crate) mod random;
pub mod seal;
#[expect(
    clippy::module_inception,
    reason = "the folder holds all that belongs to a session, the file the session"
)]
pub(crate) mod session;
pub(crate) mod session_cache;
pub(crate) mod time;

pub use callback_dedup::{Callback, CallbackDedup, Refused};
pub use cookie_header::forwardable;
pub use cookies::{LANGUAGE, Names, OwnCookies, first_cookie};
pub use flow::{PendingSignIn, PendingSignIns, SignInRequest, Stage, Via};
pub use member_check::MemberRecheck;
pub use open_sessions::Attached;
pub use open_streams::OpenStream;
pub use phantom::Phantom;
pub use seal::{Keyring, KeyringError, Purpose};
pub use session::{Company, Member, Session, SessionCookies, SessionLimits, SessionValidity};
pub use session_cache::{CachedSession, REMINT_AFTER, Recheck, SessionCache, SessionStatus, Token};
pub use time::UnixMillis;
