//! `[log]`, `[cache]` and `[limits]`.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::super::raw;
use super::super::report::Report;
use super::super::types::{Cache, Limits, Log};
use super::values::{self, SECOND};

/// A smaller cache cannot hold even one version of NocoBase's files.
const MIN_CACHE: u64 = 16 << 20;

pub(super) fn log(raw: raw::Log, report: &mut Report) -> Option<Log> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A single word that is not a level would be read as the name of a module.
    let word = raw.level.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let fits = if word {
        LEVELS.iter().any(|l| l.eq_ignore_ascii_case(&raw.level))
    } else {
        // A directive that begins with a blank and contains a multi-byte character makes its parser panic.
        raw.level.is_ascii() && EnvFilter::try_new(&raw.level).is_ok()
    };
    if !fits {
        let remedy =
            "use error, warn, info, debug or trace, or directives such as \"info,wecom_gate::login=debug\"";
        report.bad("log.level", &raw.level, "is not a level", remedy);
    }
    let audit_file = (!raw.audit_file.trim().is_empty()).then(|| PathBuf::from(raw.audit_file));
    fits.then_some(Log { format: raw.format, level: raw.level, access_log: raw.access_log, audit_file })
}

pub(super) fn cache(raw: &raw::Cache, report: &mut Report) -> Option<Cache> {
    let memory = values::size("cache.memory", &raw.memory, report)?;
    if (1..MIN_CACHE).contains(&memory) {
        report
            .warn("cache.memory", "is too small for NocoBase's files: use 128MiB or more, \"0\" keeps none");
    }
    Some(Cache { memory })
}

pub(super) fn limits(raw: raw::Limits, report: &mut Report) -> Option<Limits> {
    let header_bytes = values::size("limits.header_bytes", &raw.header_bytes, report);
    if header_bytes.is_some_and(|n| !(4096..=1024 * 1024).contains(&n)) {
        report.error("limits.header_bytes", "is out of range", "give 4KiB to 1MiB");
    }
    let body_bytes = values::size("limits.body_bytes", &raw.body_bytes, report);
    if raw.connections == 0 {
        report.bad("limits.connections", "0", "lets no one in", "give 1 or more");
    }
    if raw.sign_ins_at_once == 0 {
        report.bad("limits.sign_ins_at_once", "0", "lets no one sign in", "give 1 or more");
    }
    let head = values::duration("limits.head_timeout", &raw.head_timeout, SECOND, 3600 * SECOND, report);
    let keepalive =
        values::duration("limits.keepalive_timeout", &raw.keepalive_timeout, SECOND, 3600 * SECOND, report);
    let body = values::duration("limits.body_timeout", &raw.body_timeout, SECOND, 3600 * SECOND, report);
    Some(Limits {
        header_bytes: usize::try_from(header_bytes?).ok()?,
        body_bytes: body_bytes.map(|n| (n > 0).then_some(n))?,
        connections: usize::try_from(raw.connections).ok()?,
        head_timeout: head?,
        keepalive_timeout: keepalive?,
        body_timeout: body?,
        sign_ins_per_minute: raw.sign_ins_per_minute,
        bad_callbacks_per_minute: raw.bad_callbacks_per_minute,
        sign_ins_at_once: usize::try_from(raw.sign_ins_at_once).ok()?,
    })
}
