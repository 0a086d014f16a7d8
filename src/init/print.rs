//! What is printed.

use std::io::{self, Write as _};

use super::error::InitError;

/// Prints a line.
pub(super) fn print_line(text: &str) -> Result<(), InitError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
