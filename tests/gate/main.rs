//! The gate from the outside: the real binary between the WeCom simulator and a stand-in for NocoBase.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]
#![allow(missing_docs)]

mod acme;
mod admin;
mod appearance;
mod applications;
mod attacks;
mod audit;
mod certificates;
mod check;
mod console;
mod crowd;
mod distance;
mod entries;
mod event_streams;
mod events;
mod forward_auth;
mod hanging;
mod init;
mod languages;
mod link;
mod login;
mod maintenance;
mod memory;
mod nodes;
mod numbers;
mod profile;
mod prometheus;
mod proxying;
mod redis;
mod reload;
mod roles;
mod session;
mod sign_in_log;
#[allow(dead_code, unreachable_pub)]
mod support;
mod tabs;
mod token_policy;
mod trouble;
mod upgrade;
mod uploads;
mod verify_files;
mod versions;
mod workload;
