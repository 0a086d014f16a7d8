//! `[session]`: keys, the cookie's name, how long a session lasts.

use super::super::raw;
use super::super::report::Report;
use super::super::types::Session;
use super::values::{self, DAY, SECOND};
use super::{redis, secrets};

pub(super) fn session(raw: raw::Session, report: &mut Report) -> Option<Session> {
    let keys = secrets::keys(&raw.keys, &raw.keys_file, report);
    let redis = redis::redis(&raw.redis, &raw.redis_file, report);
    let cookie_name = cookie_name(raw.cookie_name, report);
    let year = 366 * DAY;
    let idle = values::duration("session.idle", &raw.idle, 60 * SECOND, year, report);
    let absolute = values::duration("session.absolute", &raw.absolute, 60 * SECOND, year, report);
    let recheck = values::duration("session.recheck", &raw.recheck, 10 * SECOND, DAY, report);
    let with_events = match (raw.recheck_with_events.is_empty(), recheck) {
        (false, Some(recheck)) => {
            values::duration("session.recheck_with_events", &raw.recheck_with_events, recheck, DAY, report)
                .map(Some)
        }
        _ => Some(None),
    };
    if let (Some(idle), Some(absolute)) = (idle, absolute) {
        if idle > absolute {
            let problem = "is longer than session.absolute";
            report.bad("session.idle", &raw.idle, problem, "make it the same or shorter");
        }
        if absolute > 7 * DAY {
            report
                .warn("session.absolute", "is longer than 7 days: a stolen device stays signed in that long");
        }
    }
    Some(Session {
        keys: keys?,
        cookie_name: cookie_name?,
        idle: idle?,
        absolute: absolute?,
        recheck: recheck?,
        recheck_with_events: with_events?,
        redis: redis.ok()?,
    })
}

/// A name that cannot be one of another gate's cookies: `wecom_gate_out` is the second cookie of `wecom_gate`, so it must not be
/// the first cookie of another gate.
fn cookie_name(name: String, report: &mut Report) -> Option<String> {
    const MAX_LENGTH: usize = 40;
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let reserved = ["_out", "_tries", "_lang", "_"].iter().any(|end| name.ends_with(end))
        || name.contains("_flow_")
        || name.starts_with("__")
        || name.starts_with("nb_");
    let problem = if name.is_empty() || name.len() > MAX_LENGTH || !letters {
        "is not the name of a cookie"
    } else if reserved || name.ends_with("_flow") {
        "is the name of another cookie"
    } else {
        return Some(name);
    };
    let remedy = "choose at most 40 letters, digits, _ and -, such as wecom_gate_crm";
    report.bad("session.cookie_name", &name, problem, remedy);
    None
}
