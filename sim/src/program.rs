//! Shared by this workspace's programs: arguments, exit codes, how an error is shown.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

/// Runs a program with its arguments. Exit codes: 0 success or help, 1 failed, 64 wrong usage.
pub async fn program<A: Parser, E: Display>(
    name: &str,
    run: impl AsyncFnOnce(A) -> Result<(), E>,
) -> ExitCode {
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(io::stderr(), "{name}: {e}");
            ExitCode::FAILURE
        }
    }
}
