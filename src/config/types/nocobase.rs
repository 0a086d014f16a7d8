//! `[nocobase]` and `[[nocobase.apps]]`.

use schemars::JsonSchema;
use secrecy::{SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

use super::wecom::{RoleRule, WeComEntry};

/// How the page gets its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenDelivery {
    /// A random placeholder, the phantom; NocoBase's token never leaves the gate.
    Sealed,
    /// NocoBase's real token.
    Browser,
}

/// What makes a WeCom member and a NocoBase user the same person, before there is a binding.
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

/// What of a NocoBase user is kept as WeCom has it.
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
    /// It is one of several: of `apps`, in the configuration that [`crate::config::Config::of_application`] makes.
    pub(crate) beside_others: bool,
    /// It has a host name of its own, and so the whole of its paths.
    pub(crate) own_host: bool,
    /// The applications beside `app`; none in the configuration of one of them.
    pub(crate) apps: Vec<Application>,
    /// `APP_PUBLIC_PATH`: begins and ends with `/`.
    pub(crate) public_path: String,
    /// What the browser gets to hold.
    pub(crate) token_delivery: TokenDelivery,
    /// In this order.
    pub(crate) match_by: Vec<MatchBy>,
    /// Make a NocoBase user for a member who matches nobody.
    pub(crate) auto_create_user: bool,
    /// Roles of users that the gate makes; empty: NocoBase's default role. Also of users whom rules would leave without a role.
    pub(crate) default_roles: Vec<String>,
    /// Kept as WeCom has them, at each sign-in.
    pub(crate) update_profile: Vec<ProfileField>,
    /// Send `X-WeCom-User` and its companions to NocoBase.
    pub(crate) identity_headers: bool,
}

/// `[[nocobase.apps]]`: one more application at the same gate.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    /// NocoBase's name for it.
    pub(crate) name: String,
    /// The host name under which it is opened, lower-case; `None`: below `/apps/<name>/`.
    pub(crate) host: Option<String>,
    /// With `host`, the names of the entries that lead there, as written.
    pub(crate) claimed: Vec<String>,
    /// The same as entries: they belong to no other application.
    pub(crate) entries: Vec<WeComEntry>,
    /// Without `host`, rules about roles there, each with the name of its entry.
    pub(crate) roles: Vec<(String, RoleRule)>,
    /// What passes there without a session, as `access.public`.
    pub(crate) public: Vec<String>,
    /// How the gate itself signs in to it.
    pub(crate) service: ServiceAccount,
    /// Where a member lands who opened `/apps/<name>/`.
    pub(crate) home: String,
    /// The same on a phone.
    pub(crate) home_mobile: String,
    /// Make a user there for a member who matches nobody.
    pub(crate) auto_create_user: bool,
    /// Roles of users that the gate makes there; empty: the application's default role.
    pub(crate) default_roles: Vec<String>,
}

impl NocoBase {
    /// Does it lie below `/apps/<name>/`, at the main application's host name?
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

/// The account that finds, makes and binds users.
#[derive(Debug, Clone)]
pub(crate) enum ServiceAccount {
    /// An API key made in NocoBase.
    Token(SecretString),
    /// The gate mints a token for this user id.
    User(u64),
}
