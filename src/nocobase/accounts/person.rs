//! What is known of a WeCom member, and which of it may be used for matching.

use crate::config::MatchBy;
use crate::nocobase::phone::Phone;

/// Length of NocoBase's text columns.
pub(super) const MAX_TEXT: usize = 255;
/// NocoBase's own limit for user names.
const MAX_USERNAME: usize = 50;

/// A WeCom member, as far as accounts are concerned. Everything in it is external data.
#[derive(Clone, Default)]
pub(crate) struct Person {
    /// Name of the WeCom entry = name of the authenticator in NocoBase's binding table.
    pub entry: String,
    /// As returned by WeCom.
    pub userid: String,
    /// Display name; may be empty.
    pub name: String,
    /// Address of a picture; may be empty. Stored, never fetched.
    pub avatar: String,
    /// Verified by WeCom.
    pub mobile: Option<String>,
    /// The company's own e-mail address. WeCom's other address, `email`, is left out on purpose: members enter it themselves.
    pub biz_mail: Option<String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("entry", &self.entry)
            .field("userid", &self.userid)
            .field("mobile", &self.mobile.is_some())
            .field("biz_mail", &self.biz_mail.is_some())
            .finish_non_exhaustive()
    }
}

impl Person {
    pub(super) fn phone(&self) -> Option<Phone> {
        self.mobile.as_deref().and_then(Phone::parse)
    }

    /// The e-mail address to match by.
    pub(super) fn email(&self) -> Option<&str> {
        self.biz_mail.as_deref().filter(|e| is_email(e))
    }

    /// The userid, if NocoBase accepts it as a user name. One with an `@` is excluded: NocoBase signs in by "user name or
    /// e-mail", and a user name that is another user's address would be both.
    pub(super) fn username(&self) -> Option<&str> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let name = self.userid.as_str();
        ((1..=MAX_USERNAME).contains(&name.len()) && name.bytes().all(ok)).then_some(name)
    }

    /// Whether the person has this key.
    pub(super) fn has(&self, key: MatchBy) -> bool {
        match key {
            MatchBy::Phone => self.phone().is_some(),
            MatchBy::Email => self.email().is_some(),
            MatchBy::Username => self.username().is_some(),
        }
    }
}

/// A text that can only be an e-mail address: no blanks, one `@` with text on both sides.
fn is_email(text: &str) -> bool {
    let plain = text.len() <= MAX_TEXT && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

#[cfg(test)]
mod tests;
