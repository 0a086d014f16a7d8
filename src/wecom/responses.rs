//! The JSON of WeCom's responses, as far as the gate reads it; both spellings of a field where WeCom has had two
//! (docs 91023, 90196). Unknown fields are ignored: WeCom adds some at any time.

use secrecy::SecretString;
use serde::Deserialize;

/// In every response; absent or 0 is success (doc 90664).
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) errcode: i64,
    #[serde(default)]
    pub(super) errmsg: Option<String>,
}

/// `gettoken`
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: SecretString,
    /// Seconds; may be what is left of an older token.
    #[serde(default)]
    pub(super) expires_in: i64,
}

/// `auth/getuserinfo` and its old form `user/getuserinfo`
#[derive(Deserialize)]
pub(super) struct UserInfo {
    #[serde(default)]
    pub(super) userid: Option<String>,
    #[serde(default, rename = "UserId")]
    pub(super) old_userid: Option<String>,
    #[serde(default)]
    pub(super) user_ticket: Option<SecretString>,
}

/// `auth/getuserdetail`
#[derive(Deserialize)]
pub(super) struct UserDetail {
    #[serde(default)]
    pub(super) userid: Option<String>,
    #[serde(default, rename = "UserId")]
    pub(super) old_userid: Option<String>,
    #[serde(default)]
    pub(super) mobile: Option<String>,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) biz_mail: Option<String>,
    #[serde(default)]
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
    /// 1 active, 2 disabled, 4 not activated, 5 left.
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

/// `tag/get`; not expanded: a department in `partylist` stands for all below it.
#[derive(Deserialize)]
pub(super) struct Tag {
    #[serde(default)]
    pub(super) userlist: Vec<TagUser>,
    #[serde(default)]
    pub(super) partylist: Vec<u64>,
}

/// A member that bears the tag.
#[derive(Deserialize)]
pub(super) struct TagUser {
    #[serde(default)]
    pub(super) userid: String,
}

/// `agent/get`; the app's visible range is what the three lists name.
#[derive(Deserialize)]
pub(super) struct Agent {
    #[serde(default)]
    pub(super) name: String,
    /// 1: disabled.
    #[serde(default)]
    pub(super) close: i64,
    #[serde(default)]
    pub(super) redirect_domain: String,
    #[serde(default)]
    pub(super) allow_userinfos: AllowedUsers,
    #[serde(default)]
    pub(super) allow_partys: AllowedParties,
    #[serde(default)]
    pub(super) allow_tags: AllowedTags,
}

#[derive(Deserialize, Default)]
pub(super) struct AllowedUsers {
    #[serde(default)]
    pub(super) user: Vec<TagUser>,
}

#[derive(Deserialize, Default)]
pub(super) struct AllowedParties {
    #[serde(default)]
    pub(super) partyid: Vec<u64>,
}

#[derive(Deserialize, Default)]
pub(super) struct AllowedTags {
    #[serde(default)]
    pub(super) tagid: Vec<u64>,
}
