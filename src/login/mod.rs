//! One sign-in from its start to the session ([`SignIns`]), and a session from then to its end ([`Sessions`]): uses
//! `wecom`, `nocobase`, `shared` and `session`, knows no Pingora.
//!
//! Must never: spend a code before the state is checked, or hand out a session that is not registered.

mod account;
mod callback_query;
mod clock;
mod events;
mod finish;
mod finished;
mod nodes;
mod roles;
mod session_end;
mod sessions;
mod sign_in;
mod sign_ins;
mod start;
mod throttle;

pub(crate) use account::person;
pub use clock::now;
pub use finish::{Callback, CallbackResponse, Retry};
pub use sessions::{FoundSession, Sessions};
pub use sign_ins::{CALLBACK, SignIns};
pub use start::{Start, Started};
pub use throttle::Throttle;
