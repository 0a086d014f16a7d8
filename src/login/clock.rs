//! The only clock of the sign-in code: decisions take the time as an argument, and it is read here.

use std::time::SystemTime;

use crate::session::UnixMillis;

/// Now, by this machine's clock.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}
