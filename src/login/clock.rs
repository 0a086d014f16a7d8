//! The one clock of signing in. What decides takes the time as an argument; this is where it comes from.

use std::time::SystemTime;

use crate::session::UnixMillis;

/// Now, by this machine's clock.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}
