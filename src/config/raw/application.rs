//! `[[nocobase.apps]]`, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Application {
    /// **Required.** NocoBase's name for the application, as in `/apps/<name>/`.
    pub name: String,
    /// An API key of this application, for the account there that finds, creates and binds users. Either this or
    /// `service_user` is **required**.
    #[schemars(extend("writeOnly" = true))]
    pub service_token: String,
    /// File that holds `service_token`.
    pub service_token_file: String,
    /// Id of the user of this application for whom the gate makes its own token, instead of `service_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub service_user: Option<u64>,
    /// Host name under which the application is opened, such as `crm.example.com`, instead of `/apps/<name>/`; scheme and port
    /// are those of `origin`. Needs `wecom`.
    pub host: String,
    /// Names of the `[[wecom]]` blocks through which people sign in at `host`, and nowhere else: WeCom redirects an app's
    /// sign-ins to one domain alone, so that a host name of its own needs an app of its own in WeCom's console.
    pub wecom: Vec<String>,
    /// Where a member lands who opened `/apps/<name>/`; by default `/apps/<name>/admin`. With `host`: who opened `/`; by default
    /// `/admin`.
    pub home: String,
    /// The same on a phone; by default `home`.
    pub home_mobile: String,
    /// Create a user in this application for a member who matches none.
    pub auto_create_user: bool,
    /// Roles of users that the gate creates there; empty: the application's default role.
    pub default_roles: Vec<String>,
    /// Requests to this application that need no session, as in `access.public`. Without `host` a request has to name the
    /// application (`X-App`, or `__appName` in its query), and words with `@` are not possible.
    pub public: Vec<String>,
}
