//! Companies, departments, members and apps: the file `members.toml`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use url::Url;

/// The members file that is built in.
const EMBEDDED: &str = include_str!("../members.toml");

/// Every company that the simulator plays.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The companies; corp ids are unique.
    pub companies: Vec<Company>,
}

/// Shows only sizes: the data contains the apps' secrets.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data").field("companies", &self.companies.len()).finish_non_exhaustive()
    }
}

/// One company (企业).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Company {
    /// CorpID.
    pub corp_id: String,
    /// Its display name.
    pub name: String,
    /// Companies whose members may open the apps of this one (互联企业).
    #[serde(default)]
    pub linked: Vec<String>,
    /// Secret of the contact-sync assistant (通讯录同步助手); it may list members, not use codes.
    #[serde(default)]
    pub contact_secret: String,
    /// Departments; the root is 1, its parent 0.
    #[serde(default)]
    pub departments: Vec<Department>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Members, whatever their status.
    #[serde(default)]
    pub members: Vec<Member>,
    /// People who are not members.
    #[serde(default)]
    pub externals: Vec<External>,
    /// Self-built apps.
    #[serde(default)]
    pub apps: Vec<App>,
}

/// A department.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Department {
    /// Its id.
    pub id: u64,
    /// The department above; 0 above the root.
    pub parent: u64,
    /// Its name.
    pub name: String,
    /// Its name in English.
    #[serde(default)]
    pub name_en: String,
}

/// A tag: members, and departments with everyone below them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Userids.
    #[serde(default)]
    pub members: Vec<String>,
    /// Department ids.
    #[serde(default)]
    pub departments: Vec<u64>,
    /// Apps (agent ids) that have no permission for it: 81011.
    #[serde(default)]
    pub denied_to: Vec<u64>,
}

/// A member (成员).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// 1-64 bytes, unique, case-insensitive.
    pub userid: String,
    /// Name.
    pub name: String,
    /// Name in Latin letters; `alias` in the API.
    #[serde(default)]
    pub name_en: String,
    /// Phone number as stored by WeCom: `138…`, or `+44-…` abroad; empty: none.
    #[serde(default)]
    pub mobile: String,
    /// E-mail address entered by the member.
    #[serde(default)]
    pub email: String,
    /// E-mail address in the company's domain.
    #[serde(default)]
    pub biz_mail: String,
    /// Department ids.
    #[serde(default)]
    pub departments: Vec<u64>,
    /// The main one; 0: the first of `departments`.
    #[serde(default)]
    pub main_department: u64,
    /// Departments that the member leads.
    #[serde(default)]
    pub leads: Vec<u64>,
    /// Job title.
    #[serde(default)]
    pub position: String,
    /// `0` unknown, `1` male, `2` female.
    #[serde(default)]
    pub gender: String,
    /// 1 active, 2 disabled, 4 not activated, 5 has left.
    #[serde(default = "active")]
    pub status: u8,
}

fn active() -> u8 {
    1
}

/// Someone who is not a member, but opens a link of the company in WeCom or WeChat.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// At most 64 bytes, unique in the company.
    pub openid: String,
    /// Set for customers.
    #[serde(default)]
    pub external_userid: String,
    /// Shown on the simulator's pages only.
    pub name: String,
    /// The member who looks after this customer; only apps that this member may use get `external_userid`.
    #[serde(default)]
    pub follower: String,
}

/// A self-built app (自建应用).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// AgentID.
    pub agent_id: u64,
    /// Its name.
    pub name: String,
    /// `corpsecret`.
    pub secret: String,
    /// Name of the `[[wecom]]` entry in the gate's configuration.
    #[serde(default = "default_entry")]
    pub entry: String,
    /// The gate's scheme, host and port.
    #[serde(default = "default_gate")]
    pub gate: String,
    /// Home page on a desktop: a path at the gate.
    #[serde(default = "default_home")]
    pub home: String,
    /// Home page on a phone.
    #[serde(default = "default_home")]
    pub home_mobile: String,
    /// 可信域名, `host` or `host:port`; empty: that of `gate`.
    #[serde(default)]
    pub trusted_domain: String,
    /// 授权回调域 of web login; empty: that of `gate`.
    #[serde(default)]
    pub callback_domain: String,
    /// Web login is set up.
    #[serde(default = "yes")]
    pub web_login: bool,
    /// 可见范围.
    #[serde(default)]
    pub visible: Visible,
    /// Sensitive fields that the administrator has selected: `mobile`, `email`, `biz_mail`, `gender`, `avatar`, `qr_code`,
    /// `address`.
    #[serde(default)]
    pub sensitive: Vec<String>,
    /// Created before 2022-06-20 20:00: `user/get` still returns sensitive fields.
    #[serde(default)]
    pub full_profile: bool,
    /// Switched off: 50003.
    #[serde(default)]
    pub closed: bool,
    /// Receive-message URL; empty: `<gate>/wecom-gate/events/<entry>`.
    #[serde(default)]
    pub event_url: String,
    /// Token of the receive-message callback; empty: not set up.
    #[serde(default)]
    pub event_token: String,
    /// EncodingAESKey: 43 characters.
    #[serde(default)]
    pub event_aes_key: String,
}

/// Who may use an app.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visible {
    /// Departments, with everything below them.
    #[serde(default)]
    pub departments: Vec<u64>,
    /// Tags, with their members and departments.
    #[serde(default)]
    pub tags: Vec<u64>,
    /// Userids.
    #[serde(default)]
    pub members: Vec<String>,
}

fn default_entry() -> String {
    "wecom".into()
}
fn default_gate() -> String {
    "http://127.0.0.1:8080".into()
}
fn default_home() -> String {
    "/".into()
}
fn yes() -> bool {
    true
}

/// The fields that need a member's consent (doc 95833).
pub const SENSITIVE: [&str; 7] = ["mobile", "email", "biz_mail", "gender", "avatar", "qr_code", "address"];

/// Why a members file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    /// Not TOML, or not of this shape.
    #[error("members file: {0}")]
    Parse(String),
    /// It contradicts itself: every contradiction, one per line.
    #[error("members file:\n  {}", .0.join("\n  "))]
    Invalid(Vec<String>),
}

impl Data {
    /// The built-in companies.
    ///
    /// # Errors
    /// Never, in a tested build.
    pub fn embedded() -> Result<Data, DataError> {
        Data::parse(EMBEDDED)
    }

    /// Reads a members file.
    ///
    /// # Errors
    /// If it cannot be read, or [`Data::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Data, DataError> {
        let text =
            std::fs::read_to_string(path).map_err(|e| DataError::Read(path.display().to_string(), e))?;
        Data::parse(&text)
    }

    /// Parses TOML.
    ///
    /// # Errors
    /// If it has the wrong structure, or contradicts itself.
    pub fn parse(text: &str) -> Result<Data, DataError> {
        // `message()` only: the whole error quotes the line, which may contain a secret.
        let data: Data = toml::from_str(text).map_err(|e| DataError::Parse(e.message().to_owned()))?;
        data.validated()
    }

    /// The same data, if it does not contradict itself.
    ///
    /// # Errors
    /// All contradictions at once.
    pub fn validated(self) -> Result<Data, DataError> {
        let mut wrong = Vec::new();
        let mut corps = BTreeSet::new();
        for c in &self.companies {
            if !corps.insert(&c.corp_id) {
                wrong.push(format!("corp_id {} appears twice", c.corp_id));
            }
            c.check(&mut wrong);
        }
        if self.companies.is_empty() {
            wrong.push("there is no company".into());
        }
        if wrong.is_empty() { Ok(self) } else { Err(DataError::Invalid(wrong)) }
    }

    /// The company with this CorpID.
    pub fn company(&self, corp_id: &str) -> Option<&Company> {
        self.companies.iter().find(|c| c.corp_id == corp_id)
    }

    /// The company with this CorpID, to change it.
    pub fn company_mut(&mut self, corp_id: &str) -> Option<&mut Company> {
        self.companies.iter_mut().find(|c| c.corp_id == corp_id)
    }

    /// An app.
    pub fn app(&self, corp_id: &str, agent_id: u64) -> Option<&App> {
        self.company(corp_id)?.app(agent_id)
    }

    /// Points every app to the gate at `origin`: home pages, trusted domain, callback domain, events.
    pub fn set_gate(&mut self, origin: &Url) {
        for app in self.companies.iter_mut().flat_map(|c| c.apps.iter_mut()) {
            app.gate = origin.origin().ascii_serialization();
            app.trusted_domain.clear();
            app.callback_domain.clear();
            app.event_url.clear();
        }
    }
}

impl Company {
    fn check(&self, wrong: &mut Vec<String>) {
        let corp = &self.corp_id;
        let mut ids = BTreeSet::new();
        for d in &self.departments {
            if d.id == 0 || !ids.insert(d.id) {
                wrong.push(format!("{corp}: department id {} is 0 or appears twice", d.id));
            }
            if d.parent != 0 && !self.departments.iter().any(|p| p.id == d.parent) {
                wrong
                    .push(format!("{corp}: department {} is below {}, which does not exist", d.id, d.parent));
            }
            if self.ancestors(d.id).last().is_none_or(|top| self.parent_of(*top) != Some(0)) {
                wrong.push(format!("{corp}: department {} does not reach the root", d.id));
            }
        }
        let mut seen = BTreeSet::new();
        for m in &self.members {
            if !userid_is_valid(&m.userid) || !seen.insert(m.userid.to_ascii_lowercase()) {
                wrong.push(format!("{corp}: userid {:?} is not valid or appears twice", m.userid));
            }
            if !matches!(m.status, 1 | 2 | 4 | 5) {
                wrong.push(format!("{corp}: status of {} must be 1, 2, 4 or 5", m.userid));
            }
            for d in m.departments.iter().chain(&m.leads).filter(|d| !ids.contains(d)) {
                wrong.push(format!("{corp}: {} is in department {d}, which does not exist", m.userid));
            }
        }
        let mut agents = BTreeSet::new();
        for a in &self.apps {
            if !agents.insert(a.agent_id) || self.apps.iter().filter(|b| b.secret == a.secret).count() > 1 {
                wrong.push(format!("{corp}: agent {} or its secret appears twice", a.agent_id));
            }
            if Url::parse(&a.gate).is_err() {
                wrong.push(format!("{corp}: agent {}: gate must be http://host:port", a.agent_id));
            }
            for f in a.sensitive.iter().filter(|f| !SENSITIVE.contains(&f.as_str())) {
                wrong.push(format!("{corp}: agent {}: no sensitive field is called {f}", a.agent_id));
            }
        }
    }
}

/// 1-64 bytes of letters, digits, `-`, `_`, `.`, `@`, the first a letter or digit (docs 90195, 90313).
pub(crate) fn userid_is_valid(userid: &str) -> bool {
    userid.len() <= 64
        && userid.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && userid.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'))
}
