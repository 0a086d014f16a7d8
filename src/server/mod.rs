//! A process: it starts, listens, reloads its configuration, hands its sockets over, and stops.
//!
//! `run` is the whole life of a process in one function; `start` builds it and `reload` changes it; `listeners` binds sockets or
//! takes them over, `certificates` reads and watches TLS files, `acme` orders one in time, `upgrade` starts the next program,
//! `systemd` reports to the service manager, `status` is what operators see.
//!
//! Must never: look at a request, or decide anything about one.

mod acme;
mod certificates;
mod descriptors;
mod drain;
mod error;
mod listeners;
mod maintenance;
mod probe;
mod reload;
mod run;
mod start;
mod status;
mod systemd;
mod tickets;
mod upgrade;

pub use error::StartError;
pub use reload::Reread;
pub use run::run;
pub use start::{Running, start};
