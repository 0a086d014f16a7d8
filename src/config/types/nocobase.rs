//! `[nocobase]` and `[[nocobase.apps]]`.

use schemars::JsonSchema;
use secrecy::{SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

use super::wecom::{RoleRule, WeComEntry};

/// What the page gets in place of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenDelivery {
    /// A random placeholder, the phantom; NocoBase's token never leaves the gate.
    Sealed,
    /// NocoBase's real token.
    Browser,
}

/// How a WeCom member without a binding is matched with a NocoBase user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MatchBy {
    /// The phone number, verified by WeCom.
    Phone,
    /// WeCom's userid = NocoBase's user name.
    Username,
    /// The company's e-mail address (`biz_mail`).
    Email,
}

/// A field of the NocoBase user that is updated from WeCom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProfileField {
    /// The member's name.
    Nickname,
    /// The company's e-mail address (`biz_mail`).
    Email,
}

impl ProfileField {
    /// Column of NocoBase's table `users`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ProfileField::Nickname => "nickname",
            ProfileField::Email => "email",
        }
    }
}

/// `[nocobase]`
#[derive(Debug, Clone)]
pub(crate) struct NocoBase {
    /// HS256 secret of NocoBase's tokens.
    pub(crate) jwt_secret: SecretSlice<u8>,
    /// How the gate itself signs in to NocoBase.
    pub(crate) service: ServiceAccount,
    /// NocoBase's application name.
    pub(crate) app: String,
    /// It is one of several: one of `apps`, in a configuration made by [`crate::config::Config::of_application`].
    pub(crate) beside_others: bool,
    /// It has its own host name, and therefore all paths there.
    pub(crate) own_host: bool,
    /// The other applications besides `app`; empty in the configuration of one of them.
    pub(crate) apps: Vec<Application>,
    /// `APP_PUBLIC_PATH`: begins and ends with `/`.
    pub(crate) public_path: String,
    /// What the browser gets in place of a token.
    pub(crate) token_delivery: TokenDelivery,
    /// Tried in this order.
    pub(crate) match_by: Vec<MatchBy>,
    /// Create a NocoBase user for a member who matches none.
    pub(crate) auto_create_user: bool,
    /// Let a member without a matching user bind one by its password.
    pub(crate) link_by_password: bool,
    /// Roles of users that the gate creates; empty: NocoBase's default role. Also of users whom rules would leave without a role.
    pub(crate) default_roles: Vec<String>,
    /// Updated from WeCom at each sign-in.
    pub(crate) update_profile: Vec<ProfileField>,
    /// Send `X-WeCom-User` and the other identity headers to NocoBase.
    pub(crate) identity_headers: bool,
}

/// `[[nocobase.apps]]`: another application at the same gate.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    /// NocoBase's name for it.
    pub(crate) name: String,
    /// The host name at which it is opened, lower-case; `None`: below `/apps/<name>/`.
    pub(crate) host: Option<String>,
    /// With `host`, the names of the entries that belong to it, as written.
    pub(crate) claimed: Vec<String>,
    /// The entries themselves: they belong to no other application.
    pub(crate) entries: Vec<WeComEntry>,
    /// Without `host`, rules about roles in this application, each with the name of its entry.
    pub(crate) roles: Vec<(String, RoleRule)>,
    /// What passes without a session in this application, as in `access.public`.
    pub(crate) public: Vec<String>,
    /// How the gate itself signs in to this application.
    pub(crate) service: ServiceAccount,
    /// Where a member who opened `/apps/<name>/` arrives.
    pub(crate) home: String,
    /// The same on a phone.
    pub(crate) home_mobile: String,
    /// Create a user in this application for a member who matches none.
    pub(crate) auto_create_user: bool,
    /// Roles of users that the gate creates there; empty: the application's default role.
    pub(crate) default_roles: Vec<String>,
}

impl NocoBase {
    /// Is it below `/apps/<name>/`, at the main application's host name?
    pub(crate) fn is_below_apps(&self) -> bool {
        self.beside_others && !self.own_host
    }

    /// Path of the application's own start page; begins and ends with `/`.
    pub(crate) fn start_page(&self) -> String {
        match self.is_below_apps() {
            true => format!("{}apps/{}/", self.public_path, self.app),
            false => self.public_path.clone(),
        }
    }
}

/// The account that finds, creates and binds users.
#[derive(Debug, Clone)]
pub(crate) enum ServiceAccount {
    /// An API key created in NocoBase.
    Token(SecretString),
    /// The gate mints a token for this user id.
    User(u64),
}
