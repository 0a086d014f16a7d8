//! `wecom-gate check`: tries every step of the setup against the real services, and says what to do if one fails; and prints the
//! links to paste into WeCom's console. `docs/check.md` describes each step.
//!
//! - `report`: the result as plain data; `printer`: the same for people; `links`: for WeCom's console
//! - `steps`: the steps and their names; `run`: their order
//! - `http`: one request with limits; `clock`, `files`, `tls`, `acme`, `origin`, `private`, `wecom`, `nocobase`, `rights`, `users`,
//!   `member`, `redis`: the calls to each service, and separately the verdicts, which are pure: plain responses in, a [`Verdict`]
//!   out
//!
//! Must never: change anything anywhere (except for a probe in Redis, which is deleted at once), or show a secret.

mod acme;
mod clock;
mod files;
mod http;
mod links;
mod member;
mod nocobase;
mod origin;
mod printer;
mod private;
mod redis;
mod report;
mod rights;
mod run;
mod steps;
mod tls;
mod users;
mod wecom;

pub(crate) use links::Links;
pub use printer::Printer;
pub(crate) use report::StepOutcome;
pub use report::{Report, Step, Verdict};
pub use run::{Options, run};
pub use steps::Id;
