//! No file descriptor is left: the peer is not to blame.

use std::error::Error;
use std::io;

/// This process, or the whole system, has no descriptor left (EMFILE, ENFILE; the same numbers on every Linux).
const ERRNOS: [i32; 2] = [24, 23];

/// Is this the cause of the error?
pub(crate) fn is_out_of_files(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let of_io = error.downcast_ref::<io::Error>();
        if of_io.and_then(io::Error::raw_os_error).is_some_and(|code| ERRNOS.contains(&code)) {
            return true;
        }
        // Its `source` is the source of the error that it wraps.
        cause = match of_io.and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_below() {
        let none_left = io::Error::from_raw_os_error(24);
        assert!(is_out_of_files(&none_left));
        assert!(is_out_of_files(&io::Error::other(io::Error::other(none_left))));
        assert!(!is_out_of_files(&io::Error::from_raw_os_error(111)));
    }
}
