//! `wecom-gate init`: from nothing to a gate that is ready to start. Asks what it cannot know, tries each answer against the real
//! services with the steps of `check`, creates what is missing, and prints what remains to be done in WeCom's console.
//!
//! - `run`: the order of everything; `given`: flags and environment
//! - `interview`: the questions; `ask`: the terminal; `print`, `texts`: what is printed, in two languages
//! - `answers`: the answers so far, and a configuration for trying them
//! - `finder`: NocoBase's secret, if NocoBase is on this machine
//! - `account`: role and user of the gate in NocoBase; `paths`, `files`: folder, secrets, modes; `document`: the TOML file
//! - `plan`: pure: current and wanted state in, a list of actions out
//! - `console`: what to do in WeCom's console
//!
//! A second run repairs what the first one left incomplete, or what has been damaged since: the plan compares, and each action
//! leaves either the old or the new state behind.
//!
//! Must never: store the account of NocoBase's administrator, print a secret, or overwrite a session key.

mod account;
mod answers;
mod ask;
mod console;
mod document;
mod error;
mod files;
mod finder;
mod given;
mod interview;
mod paths;
mod plan;
mod print;
mod run;
mod texts;

pub use error::InitError;
pub use files::new_session_key;
pub use given::Given;
pub use run::run;
