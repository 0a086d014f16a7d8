//! `wecom-gate sessions` and `wecom-gate members`: lists and ends sessions, shows and removes bindings. Calls NocoBase's API with
//! the gate's configuration; the gate need not run. `wecom-gate maintenance`: creates and removes the file that closes the app.
//!
//! Must never: show a token or a whole secret, or change anything that was not asked for.

mod error;
mod maintenance;
mod members;
mod print;
mod sessions;

use std::sync::Arc;

use crate::config::{Config, ServiceAccount};
use crate::login::Sessions;
use crate::nocobase::records::Binding;
pub use error::AdminError;
pub use maintenance::{Maintenance, maintenance};

/// What was requested.
#[derive(Debug, Clone)]
pub enum Request {
    /// The sessions of a member, or of all members.
    ListSessions {
        /// Userid.
        member: Option<String>,
    },
    /// Ends sessions.
    EndSessions {
        /// Which ones.
        which: Which,
        /// Without it, the sessions are only listed.
        yes: bool,
    },
    /// A member's binding, user and sessions.
    ShowMember {
        /// Userid.
        member: String,
    },
    /// Removes a member's binding, and ends the member's sessions.
    UnbindMember {
        /// Userid.
        member: String,
    },
}

/// Which sessions to end.
#[derive(Debug, Clone)]
pub enum Which {
    /// A member's.
    Member(String),
    /// The one whose id begins with this.
    Session(String),
    /// All sessions.
    All,
}

/// Options of the commands.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Print JSON.
    pub json: bool,
    /// Name of the WeCom entry.
    pub entry: Option<String>,
    /// Name of the NocoBase application.
    pub app: Option<String>,
    /// Act as this NocoBase user.
    pub as_user: Option<u64>,
    /// Who runs the command, for the audit log.
    pub by: String,
}

/// Runs the command; returns the text to print.
///
/// # Errors
/// Nothing has been done, or only part of it: the message says which.
pub async fn run(config: &Config, request: &Request, options: &Options) -> Result<String, AdminError> {
    let mut config = application(config, options.app.as_deref())?;
    if let Some(id) = options.as_user {
        config.nocobase.service = ServiceAccount::User(id);
    }
    if let Some(name) = options.entry.as_deref().filter(|name| config.entry(name).is_none()) {
        let names = config.wecom.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(AdminError::Usage(format!(
            "--wecom {name}: no [[wecom]] entry has this name; one of: {names}"
        )));
    }
    let sessions = Sessions::from_shell(config.clone()).map_err(AdminError::Failed)?;
    let entries = config.wecom.iter().map(|entry| entry.name.as_str());
    let entries: Vec<&str> =
        entries.filter(|name| options.entry.as_deref().is_none_or(|e| e == *name)).collect();
    let admin = Admin { sessions, entries, options };
    match request {
        Request::ListSessions { member } => admin.list(member.as_deref()).await,
        Request::EndSessions { which, yes } => admin.end(which, *yes).await,
        Request::ShowMember { member } => admin.show(member).await,
        Request::UnbindMember { member } => admin.unbind(member).await,
    }
}

/// The configuration for this application.
fn application(config: &Config, name: Option<&str>) -> Result<Config, AdminError> {
    let Some(name) = name.filter(|name| *name != config.nocobase.app) else { return Ok(config.clone()) };
    match config.nocobase.apps.iter().find(|app| app.name == name) {
        Some(app) => Ok(config.of_application(app)),
        None => {
            let others = config.nocobase.apps.iter().map(|app| app.name.as_str());
            let names = std::iter::once(config.nocobase.app.as_str()).chain(others);
            let names = names.collect::<Vec<_>>().join(", ");
            Err(AdminError::Usage(format!(
                "--app {name}: the configuration has no such application; one of: {names}"
            )))
        }
    }
}

/// One command being run.
struct Admin<'a> {
    sessions: Arc<Sessions>,
    entries: Vec<&'a str>,
    options: &'a Options,
}

impl Admin<'_> {
    /// Who runs the command, for the audit log.
    fn by(&self) -> String {
        format!("from the shell, by {}", self.options.by)
    }

    /// The binding of this member.
    async fn binding(&self, userid: &str) -> Result<Binding, AdminError> {
        let all = self.sessions.nocobase().bindings(&self.entries).await?;
        let mut found: Vec<Binding> =
            all.into_iter().filter(|binding| binding.userid.eq_ignore_ascii_case(userid)).collect();
        let Some(binding) = found.pop() else {
            let entries = self.entries.join(", ");
            return Err(AdminError::Failed(format!(
                "no NocoBase user is bound to the member {userid} ({entries})"
            )));
        };
        match found.last() {
            None => Ok(binding),
            Some(other) if other.entry != binding.entry => {
                let entries = [&other.entry, &binding.entry].map(String::as_str).join(", ");
                Err(AdminError::Usage(format!(
                    "{userid} is bound in several entries: choose one with --wecom ({entries})"
                )))
            }
            Some(other) => Err(AdminError::Failed(format!(
                "{userid} is bound to two users, {} and {}: delete one of the rows in usersAuthenticators",
                other.user, binding.user
            ))),
        }
    }

    /// Adds a note if the nodes of the gate may not know yet.
    async fn ended(&self, text: String) -> String {
        if self.sessions.finish_from_shell().await {
            return text;
        }
        format!(
            "{text}Redis (session.redis) cannot be reached: the nodes of the gate notice within session.recheck.\n"
        )
    }
}
