//! Tables for people, JSON for programs.

use std::fmt::Write as _;

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde::Serialize;

/// Characters of a session's id in a table.
const SHOWN_OF_SESSION: usize = 8;

/// One session.
#[derive(Debug, Clone, Serialize)]
pub(super) struct SessionRow {
    pub(super) session: String,
    pub(super) entry: Option<String>,
    pub(super) userid: Option<String>,
    pub(super) name: Option<String>,
    pub(super) nocobase_user: u64,
    pub(super) via: &'static str,
    /// In UTC.
    pub(super) signed_in_at: Option<String>,
    #[serde(skip)]
    pub(super) signed_in_ms: Option<u64>,
}

/// One member.
#[derive(Debug, Serialize)]
pub(super) struct MemberReport {
    pub(super) entry: String,
    pub(super) userid: String,
    pub(super) name: String,
    pub(super) nocobase_user: u64,
    /// `null`: NocoBase has no such user.
    pub(super) nocobase_name: Option<String>,
    /// `null`: not visible to the service account.
    pub(super) roles: Option<Vec<String>>,
    pub(super) sessions: Vec<SessionRow>,
}

fn time(ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)
}

/// In UTC.
pub(super) fn rfc3339(ms: u64) -> Option<String> {
    Some(time(ms)?.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// In the local time zone.
fn local(ms: Option<u64>) -> String {
    let local =
        ms.and_then(time).map(|time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string());
    local.unwrap_or_else(|| "-".into())
}

/// Ends with a line break.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

/// Names come from WeCom: removes everything that could control a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The sessions as a table.
pub(super) fn sessions(rows: &[SessionRow]) -> String {
    if rows.is_empty() {
        return "no sessions\n".into();
    }
    let head = ["SESSION", "SIGNED IN", "BY", "ENTRY", "USERID", "USER", "NAME"].map(str::to_owned);
    let cells = |row: &SessionRow| {
        let text = |text: &Option<String>| {
            text.as_deref().filter(|t| !t.is_empty()).map_or_else(|| "-".into(), clean)
        };
        [
            row.session.chars().take(SHOWN_OF_SESSION).collect(),
            local(row.signed_in_ms),
            row.via.to_owned(),
            text(&row.entry),
            text(&row.userid),
            row.nocobase_user.to_string(),
            text(&row.name),
        ]
    };
    table(std::iter::once(head).chain(rows.iter().map(cells)).collect())
}

/// Columns are as wide as needed; the last one is not padded.
fn table<const N: usize>(rows: Vec<[String; N]>) -> String {
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A member, and the table of the member's sessions.
pub(super) fn member(report: &MemberReport) -> String {
    let user = match report.nocobase_name.as_deref() {
        None => format!("{}, which does not exist any more", report.nocobase_user),
        Some("") => report.nocobase_user.to_string(),
        Some(name) => format!("{} ({})", report.nocobase_user, clean(name)),
    };
    let roles = match &report.roles {
        None => "not visible to the service account".into(),
        Some(roles) if roles.is_empty() => "none".into(),
        Some(roles) => clean(&roles.join(", ")),
    };
    format!(
        "member    {} ({})\nentry     {}\nuser      {user}\nroles     {roles}\n\n{}",
        clean(&report.userid),
        clean(&report.name),
        report.entry,
        sessions(&report.sessions)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> SessionRow {
        SessionRow {
            session: "4f7c0d5e-0c63-4d0e-9d53-2a3c8f1f8f0a".into(),
            entry: Some("wecom".into()),
            userid: Some("zhangsan".into()),
            name: Some(name.into()),
            nocobase_user: 7,
            via: "wecom",
            signed_in_at: rfc3339(1_700_000_000_000),
            signed_in_ms: Some(1_700_000_000_000),
        }
    }

    #[test]
    fn columns_line_up_and_no_name_steers_the_terminal() {
        let text = sessions(&[row("\u{1b}[31m张三\n"), SessionRow { userid: None, ..row("") }]);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 3, "{text}");
        let at = |line: &str, what: &str| line.find(what).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(at(lines[0], "ENTRY"), at(lines[2], "wecom  -"), "{text}");
        assert!(lines[2].ends_with('-') && lines[1].contains("4f7c0d5e ") && !text.contains("4f7c0d5e-"));
        assert_eq!(sessions(&[]), "no sessions\n");
    }

    #[test]
    fn json_has_whole_ids_and_times_in_utc() {
        let value: serde_json::Value = serde_json::from_str(&json(&[row("张三")])).unwrap();
        assert_eq!(value[0]["signed_in_at"], "2023-11-14T22:13:20.000Z");
        assert_eq!(value[0]["session"], "4f7c0d5e-0c63-4d0e-9d53-2a3c8f1f8f0a");
    }
}
