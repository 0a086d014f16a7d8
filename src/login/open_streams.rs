//! What ends an open request other than a sign-out: time, a failed check, changed keys (R32). Checked once a second for all of
//! them together. Events that end a session (a sign-out, a member who leaves) end its requests at once, in
//! [`crate::session::open_streams`].

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::clock::now;
use super::sessions::Sessions;
use crate::session::{Attached, CachedSession, OpenStream, OwnCookies, Session, SessionValidity, UnixMillis};

/// How often open streams are checked; a stream may end this much later than its session.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often, in seconds, a session with open streams is kept from being dropped from the cache.
const KEEP_EVERY: u64 = 16;

impl Sessions {
    /// A request of this session begins. `cookies`: the `Cookie` headers of the request.
    pub(crate) fn attach(
        &self,
        session: &Arc<Session>,
        seen: &Arc<CachedSession>,
        cookies: Vec<HeaderValue>,
    ) -> Attached {
        self.cache.attach(seen, OpenStream::new(session.clone(), cookies, self.generation))
    }

    /// Waits until open streams have to be checked: for one tick, or until the configuration has changed.
    pub(crate) async fn next_look(&self) {
        tokio::select! {
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
            () = self.cache.changed() => {}
        }
    }

    /// Ends the streams whose session has ended, and rechecks the other sessions when that is due.
    ///
    /// A stream does not count as use of a session: what counts is when the member was last seen, according to the newest cookie
    /// that this node knows of. The session itself continues if the browser has a newer one, from another node.
    pub(crate) fn end_streams(self: &Arc<Self>) {
        let now = now();
        while self.cache.drop_expired(now) {}
        self.cache.open_sessions(|seen, streams| {
            let Some(first) = streams.first() else { return };
            // All streams of a session have the same times.
            let over = self.over(first, seen, now);
            let mut ended = (0, over);
            for stream in streams.iter().filter(|stream| !stream.is_ended()) {
                let why = over.or_else(|| (!self.still_opens(stream)).then_some("its key is gone"));
                if why.is_some() {
                    stream.end();
                    ended = (ended.0 + 1, why);
                }
            }
            if let (count @ 1.., Some(reason)) = ended {
                let session = &first.session;
                tracing::info!(event = "streams_ended", session = %session.sid, userid = session.userid,
                    reason, streams = count, "open streams of a session ended");
            }
            if over.is_none() {
                self.recheck_if_due(&first.session, seen);
            }
        });
    }

    /// Why a session's streams must end, if they must. Nearly always they need not, and then only `seen` is read.
    fn over(&self, stream: &OpenStream, seen: &Arc<CachedSession>, now: UnixMillis) -> Option<&'static str> {
        if seen.is_turn(now.as_secs(), KEEP_EVERY) && !self.cache.keep(stream.session.sid, seen) {
            return Some("ended");
        }
        match self.limits().state(seen.signed_in_at(), seen.last_seen(), now) {
            SessionValidity::Valid => None,
            SessionValidity::Idle => Some("session.idle"),
            SessionValidity::Expired => Some("session.absolute"),
            SessionValidity::FromTheFuture => Some("from the future"),
        }
    }

    /// Do the current keys open the cookie with which the stream began? A stream that began without a cookie cannot show it, and
    /// ends at a change of the configuration.
    fn still_opens(&self, stream: &OpenStream) -> bool {
        if stream.is_of(self.generation) {
            return true;
        }
        let values = stream.cookies.iter().map(HeaderValue::as_bytes);
        let Ok(cookies) = OwnCookies::parse(self.cookies.names(), values) else { return false };
        let opens = self.cookies.hold(&cookies, stream.session.sid);
        if opens {
            stream.opened_under(self.generation);
        }
        opens
    }
}
