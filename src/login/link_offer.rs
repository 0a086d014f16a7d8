//! A form with which a member can prove which user is theirs.

use std::fmt;

use crate::session::PendingLink;

/// A form with which a member can prove which user is theirs.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct LinkOffer {
    /// The form's id.
    pub(crate) id: String,
    /// The member, as identified by WeCom.
    pub(crate) member: String,
    /// What was entered before.
    pub(crate) account: String,
    /// NocoBase's message about that; may be empty.
    pub(crate) words: String,
}

impl fmt::Debug for LinkOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkOffer").field("member", &self.member).finish_non_exhaustive()
    }
}

impl LinkOffer {
    /// An empty form.
    pub(super) fn new(link: &PendingLink) -> LinkOffer {
        let PendingLink { userid, name, .. } = link;
        let member =
            if name.is_empty() || name == userid { userid.clone() } else { format!("{name} ({userid})") };
        LinkOffer { id: link.id().to_owned(), member, ..LinkOffer::default() }
    }
}
