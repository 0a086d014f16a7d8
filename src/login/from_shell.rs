//! Sessions as an administrator lists and ends them on the command line, without a running gate: through NocoBase's API and, with
//! `session.redis`, published to the nodes at once.

use std::sync::Arc;
use std::time::Duration;

use super::blocks::{Block, Owner, Reporter as _};
use super::clock::now;
use super::password_sessions::blocks_of;
use super::sessions::Sessions;
use super::sign_ins::keyring;
use crate::audit::{Action, Actor, Record, Source};
use crate::config::Config;
use crate::error::{Failure, FailureWithCause};
use crate::metrics::Metrics;
use crate::nocobase::records::{Binding, IssuedSession};
use crate::nocobase::{CheckOutcome, Class, NocoBase, Turn};
use crate::session::{PasswordSession, PasswordSignIn, UnixMillis};
use crate::shared::Ending;

/// Where something is done and by whom, in words; and the request, if there is one.
pub(crate) type By<'a> = (&'a str, Option<&'a Source>);

/// How long to wait until the nodes of the gate are informed. NocoBase has recorded the end by then.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Sessions {
    /// Without a running gate. The audit log's file is written only if it exists: the gate could not write to one created by root
    /// here.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn from_shell(mut config: Config) -> Result<Arc<Sessions>, String> {
        config.log.audit_file = config.log.audit_file.filter(|path| path.exists());
        let metrics = Arc::new(Metrics::new(&[]).map_err(|e| format!("metrics: {e}"))?);
        let keyring = keyring(&config)?;
        let sessions = Arc::new(Sessions::after(None, Arc::new(config), metrics, &keyring)?);
        if let Some(shared) = sessions.shared.clone() {
            tokio::spawn(async move { shared.run(|_| {}).await });
        }
        Ok(sessions)
    }

    /// NocoBase.
    pub(crate) fn nocobase(&self) -> &NocoBase {
        &self.nocobase
    }

    /// Does NocoBase still accept this session?
    pub(crate) async fn accepts(&self, session: &IssuedSession) -> Result<bool, FailureWithCause> {
        let at = session.signed_in_ms.map_or_else(now, UnixMillis);
        if session.by_gate && now().since(at) >= self.limits().absolute {
            return Ok(false);
        }
        let token = self.minter.session(session.user, &session.jti, at.0, now().as_secs())?;
        match self.nocobase.check(token.as_str(), Turn::of_call(Class::New)).await {
            Ok(CheckOutcome::Valid { user_id }) => Ok(user_id == session.user),
            Ok(CheckOutcome::Ended(_)) => Ok(false),
            // The user has no permissions, but the session continues.
            Err(failed) if failed.failure == Failure::NoRole => Ok(true),
            Err(failed) => Err(failed),
        }
    }

    /// An administrator ends a session: it ends here, NocoBase blocks it, and the other nodes are informed.
    pub(crate) async fn end_by_administrator(
        &self,
        session: &IssuedSession,
        binding: Option<&Binding>,
        (by, source): By<'_>,
    ) -> Result<(), FailureWithCause> {
        let user = session.user;
        let at = session.signed_in_ms.map(UnixMillis);
        let own = at.filter(|_| !session.by_gate).and_then(|signed_in_at| {
            let jti = session.jti.clone();
            PasswordSession::new(&PasswordSignIn { user_id: user.get(), signed_in_at, jti }, now()).ok()
        });
        let blocks = match &own {
            Some(own) => blocks_of(own),
            None => vec![Block {
                id: session.jti.clone(),
                owner: Owner::User(user),
                signed_in_at: at.unwrap_or_else(now),
            }],
        };
        for block in &blocks {
            self.report(block).await?;
        }
        let sid = own.map_or_else(|| uuid::Uuid::parse_str(&session.jti).ok(), |own| Some(own.session.sid));
        if let Some(sid) = sid {
            self.cache.end(sid);
            self.publish(Ending::of(sid));
        }
        let record = Record {
            nocobase_user: Some(user.get()),
            session: Some(sid.map_or_else(|| session.jti.clone(), |sid| sid.to_string())),
            ..of_binding(Action::SessionEnded, binding, by)
        };
        self.audit.write(source.unwrap_or(&Source::default()), &record);
        Ok(())
    }

    /// An administrator removes a member's binding.
    pub(crate) async fn unbind_by_administrator(
        &self,
        binding: &Binding,
        (by, source): By<'_>,
    ) -> Result<(), FailureWithCause> {
        self.nocobase.unbind(binding).await?;
        let user = Some(binding.user.get());
        let record = Record { nocobase_user: user, ..of_binding(Action::BindingRemoved, Some(binding), by) };
        self.audit.write(source.unwrap_or(&Source::default()), &record);
        Ok(())
    }

    /// Flushes the audit log. Returns whether the nodes have been informed, if they share a Redis.
    pub(crate) async fn finish_from_shell(&self) -> bool {
        let told = match &self.shared {
            Some(shared) => shared.all_published(TIMEOUT).await,
            None => true,
        };
        self.audit.close();
        told
    }
}

fn of_binding(action: Action, binding: Option<&Binding>, by: &str) -> Record {
    Record {
        entry: binding.map(|binding| binding.entry.clone()),
        userid: binding.map(|binding| binding.userid.clone()),
        name: binding.map(|binding| binding.name.clone()),
        reason: Some(by.to_owned()),
        ..Record::new(action, Actor::Administrator)
    }
}
