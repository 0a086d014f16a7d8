//! Sessions that this node sees for the first time, or that are due for a recheck: NocoBase is asked, by this node or, with Redis, by
//! another.

use std::sync::Arc;

use super::clock::now;
use super::sessions::Sessions;
use crate::error::Failure;
use crate::session::{CachedSession, Session, SessionStatus, UnixMillis};
use crate::shared::{SessionLease, SessionTurn};

impl Sessions {
    /// Asks about a session that this node sees for the first time: NocoBase, unless another node has done so lately.
    pub(super) async fn first_lookup(
        self: &Arc<Self>,
        session: &Session,
    ) -> Result<Arc<CachedSession>, Failure> {
        let (mut lease, recent) = (None, now().minus(self.config.session.recheck));
        let status = self.confirmed_after(session, recent, &mut lease);
        let seen = self.cache.first_lookup(session, status).await?;
        // Not if it has ended here meanwhile, or its member has left.
        if let Some(lease) = lease.filter(|_| !seen.is_ended()) {
            lease.confirmed(seen.checked_at());
        }
        self.learn_token_policy();
        Ok(seen)
    }

    /// When NocoBase confirmed this session, after `recent`; `None`: it has ended. With a lease, other nodes wait for the result.
    pub(super) async fn confirmed_after(
        &self,
        session: &Session,
        recent: UnixMillis,
        lease: &mut Option<SessionLease>,
    ) -> Result<Option<UnixMillis>, Failure> {
        if let Some(shared) = &self.shared {
            if self.blocks.is_pending(&session.sid.to_string()) {
                return Ok(None);
            }
            match shared.session_turn(&shared.session_key(session), recent).await {
                SessionTurn::ConfirmedAt(at) => return Ok(Some(at.min(now()))),
                SessionTurn::Ours(ours) => *lease = Some(ours),
                SessionTurn::Alone => {}
            }
        }
        let began = now();
        Ok((self.ask_and_log(session).await? == SessionStatus::Active).then_some(began))
    }

    /// Lets the other nodes know that NocoBase, asked at this time, has confirmed the session, unless it has ended here meanwhile.
    /// Nothing waits for that.
    pub(super) fn share_confirmed(&self, session: &Session, at: UnixMillis) {
        let is_live = self.cache.get(session.sid).is_some_and(|seen| !seen.is_ended());
        if let Some(shared) = self.shared.clone().filter(|_| is_live) {
            let key = shared.session_key(session);
            tokio::spawn(async move { shared.session_confirmed(&key, at).await });
        }
    }
}
