//! A member whom WeCom has identified and who has no matching NocoBase user (`nocobase.link_by_password`). Who that is stays in a sealed
//! cookie until the member has proved, by its password, which NocoBase user is theirs.
//!
//! The page's form contains the cookie's id, so that it works only with the cookie that was set with it: not in another browser,
//! and not after another member has signed in on a shared device. Each form is valid for one attempt.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::error::Failure;

use super::cookies::{Names, OwnCookies};
use super::flow::{LIFE, SignInRequest};
use super::random;
use super::seal::{Keyring, Purpose};
use super::time::UnixMillis;

/// Characters of an id: 190 random bits.
const ID_CHARS: usize = 32;
/// Longest return target in bytes; a longer one becomes the entry's home, so that the cookie stays small.
const MAX_TARGET: usize = 512;
/// Longest name in characters.
const MAX_NAME: usize = 64;

/// A member who may prove which NocoBase user is theirs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingLink {
    id: String,
    /// The sign-in that found no user.
    pub(crate) request: SignInRequest,
    /// As WeCom spells it.
    pub(crate) userid: String,
    /// The member's name.
    pub(crate) name: String,
    /// When WeCom identified the member.
    started: UnixMillis,
}

impl fmt::Debug for PendingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLink").field("userid", &self.userid).finish_non_exhaustive()
    }
}

/// A member whose form was submitted in the browser to which it was issued.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CheckedLink<'a> {
    /// The member.
    pub(crate) pending: PendingLink,
    /// The sealed cookie, by which a repeated form is recognised.
    pub(crate) cookie: &'a [u8],
}

impl PendingLink {
    /// WeCom has just identified this member.
    pub(crate) fn begin(
        request: &SignInRequest,
        userid: &str,
        name: &str,
        now: UnixMillis,
    ) -> Result<PendingLink, Failure> {
        let mut request = request.clone();
        if request.target.len() > MAX_TARGET {
            request.target = "/".into();
        }
        Ok(PendingLink {
            id: random::alphanumeric(ID_CHARS)?,
            request,
            userid: userid.to_owned(),
            name: name.chars().take(MAX_NAME).collect(),
            started: now,
        })
    }

    /// For another attempt: a new form, which expires when the first one would have.
    pub(crate) fn again(&self) -> Result<PendingLink, Failure> {
        Ok(PendingLink { id: random::alphanumeric(ID_CHARS)?, ..self.clone() })
    }

    /// The id in the form.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn is_over(&self, now: UnixMillis) -> bool {
        now.since(self.started) >= LIFE || self.started.is_from_the_future(now)
    }
}

/// Reads and writes their cookies.
#[derive(Debug, Clone)]
pub(crate) struct PendingLinks {
    keyring: Arc<Keyring>,
    names: Names,
}

impl PendingLinks {
    /// From its parts.
    pub(crate) fn new(keyring: Arc<Keyring>, names: Names) -> Self {
        PendingLinks { keyring, names }
    }

    /// `Set-Cookie` for this member.
    pub(crate) fn write(&self, link: &PendingLink) -> Result<String, Failure> {
        let name = self.names.link();
        let text = self.keyring.seal(Purpose::Link, name.as_bytes(), link)?;
        Ok(self.names.set(name, &text, Some(LIFE)))
    }

    /// The member of this browser's cookie, if the form with this id was made with it.
    ///
    /// - [`Failure::FlowMissing`]: no cookie, or several, or an invalid one, or another form's;
    /// - [`Failure::FlowExpired`]: WeCom identified the member more than ten minutes ago.
    pub(crate) fn check<'a>(
        &self,
        cookies: &OwnCookies<'a>,
        id: &str,
        now: UnixMillis,
    ) -> Result<CheckedLink<'a>, Failure> {
        let cookie = cookies.link().ok_or(Failure::FlowMissing)?;
        let pending: PendingLink = self
            .keyring
            .open(Purpose::Link, self.names.link().as_bytes(), cookie)
            .ok_or(Failure::FlowMissing)?;
        if !bool::from(pending.id.as_bytes().ct_eq(id.as_bytes())) {
            return Err(Failure::FlowMissing);
        }
        if pending.is_over(now) { Err(Failure::FlowExpired) } else { Ok(CheckedLink { pending, cookie }) }
    }

    /// `Set-Cookie` that deletes it, if the browser has one.
    pub(crate) fn delete(&self, cookies: &OwnCookies<'_>) -> Option<String> {
        cookies.has_link().then(|| self.names.delete(self.names.link()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretSlice;

    use super::*;
    use crate::session::{Stage, Via};

    const START: UnixMillis = UnixMillis(1_800_000_000_000);

    fn links() -> PendingLinks {
        let keys = [SecretSlice::from(vec![7; crate::session::seal::KEY_BYTES])];
        let keyring = Arc::new(Keyring::new(&keys, "https://gate.test").unwrap());
        PendingLinks::new(keyring, Names::new(true, "wecom_gate"))
    }

    fn pending(target: &str) -> PendingLink {
        let request = SignInRequest {
            target: target.into(),
            entry: "wecom".into(),
            via: Via::WeCom,
            stage: Stage::Silent,
            mobile: true,
        };
        PendingLink::begin(&request, "zhangsan", "张三", START).unwrap()
    }

    /// What the browser sends back.
    fn sent(set: &str) -> String {
        set.split(';').next().unwrap().to_owned()
    }

    fn check(links: &PendingLinks, header: &str, id: &str, at: UnixMillis) -> Result<String, Failure> {
        let cookies = OwnCookies::parse(&links.names, [header.as_bytes()]).unwrap();
        links.check(&cookies, id, at).map(|checked| checked.pending.userid)
    }

    #[test]
    fn r19_a_form_counts_beside_its_own_cookie_and_for_ten_minutes() {
        let (links, one) = (links(), pending("/admin"));
        let cookie = sent(&links.write(&one).unwrap());
        let at = |after: Duration| START.plus(after);
        assert_eq!(check(&links, &cookie, one.id(), START).unwrap(), "zhangsan");
        assert_eq!(
            check(&links, &cookie, one.id(), at(LIFE - Duration::from_millis(1))).unwrap(),
            "zhangsan"
        );
        assert_eq!(check(&links, &cookie, one.id(), at(LIFE)), Err(Failure::FlowExpired));
        // Another form, also of the same member; and the next one, which does not last longer.
        let next = one.again().unwrap();
        assert_ne!(next.id(), one.id());
        for id in ["", next.id(), &one.id()[1..], &one.id().to_lowercase(), pending("/").id()] {
            assert_eq!(check(&links, &cookie, id, START), Err(Failure::FlowMissing), "{id}");
        }
        let next_cookie = sent(&links.write(&next).unwrap());
        assert_eq!(check(&links, &next_cookie, next.id(), at(LIFE)), Err(Failure::FlowExpired));
        for cookies in ["", "a=b", &format!("{cookie}x"), &format!("{cookie}; {next_cookie}")] {
            assert_eq!(check(&links, cookies, one.id(), START), Err(Failure::FlowMissing), "{cookies}");
        }
    }

    #[test]
    fn r13_no_other_cookie_of_ours_names_a_member() {
        let (links, one) = (links(), pending("/admin"));
        let name = links.names.link().to_owned();
        for purpose in [Purpose::Flow, Purpose::Session, Purpose::PasswordSession, Purpose::Claim] {
            let text = links.keyring.seal(purpose, name.as_bytes(), &one).unwrap();
            let header = format!("{name}={text}");
            assert_eq!(check(&links, &header, one.id(), START), Err(Failure::FlowMissing), "{purpose:?}");
        }
        // It is not accepted under another name either.
        let text = links.keyring.seal(Purpose::Link, b"wecom_gate_link", &one).unwrap();
        assert_eq!(check(&links, &format!("{name}={text}"), one.id(), START), Err(Failure::FlowMissing));
    }

    #[test]
    fn r17_the_cookie_stays_small() {
        let links = links();
        let mut long = pending(&format!("/{}", "a".repeat(3000)));
        assert_eq!(long.request.target, "/");
        long = PendingLink::begin(&long.request, &"u".repeat(64), &"名".repeat(500), START).unwrap();
        assert_eq!(long.name.chars().count(), MAX_NAME);
        long.request.target = format!("/{}", "a".repeat(MAX_TARGET - 1));
        assert!(links.write(&long).unwrap().len() < 1500);
    }
}
