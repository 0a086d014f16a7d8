//! `[[wecom]]`, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct WeCom {
    /// Name of the authenticator in NocoBase's binding table: 1 to 50 of `A-Z a-z 0-9 _ -`. Bindings
    /// refer to it: do not change it later.
    pub name: String,
    /// Text of the sign-in button; with several entries, the company's name.
    pub title: String,
    /// **Required.** CorpID: WeCom's console, "My Company".
    pub corp_id: String,
    /// **Required.** AgentId of the app: WeCom's console, "App Management".
    pub agent_id: String,
    /// **Required** (or the file). Secret of the app, beside its AgentId.
    #[schemars(extend("writeOnly" = true))]
    pub secret: String,
    /// File that holds `secret`.
    pub secret_file: String,
    /// Sign members in inside WeCom without a click; at most one entry may have it. `true` if there is only one
    /// entry, else `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub auto_login: Option<bool>,
    /// Where members who open `/` are redirected to: a path of the origin. By default `admin` below
    /// `nocobase.public_path`.
    pub home: String,
    /// The same on phones, such as `/m`; by default `home`.
    pub home_mobile: String,
    /// Names of the domain verification files of WeCom's console, `WW_verify_<letters and digits>.txt`.
    pub verify_files: Vec<String>,
    /// Ids of the departments whose members may sign in, sub-departments included. If all three lists are empty,
    /// every member who sees the app may sign in.
    pub allow_departments: Vec<u64>,
    /// Ids of the tags whose members may sign in.
    pub allow_tags: Vec<u64>,
    /// Userids of members who may sign in.
    pub allow_users: Vec<String>,
    /// Token of the receive-message callback: 1 to 32 letters and digits. Needs `event_aes_key`.
    #[schemars(extend("writeOnly" = true))]
    pub event_token: String,
    /// File that holds `event_token`.
    pub event_token_file: String,
    /// EncodingAESKey of the receive-message callback: 43 letters and digits. Needs `event_token`.
    #[schemars(extend("writeOnly" = true))]
    pub event_aes_key: String,
    /// File that holds `event_aes_key`.
    pub event_aes_key_file: String,
    /// URL of WeCom's API; private deployments have their own.
    pub api_base: String,
    /// URL of the sign-in page inside WeCom's client.
    pub authorize_url: String,
    /// URL of the sign-in page (QR code) for other browsers.
    pub web_login_url: String,
    /// Path of the call that returns the userid for a code; private deployments may have only
    /// `/cgi-bin/user/getuserinfo`.
    pub userinfo_path: String,
    /// Path of the call for phone and e-mail; private deployments may have only
    /// `/cgi-bin/user/getuserdetail`.
    pub userdetail_path: String,
    /// Outbound proxy for calls to WeCom only, `http://[user:password@]host:port`.
    #[schemars(extend("writeOnly" = true))]
    pub http_proxy: String,
    /// File that holds `http_proxy`.
    pub http_proxy_file: String,
    /// NocoBase roles by WeCom department or tag. At each sign-in the member gets the roles of the matching rules and loses
    /// those of this block's other rules; all other roles stay. The service account needs more rights for this:
    /// [install.md](install.md#5-nocobase-the-service-account).
    pub roles: Vec<Role>,
}

impl Default for WeCom {
    fn default() -> Self {
        Self {
            name: "wecom".into(),
            title: "WeCom".into(),
            corp_id: String::new(),
            agent_id: String::new(),
            secret: String::new(),
            secret_file: String::new(),
            auto_login: None,
            home: String::new(),
            home_mobile: String::new(),
            verify_files: Vec::new(),
            allow_departments: Vec::new(),
            allow_tags: Vec::new(),
            allow_users: Vec::new(),
            event_token: String::new(),
            event_token_file: String::new(),
            event_aes_key: String::new(),
            event_aes_key_file: String::new(),
            api_base: "https://qyapi.weixin.qq.com".into(),
            authorize_url: "https://open.weixin.qq.com/connect/oauth2/authorize".into(),
            web_login_url: "https://login.work.weixin.qq.com/wwlogin/sso/login".into(),
            userinfo_path: "/cgi-bin/auth/getuserinfo".into(),
            userdetail_path: "/cgi-bin/auth/getuserdetail".into(),
            http_proxy: String::new(),
            http_proxy_file: String::new(),
            roles: Vec::new(),
        }
    }
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Role {
    /// Id of a department, sub-departments included; either this or `tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub department: Option<u64>,
    /// Id of a tag; either this or `department`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub tag: Option<u64>,
    /// Name ("Role UID") of the NocoBase role; not `root`.
    pub role: String,
    /// Name of the application of `[[nocobase.apps]]` that has the role; by default the one that people sign in to through
    /// this block (`main`).
    pub app: String,
}
