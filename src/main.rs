//! The command line: parse, load, run. The commands themselves are in the library.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod cli;

use std::ffi::OsString;
use std::process::ExitCode;

#[global_allocator]
static ALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // First of all: all TLS uses ring, so no other provider may be installed before.
    pingora_rustls::install_default_crypto_provider();
    cli::main(std::env::args_os(), environment())
}

/// The environment as text. A variable that is not UTF-8 gets a replacement character, which the configuration refuses.
fn environment() -> Vec<(String, String)> {
    let text = |s: OsString| s.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}
