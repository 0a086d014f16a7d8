//! Sessions and flows as the browser holds them: sealed cookies, the phantom, the filtered `Cookie` header, and what this node
//! knows of each session.
//!
//! Must never: use the network, read a clock (`now` is an argument, see [`UnixMillis`]), or put a token of NocoBase or WeCom into
//! a cookie.

pub(crate) mod callback_dedup;
pub(crate) mod cookie_header;
pub(crate) mod cookies;
pub(crate) mod flow;
mod member_check;
mod open_sessions;
pub(crate) mod open_streams;
mod password_session;
mod pending_link;
pub(crate) mod phantom;
pub(crate) mod random;
pub(crate) mod seal;
#[expect(
    clippy::module_inception,
    reason = "the folder holds all that belongs to a session, the file the session"
)]
pub(crate) mod session;
pub(crate) mod session_cache;
pub(crate) mod time;
mod token;

pub use callback_dedup::{Callback, CallbackDedup, CallbackRefused};
pub use cookie_header::forwardable;
pub use cookies::{Names, OwnCookies};
pub use flow::{Begun, PendingSignIn, PendingSignIns, SignInRequest, Stage, Via, attempt_of};
pub use password_session::{PasswordSession, PasswordSignIn};
pub use phantom::Phantom;
pub use seal::{Keyring, KeyringError, Purpose};
pub use session::{Company, Member, Session, SessionCookies, SessionLimits};
pub use session_cache::{CachedSession, Recheck, SessionCache};
pub use time::UnixMillis;
pub use token::{Token, TokenCookies};

pub(crate) use cookies::{LANGUAGE, first_cookie};
pub(crate) use member_check::{Events, MemberRecheck};
pub(crate) use open_sessions::Attached;
pub(crate) use open_streams::OpenStream;
pub(crate) use pending_link::{PendingLink, PendingLinks};
pub(crate) use session::SessionValidity;
pub(crate) use session_cache::SessionStatus;
pub(crate) use time::CLOCK_SKEW;
pub(crate) use token::REMINT_AFTER;
