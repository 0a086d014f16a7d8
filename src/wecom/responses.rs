//! The parts of WeCom's JSON responses that the gate reads; both spellings of a field if WeCom has used two (docs 91023, 90196).
//! Unknown fields are ignored: WeCom may add some at any time.

use secrecy::SecretString;
use serde::Deserialize;

/// In every response; an absent `errcode` or 0 means success (doc 90664).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope {
    pub(super) errcode: i64,
    pub(super) errmsg: Option<String>,
}

/// `gettoken`
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: SecretString,
    /// Seconds; may be the remaining time of an older token.
    #[serde(default)]
    pub(super) expires_in: i64,
}

/// `auth/getuserinfo` and its old form `user/getuserinfo`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct UserInfo {
    pub(super) userid: Option<String>,
    #[serde(rename = "UserId")]
    pub(super) old_userid: Option<String>,
    pub(super) user_ticket: Option<SecretString>,
}

/// `auth/getuserdetail`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct UserDetail {
    pub(super) userid: Option<String>,
    #[serde(rename = "UserId")]
    pub(super) old_userid: Option<String>,
    pub(super) mobile: Option<String>,
    pub(super) email: Option<String>,
    pub(super) biz_mail: Option<String>,
    pub(super) avatar: Option<String>,
}

/// `user/get`
#[derive(Deserialize)]
pub(super) struct User {
    #[serde(default)]
    pub(super) userid: Option<String>,
    #[serde(default, rename = "UserId")]
    pub(super) old_userid: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) department: Option<Vec<u64>>,
    /// Only if the app may view it.
    #[serde(default)]
    pub(super) main_department: Option<u64>,
    /// 1 active, 2 disabled, 4 not activated, 5 has left.
    pub(super) status: i64,
    #[serde(default)]
    pub(super) mobile: Option<String>,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) biz_mail: Option<String>,
    #[serde(default)]
    pub(super) avatar: Option<String>,
}

/// `user/list`: the direct members of one department. Only what a recheck needs: no names and no phone numbers.
#[derive(Deserialize)]
pub(super) struct MemberList {
    pub(super) userlist: Vec<ListedMember>,
}

/// One of them, with the same fields as in `user/get`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ListedMember {
    pub(super) userid: Option<String>,
    #[serde(rename = "UserId")]
    pub(super) old_userid: Option<String>,
    pub(super) department: Option<Vec<u64>>,
    pub(super) status: Option<i64>,
}

/// `department/simplelist`
#[derive(Deserialize)]
pub(super) struct Departments {
    pub(super) department_id: Vec<Department>,
}

/// One of them; the root has id 1 and no parent.
#[derive(Deserialize)]
pub(super) struct Department {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) parentid: u64,
}

/// `department/get`
#[derive(Deserialize)]
pub(super) struct OneDepartment {
    pub(super) department: NamedDepartment,
}

/// The name, where the app may see it.
#[derive(Deserialize)]
pub(super) struct NamedDepartment {
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// `tag/get`; not expanded: a department in `partylist` includes all below it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Tag {
    pub(super) userlist: Vec<TagUser>,
    pub(super) partylist: Vec<u64>,
}

/// A member with the tag.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TagUser {
    pub(super) userid: String,
}

/// `agent/get`; the app's visible range consists of the three lists.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) square_logo_url: String,
    /// 1: disabled.
    pub(super) close: i64,
    pub(super) redirect_domain: String,
    pub(super) allow_userinfos: AllowedUsers,
    pub(super) allow_partys: AllowedParties,
    pub(super) allow_tags: AllowedTags,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AllowedUsers {
    pub(super) user: Vec<TagUser>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AllowedParties {
    pub(super) partyid: Vec<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AllowedTags {
    pub(super) tagid: Vec<u64>,
}
