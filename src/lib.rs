//! `wecom-gate`: a reverse proxy that signs WeCom members in to NocoBase.
//!
//! Dependencies point one way: `main -> server -> proxy -> login -> {wecom, nocobase, session} -> config`.
//! `decide` and `pages` import none of them: they take plain data and return plain data.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod acme;
pub mod admin;
pub mod audit;
mod certificate;
pub mod check;
pub mod config;
pub mod decide;
pub mod error;
pub mod init;
mod login;
pub mod message;
pub mod metrics;
pub mod nocobase;
pub mod ops;
pub mod pages;
pub mod proxy;
pub mod server;
pub mod session;
pub mod shared;
pub mod wecom;
