//! `[pages]`, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Pages {
    /// Name of the company or the app, above every page. Without it, the app's name in WeCom's console.
    pub title: String,
    /// Picture beside it: a PNG, JPEG, GIF, WebP or SVG file of 100 KiB at most. Without it, the app's picture in WeCom's console,
    /// unless there is a `title`.
    pub logo_file: String,
    /// Colour of buttons, such as `#0958d9`; white text on it must be readable.
    pub accent: String,
    /// Whom to ask, below every page, below NocoBase's own sign-in form, and in the strip after the end of a session.
    pub help: Vec<Help>,
    /// Folder with texts in place of the gate's own: files `zh.ftl`, `en.ftl` and so on, in Fluent's syntax, with the keys of
    /// `src/pages/texts`. Keys that are not there keep the gate's text.
    pub texts: String,
    /// While this file exists, the app is closed for maintenance: people see a page with the file's text (up to 500 characters),
    /// programs get 503 as JSON; members in `access.admins` who are signed in work on. `wecom-gate maintenance on` makes it, `off`
    /// removes it; the gate looks once a second. `""` switches this off.
    pub maintenance_file: String,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            title: String::new(),
            logo_file: String::new(),
            accent: String::new(),
            help: Vec::new(),
            texts: String::new(),
            maintenance_file: "/run/wecom-gate/maintenance".into(),
        }
    }
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Help {
    /// Language of this text, such as `zh`; without it, for all languages that have none of their own.
    pub language: String,
    /// **Required.** What people read, such as `Ask the IT desk, ext. 1234`.
    pub text: String,
    /// Where a tap on it leads: an address that begins with `https:`, `http:`, `mailto:` or `tel:`.
    pub link: String,
}
