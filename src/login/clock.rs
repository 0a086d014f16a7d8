//! The one clock of signing in. Decisions take the time as an argument; it is read here.

use std::time::SystemTime;

use crate::session::UnixMillis;

/// Now, by this machine's clock.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}
