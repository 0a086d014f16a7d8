//! A sign-in from its start to the session ([`SignIns`]), and a session from then to its end ([`Sessions`]). Uses `wecom`,
//! `nocobase`, `shared` and `session`; does not know Pingora.
//!
//! Must never: use a code before the state is checked, or hand out a session that is not registered.

mod account;
mod admins;
mod blocks;
mod breaker;
mod callback_query;
mod clock;
mod department_rechecks;
mod event_arrivals;
mod events;
mod finish;
mod finished;
mod first_sight;
mod from_shell;
mod known_admins;
mod link;
mod link_offer;
mod member_lists;
mod member_rechecks;
mod members;
mod nodes;
mod open_streams;
mod other_applications;
mod password_sessions;
mod profile;
mod recheck_queue;
mod records;
mod roles;
mod seen_events;
mod session_end;
mod session_tokens;
mod sessions;
mod sign_in;
mod sign_ins;
mod start;
#[cfg(test)]
mod test_gate;
mod throttle;
mod token_policy;
mod token_policy_reader;

pub(crate) use account::person;
pub(crate) use admins::log_console;
pub(crate) use clock::now;
pub(crate) use finish::{Callback, CallbackResponse, Retry};
pub(crate) use from_shell::By;
pub(crate) use link::LinkForm;
pub(crate) use other_applications::OtherApplication;
pub(crate) use password_sessions::FoundPasswordSession;
pub(crate) use sessions::{FoundSession, Sessions};
pub(crate) use sign_ins::SignIns;
pub(crate) use start::Start;
