//! The sessions that have open requests: a stream ends with its session. Changes without an event of their own (time, keys) are
//! found by a ticker that goes through [`SessionCache::open_sessions`] (R32).

use std::sync::Arc;

use uuid::Uuid;

use super::open_streams::OpenStream;
use super::session::{Member, Session};
use super::session_cache::{CachedSession, SessionCache};
use crate::error::Failure;

/// A stream, registered with its session until this is dropped.
#[must_use = "the stream ends with its session only while this is held"]
pub(crate) struct Attached {
    seen: Arc<CachedSession>,
    stream: Arc<OpenStream>,
}

impl Attached {
    /// The stream.
    pub(crate) fn stream(&self) -> &Arc<OpenStream> {
        &self.stream
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.seen.streams.remove(&self.stream);
    }
}

impl CachedSession {
    /// The fields of the session that its streams need, for one that was not opened with its cookie. `user_id`: the NocoBase
    /// user.
    pub(crate) fn without_cookie(&self, sid: Uuid, user_id: u64) -> Result<Session, Failure> {
        let (entry, userid) = self.member_names();
        let (corp_id, name) = (String::new(), String::new());
        let member = Member { entry: entry.to_owned(), corp_id, userid: userid.to_owned(), name, user_id };
        let begun = Session::begin(member, self.signed_in_at())?;
        Ok(Session { sid, last_seen: self.last_seen(), ..begun })
    }
}

impl SessionCache {
    /// From now on the stream ends with the session. If the session has ended already, so has the stream.
    pub(crate) fn attach(&self, seen: &Arc<CachedSession>, stream: Arc<OpenStream>) -> Attached {
        if seen.streams.add(&stream, || seen.is_ended()) {
            self.open.sessions.lock().push(seen.clone());
        }
        Attached { seen: seen.clone(), stream }
    }

    /// Calls `look` with every session that has streams, and its streams. Does not block requests that begin meanwhile.
    pub(crate) fn open_sessions(&self, mut look: impl FnMut(&Arc<CachedSession>, &[Arc<OpenStream>])) {
        let mut sessions = std::mem::take(&mut *self.open.sessions.lock());
        sessions.retain(|seen| seen.streams.look(|streams| look(seen, streams)));
        self.open.sessions.lock().append(&mut sessions);
    }

    /// Something has changed that may end streams.
    pub(crate) fn look_again(&self) {
        self.open.look.notify_one();
    }

    /// Waits for [`SessionCache::look_again`].
    pub(crate) async fn changed(&self) {
        self.open.look.notified().await;
    }
}

#[cfg(test)]
mod tests;
