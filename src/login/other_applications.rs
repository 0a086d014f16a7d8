//! Other applications at the same gate in which a browser has sessions. Each application has its own cookies and sessions, but
//! the person is the same: signing out ends the sessions in all of them, and a sign-in ends those of any other person.

use std::sync::Arc;

use super::clock::now;
use super::sessions::Sessions;
use crate::audit::Source;
use crate::session::{OwnCookies, Session};

/// One other application, and this browser's cookies for it.
pub(crate) struct OtherApplication<'a> {
    /// Its sessions.
    pub(crate) sessions: &'a Arc<Sessions>,
    /// The gate's cookies for it.
    pub(crate) cookies: OwnCookies<'a>,
}

impl OtherApplication<'_> {
    /// The user signs out: this application's sessions end too. Returns `Set-Cookie` lines.
    pub(crate) async fn sign_out(&self, source: &Source) -> Vec<String> {
        if !self.cookies.has_session() {
            return Vec::new();
        }
        for session in self.all() {
            self.sessions.sign_out(&session, "signed out", source).await;
        }
        self.sessions.signed_out_cookies(&self.cookies)
    }

    /// This member has signed in to another application: sessions of any other person end. Returns `Set-Cookie` lines.
    pub(super) fn end_of_others(&self, member: &Session, source: &Source) -> Vec<String> {
        let is_theirs = |s: &Session| (&s.entry, &s.userid) == (&member.entry, &member.userid);
        let foreign: Vec<_> = self.all().into_iter().filter(|s| !is_theirs(s)).collect();
        foreign.iter().for_each(|session| self.sessions.end(session, "replaced by a new sign-in", source));
        if foreign.is_empty() { Vec::new() } else { vec![self.sessions.cookies.delete()] }
    }

    fn all(&self) -> Vec<Session> {
        self.sessions.cookies.read_all(&self.cookies, now()).collect()
    }
}
