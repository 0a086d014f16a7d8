//! Members and apps, as described by WeCom. `Debug` shows no phone number and no address.

use std::fmt;

use secrecy::SecretString;

use crate::error::Failure;

/// The person whom a code belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// As spelled by WeCom; compare with [`same_userid`].
    pub(crate) userid: String,
    /// Returned after consent (`snsapi_privateinfo`): gives access to [`Details`] for 30 minutes.
    pub(crate) ticket: Option<SecretString>,
}

/// The data that the member agreed to share; any other field is absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// Verified by WeCom.
    pub(crate) mobile: Option<String>,
    /// May have been entered by the member.
    pub(crate) email: Option<String>,
    /// The company's own e-mail address.
    pub(crate) biz_mail: Option<String>,
    /// Address of a picture: only data, never fetched by the gate (R24).
    pub(crate) avatar: Option<String>,
}

/// An active member inside the app's visible range.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// As spelled by WeCom.
    pub(crate) userid: String,
    /// Display name; the userid if WeCom returns none.
    pub(crate) name: String,
    /// Direct departments that are visible to the app; the main one first, if it is.
    pub(crate) departments: Vec<u64>,
    /// Data that apps created before 2022-06-20 still get without consent.
    pub(crate) details: Details,
}

/// A department, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Department {
    /// Its id in WeCom.
    pub(crate) id: u64,
    /// Its name, where the app may see it.
    pub(crate) name: Option<String>,
}

/// An app, as configured in WeCom's console.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Agent {
    /// Its name, as entered by the administrator.
    pub(crate) name: String,
    /// Address of its picture.
    pub(crate) picture: String,
    /// Switched on.
    pub(crate) enabled: bool,
    /// The trusted domain for OAuth: host, with a port if there is one; empty: none is set.
    pub(crate) oauth_domain: String,
    /// Number of members listed in its visible range.
    pub(crate) users: usize,
    /// Number of departments listed.
    pub(crate) departments: usize,
    /// Number of tags listed.
    pub(crate) tags: usize,
}

/// Whether a member may still sign in, at the recheck of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MemberStatus {
    /// Still a member, still allowed.
    Good {
        /// A department that the member is in, if the app sees one.
        department: Option<u32>,
    },
    /// Not any more: the session ends.
    Gone(Failure),
}

impl Member {
    /// The main department, or another one, if the app sees one.
    pub(crate) fn main_department(&self) -> Option<u32> {
        self.departments.first().and_then(|id| u32::try_from(*id).ok())
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Details")
            .field("mobile", &self.mobile.is_some())
            .field("email", &self.email.is_some())
            .field("biz_mail", &self.biz_mail.is_some())
            .field("avatar", &self.avatar.is_some())
            .finish()
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("userid", &self.userid)
            .field("departments", &self.departments)
            .field("details", &self.details)
            .finish_non_exhaustive()
    }
}

/// WeCom ignores the case of ASCII letters in userids (doc 90196); no other folding (R21).
pub(crate) fn same_userid(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// Could this be a userid? 1 to 64 of letters, digits, `-_.@` (docs 90195, 90313 code 40003).
pub(super) fn is_userid(s: &str) -> bool {
    (1..=64).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'))
}

/// An empty field counts as absent.
pub(super) fn filled(s: Option<String>) -> Option<String> {
    s.filter(|s| !s.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r21_userids_compare_by_ascii_case_only() {
        let table = [
            ("ZhangSan", "zhangsan", true),
            ("a.b-c_d@e", "A.B-C_D@E", true),
            ("zhangsan", "zhangsan ", false),
            ("k", "\u{212a}", false), // KELVIN SIGN becomes k in Unicode case folding
            ("i", "İ", false),
            ("ß", "ss", false),
            ("zhangsan", "zhangsan@corp", false),
            ("a", "", false),
        ];
        for (a, b, want) in table {
            assert_eq!(same_userid(a, b), want, "{a:?} {b:?}");
            assert_eq!(same_userid(b, a), want, "{b:?} {a:?}");
        }
    }

    #[test]
    fn r21_only_documented_userids_are_taken() {
        for good in ["a", "Zhang.San-1_2@x", &"a".repeat(64)] {
            assert!(is_userid(good), "{good}");
        }
        for bad in ["", &"a".repeat(65), "ww1/zhangsan", "a b", "a\r\nX-User: b", "张三", "a%2f", "a\0"] {
            assert!(!is_userid(bad), "{bad:?}");
        }
    }

    #[test]
    fn r27_debug_shows_no_phone_or_mail() {
        let details =
            Details { mobile: Some("13800000001".into()), email: Some("a@b.c".into()), ..Details::default() };
        let member = Member { userid: "u".into(), name: "张三".into(), departments: vec![1], details };
        let shown = format!("{member:?}");
        assert!(!shown.contains("138") && !shown.contains("a@b.c") && !shown.contains("张三"), "{shown}");
    }
}
