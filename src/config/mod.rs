//! Configuration: the types of the TOML file, how it is loaded (file, environment, `<key>_file`) and how
//! it is validated. All errors are reported at once, each with its key and its remedy.
//!
//! Must never: print a secret, or read the configuration of anything but this process.

mod types;

pub use types::*;
