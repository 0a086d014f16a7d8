//! The audit log: who signed in, who was refused, which session ended and by whom, what was bound, which roles changed. One
//! record each, in the log and, with `log.audit_file`, in a separate file.
//!
//! Must never: hold a secret, a token, a code, a cookie or a whole session id; make a request wait for the disk; or import any
//! module except `error`.

mod file;
mod history;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::IntCounter;
use serde::Serialize;

use crate::error::Failure;
use file::AuditFile;
pub(crate) use file::OpenError;
pub(crate) use history::{History, Refusal};

/// Characters of a session's id that are shown: enough to tell sessions apart.
const SHOWN_OF_SESSION: usize = 8;

/// The names of an enum's values, which never change.
macro_rules! names {
    ($(#[$about:meta])* $kind:ident { $($(#[$doc:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum $kind { $($(#[$doc])* #[serde(rename = $name)] $value,)+ }

        impl $kind {
            /// All of them, for the documentation's test.
            pub const ALL: &'static [$kind] = &[$($kind::$value),+];

            /// As written in records.
            pub const fn name(self) -> &'static str {
                match self { $($kind::$value => $name,)+ }
            }
        }
    };
}

names! {
    /// What happened. `docs/logs.md` describes each.
    Action {
        /// A session began.
        SignIn = "sign_in",
        /// A sign-in failed.
        Refused = "refused",
        /// A user has ended their own session.
        SignOut = "sign_out",
        /// A session has ended in another way.
        SessionEnded = "session_ended",
        /// A member has been bound to a NocoBase user.
        BindingMade = "binding_made",
        /// A member's binding has been removed.
        BindingRemoved = "binding_removed",
        /// A rule has given a user a role.
        RoleGiven = "role_given",
        /// A rule has taken a role from a user.
        RoleTaken = "role_taken",
        /// Another configuration is in use.
        ConfigurationReloaded = "configuration_reloaded",
        /// The check was run in the console, perhaps with a member's sign-in.
        CheckRun = "check_run",
    }
}

names! {
    /// Who did it.
    Actor {
        /// The person whose session it is.
        Member = "member",
        /// WeCom: an event, or the result of a recheck.
        WeCom = "wecom",
        /// NocoBase: it no longer accepts the session's tokens.
        NocoBase = "nocobase",
        /// Another node of the gate.
        Node = "node",
        /// A rule of the configuration.
        Gate = "gate",
        /// A person who runs the gate.
        Administrator = "administrator",
    }
}

/// The request in which it happened; empty if the gate acted without a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// The request's id.
    pub(crate) request_id: Option<String>,
    /// The client's address.
    pub(crate) client: Option<IpAddr>,
}

/// What happened to whom; unknown fields are empty.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) action: Action,
    pub(crate) actor: Actor,
    /// Name of the WeCom entry.
    pub(crate) entry: Option<String>,
    /// The member's userid.
    pub(crate) userid: Option<String>,
    /// The member's name.
    pub(crate) name: Option<String>,
    /// Id of the NocoBase user.
    pub(crate) nocobase_user: Option<u64>,
    /// The session's whole id.
    pub(crate) session: Option<String>,
    /// How they signed in.
    pub(crate) via: Option<&'static str>,
    /// Name of a role in NocoBase.
    pub(crate) role: Option<String>,
    /// The failure's label.
    pub(crate) label: Option<&'static str>,
    /// Why.
    pub(crate) reason: Option<String>,
}

impl Record {
    /// Only what happened and who did it.
    pub(crate) const fn new(action: Action, actor: Actor) -> Record {
        Record {
            action,
            actor,
            entry: None,
            userid: None,
            name: None,
            nocobase_user: None,
            session: None,
            via: None,
            role: None,
            label: None,
            reason: None,
        }
    }
}

/// A line of the file. Every line has all of these fields; `null`: unknown, or not applicable.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    event: &'static str,
    action: Action,
    actor: Actor,
    app: &'a str,
    entry: Option<&'a str>,
    userid: Option<&'a str>,
    name: Option<&'a str>,
    nocobase_user: Option<u64>,
    session: Option<&'a str>,
    via: Option<&'a str>,
    role: Option<&'a str>,
    label: Option<&'a str>,
    reason: Option<&'a str>,
    request_id: Option<&'a str>,
    client: Option<IpAddr>,
}

/// Writes the records of one NocoBase application.
#[derive(Clone)]
pub(crate) struct Audit {
    app: String,
    file: Option<Arc<AuditFile>>,
    history: Arc<History>,
}

impl Audit {
    /// Replaces `before` after a change of the configuration; the same file stays open. `lost` counts lines of the file that
    /// could not be written.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub(crate) fn after(
        before: Option<&Audit>,
        path: Option<&Path>,
        app: &str,
        lost: &IntCounter,
    ) -> Result<Audit, OpenError> {
        let same = |path: &Path| {
            let file = before?.file.as_ref()?;
            (file.path() == path).then(|| file.clone())
        };
        let file = match path {
            None => None,
            Some(path) => Some(match same(path) {
                Some(file) => file,
                None => Arc::new(AuditFile::open(path, lost.clone())?),
            }),
        };
        let history = match before {
            Some(before) => before.history.clone(),
            None => Arc::new(History::new(SystemTime::now())),
        };
        Ok(Audit { app: app.to_owned(), file, history })
    }

    /// The last day of this process, of all applications.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    fn remember(&self, at: SystemTime, source: &Source, record: &Record) {
        let named = |label: &str| Failure::ALL.iter().find(|failure| failure.response().label == label);
        match (record.action, record.label.and_then(named)) {
            (Action::SignIn, _) => self.history.signed_in(at),
            (Action::Refused, Some(failure)) => self.history.refused(Refusal {
                at,
                entry: record.entry.clone(),
                userid: record.userid.clone(),
                name: record.name.clone(),
                failure: *failure,
                reason: record.reason.clone(),
                request_id: source.request_id.clone(),
                client: source.client,
            }),
            _ => {}
        }
    }

    /// Writes a record. Returns at once.
    pub(crate) fn write(&self, source: &Source, record: &Record) {
        let at = SystemTime::now();
        self.remember(at, source, record);
        let session = record.session.as_deref().map(shown_of_session);
        let line = Line {
            timestamp: humantime::format_rfc3339_micros(at).to_string(),
            event: "audit",
            action: record.action,
            actor: record.actor,
            app: &self.app,
            entry: text(record.entry.as_ref()),
            userid: text(record.userid.as_ref()),
            name: text(record.name.as_ref()),
            nocobase_user: record.nocobase_user,
            session: session.as_deref(),
            via: record.via,
            role: text(record.role.as_ref()),
            label: record.label,
            reason: text(record.reason.as_ref()),
            request_id: text(source.request_id.as_ref()),
            client: source.client,
        };
        // Without the surrounding spans, which contain the request id too.
        tracing::info!(
            parent: None,
            event = "audit",
            action = line.action.name(),
            actor = line.actor.name(),
            app = line.app,
            entry = line.entry,
            userid = line.userid,
            name = line.name,
            nocobase_user = line.nocobase_user,
            session = line.session,
            via = line.via,
            role = line.role,
            label = line.label,
            reason = line.reason,
            request_id = line.request_id,
            client = line.client.map(tracing::field::display),
            "audit"
        );
        if let Some(file) = &self.file
            && let Ok(mut line) = serde_json::to_vec(&line)
        {
            line.push(b'\n');
            file.write(&line);
        }
    }

    /// Reopens the file by its name, after a rotation. May block.
    ///
    /// # Errors
    /// The file cannot be opened; the previous one stays in use.
    pub(crate) fn reopen(&self) -> Result<(), OpenError> {
        self.file.as_ref().map_or(Ok(()), |file| file.reopen())
    }

    /// Waits, at most a second, until every line is in the file, which accepts no more.
    pub(crate) fn close(&self) {
        if let Some(file) = &self.file {
            file.close();
        }
    }
}

/// The first characters of a session's id: enough to tell sessions apart, useless to anyone else.
pub(crate) fn shown_of_session(id: &str) -> String {
    id.chars().take(SHOWN_OF_SESSION).collect()
}

fn text(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> IntCounter {
        IntCounter::new("lost", "lost").unwrap()
    }

    fn signed_in(name: &str) -> Record {
        Record {
            userid: Some("ZhangSan".into()),
            name: Some(name.into()),
            session: Some("4f7c0d5e-0c63-4d0e-9d53-2a3c8f1f8f0a".into()),
            ..Record::new(Action::SignIn, Actor::Member)
        }
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_every_member_and_no_text_can_add_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::after(None, Some(&path), "main", &counter()).unwrap();
        let hostile = "x\",\"actor\":\"administrator\"}\n{\"event\":\"audit\"}\u{2028}\u{1b}[31m\\";
        let source = Source {
            request_id: Some("3685464150ea41d4-a1".into()),
            client: Some("2001:db8::1".parse().unwrap()),
        };
        audit.write(&source, &signed_in(hostile));
        audit.write(&Source::default(), &Record::new(Action::ConfigurationReloaded, Actor::Administrator));
        audit.close();
        let lines = lines(&path);
        assert_eq!(lines.len(), 2, "one line each");
        let keys = |line: &serde_json::Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&lines[0]), keys(&lines[1]));
        assert_eq!((&lines[0]["name"], &lines[0]["actor"]), (&hostile.into(), &"member".into()));
        assert_eq!(lines[0]["session"], "4f7c0d5e", "never the whole id");
        assert_eq!((&lines[0]["client"], &lines[1]["client"]), (&"2001:db8::1".into(), &().into()));
    }

    #[test]
    fn a_reload_keeps_the_same_file_and_opens_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let lost = counter();
        let before = Audit::after(None, Some(&first), "main", &lost).unwrap();
        let after = Audit::after(Some(&before), Some(&first), "sub", &lost).unwrap();
        let other = Audit::after(Some(&after), Some(&second), "main", &lost).unwrap();
        for audit in [&before, &after, &other] {
            audit.write(&Source::default(), &signed_in(""));
        }
        other.close();
        after.close();
        let apps = |path| lines(path).iter().map(|line| line["app"].clone()).collect::<Vec<_>>();
        assert_eq!((apps(&first), apps(&second)), (vec!["main".into(), "sub".into()], vec!["main".into()]));
        assert_eq!(lost.get(), 0);
        // No one writes it any more: lost lines are counted.
        before.write(&Source::default(), &signed_in(""));
        assert_eq!(lost.get(), 1);
    }
}
