//! One sign-in from its start to the session: uses `wecom`, `nocobase` and `session`, knows no Pingora.
//!
//! Must never: spend a code before the state is checked, or hand out a session that is not registered.
