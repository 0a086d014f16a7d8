//! `[[wecom]]`: an app of a company, its keys for events and its rules about roles.

use secrecy::SecretString;
use url::Url;

/// `[[wecom]]`: one app of one company.
#[derive(Clone)]
pub(crate) struct WeComEntry {
    /// Name of the authenticator in NocoBase's binding table: `[A-Za-z0-9_-]{1,50}`.
    pub(crate) name: String,
    /// Text of the sign-in button.
    pub(crate) title: String,
    /// CorpID.
    pub(crate) corp_id: String,
    /// AgentID of the app.
    pub(crate) agent_id: String,
    /// Secret of the app.
    pub(crate) secret: SecretString,
    /// Sign members in automatically inside WeCom; at most one entry.
    pub(crate) auto_login: bool,
    /// Where a member who opened `/` arrives.
    pub(crate) home: String,
    /// The same on a phone.
    pub(crate) home_mobile: String,
    /// Names of domain verification files, `WW_verify_<token>.txt`.
    pub(crate) verify_files: Vec<String>,
    /// Department ids; sub-departments included.
    pub(crate) allow_departments: Vec<u64>,
    /// Tag ids.
    pub(crate) allow_tags: Vec<u64>,
    /// Userids.
    pub(crate) allow_users: Vec<String>,
    /// Receive-message callback: both or neither.
    pub(crate) events: Option<EventKeys>,
    /// WeCom's API, without a slash at the end.
    pub(crate) api_base: Url,
    /// In-client OAuth page.
    pub(crate) authorize_url: Url,
    /// Web login page.
    pub(crate) web_login_url: Url,
    /// Path of getuserinfo.
    pub(crate) userinfo_path: String,
    /// Path of getuserdetail.
    pub(crate) userdetail_path: String,
    /// Outbound proxy for calls to WeCom only.
    pub(crate) http_proxy: Option<Url>,
    /// Department or tag -> NocoBase role.
    pub(crate) roles: Vec<RoleRule>,
}

/// Written by hand, because `http_proxy` may contain a password.
impl std::fmt::Debug for WeComEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeComEntry")
            .field("name", &self.name)
            .field("corp_id", &self.corp_id)
            .field("agent_id", &self.agent_id)
            .field("auto_login", &self.auto_login)
            .field("home", &self.home)
            .field("home_mobile", &self.home_mobile)
            .field("api_base", &self.api_base.as_str())
            .field("http_proxy", &self.http_proxy.as_ref().map(Url::host_str))
            .finish_non_exhaustive()
    }
}

/// Keys of WeCom's receive-message callback.
#[derive(Debug, Clone)]
pub struct EventKeys {
    /// `event_token`
    pub token: SecretString,
    /// `event_aes_key`: 43 characters.
    pub aes_key: SecretString,
}

/// `[[wecom.roles]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleRule {
    /// The department or tag that it applies to.
    pub(crate) group: Group,
    /// NocoBase role name.
    pub(crate) role: String,
}

/// A department or a tag of WeCom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Department id.
    Department(u64),
    /// Tag id.
    Tag(u64),
}
