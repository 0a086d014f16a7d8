//! The answers so far, and a configuration for trying them.

use std::str::FromStr as _;

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use toml_edit::DocumentMut;

use super::document::{self, Setting, Settings};
use super::given::Policy;
use crate::config::{self, ConfigErrors, Loaded};

/// A session key for trials: nothing is ever sealed with it.
const TRIAL_KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";

/// All answers. An empty one has not been given yet.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) origin: String,
    /// Plain HTTP. `None`: the existing configuration has the addresses.
    pub(super) listen: Option<String>,
    pub(super) trusted_proxies: Option<Vec<String>>,
    pub(super) node: String,
    pub(super) public_path: String,
    pub(super) jwt_secret: SecretSlice<u8>,
    pub(super) corp_id: String,
    pub(super) agent_id: String,
    pub(super) secret: SecretString,
    pub(super) policy: Policy,
    pub(super) verify_file: Option<String>,
    /// Keys of `[[wecom]]` for private deployments, with their values.
    pub(super) urls: Vec<(&'static str, String)>,
}

impl Answers {
    /// A configuration with these answers, and with placeholders for those that are not given yet.
    pub(super) fn trial(&self) -> Result<Loaded, ConfigErrors> {
        let or = |text: &str, stand_in: &str| {
            Setting::Text(if text.is_empty() { stand_in.to_owned() } else { text.to_owned() })
        };
        let node = if self.node.is_empty() { "127.0.0.1:1" } else { &self.node };
        let mut settings: Settings = vec![
            ("", "origin", or(&self.origin, "https://origin.invalid")),
            ("upstream", "nodes", Setting::List(vec![node.to_owned()])),
            ("nocobase", "jwt_secret", Setting::Text("stand-in for a secret that follows below".into())),
            ("nocobase", "service_user", Setting::Number(1)),
            ("nocobase", "public_path", or(&self.public_path, "/")),
            ("wecom", "corp_id", or(&self.corp_id, "ww0000000000000000")),
            ("wecom", "agent_id", or(&self.agent_id, "1")),
            ("wecom", "secret", or(self.secret.expose_secret(), "x")),
            ("session", "keys", Setting::List(vec![TRIAL_KEY.to_owned()])),
        ];
        settings.extend(self.urls.iter().map(|(key, url)| ("wecom", *key, Setting::Text(url.clone()))));
        if let Some(file) = &self.verify_file {
            settings.push(("wecom", "verify_files", Setting::List(vec![file.clone()])));
        }
        let text = document::filled_in(Some(""), &settings).unwrap_or_default();
        let mut loaded = config::load_str(&text, [])?;
        loaded.warnings.clear();
        if !self.jwt_secret.expose_secret().is_empty() {
            loaded.config.nocobase.jwt_secret = self.jwt_secret.clone();
        }
        Ok(loaded)
    }
}

/// Values of the existing configuration, which answer questions.
#[derive(Debug, Clone, Default)]
pub(super) struct Existing {
    document: Option<DocumentMut>,
}

impl Existing {
    /// `None`: the text is not TOML.
    pub(super) fn read(text: Option<&str>) -> Option<Self> {
        match text {
            None => Some(Self::default()),
            Some(text) => DocumentMut::from_str(text).ok().map(|d| Self { document: Some(d) }),
        }
    }

    /// Whether a configuration exists.
    pub(super) fn is_there(&self) -> bool {
        self.document.is_some()
    }

    fn item(&self, section: &str, key: &str) -> Option<&toml_edit::Item> {
        let document = self.document.as_ref()?.as_table();
        match section {
            "" => document.get(key),
            "wecom" => document.get("wecom")?.as_array_of_tables()?.get(0)?.get(key),
            _ => document.get(section)?.as_table_like()?.get(key),
        }
    }

    /// A text that is not empty. `wecom`: from the first entry.
    pub(super) fn text(&self, section: &str, key: &str) -> Option<String> {
        self.item(section, key)?.as_str().filter(|t| !t.is_empty()).map(str::to_owned)
    }

    /// The first text of a list.
    pub(super) fn first(&self, section: &str, key: &str) -> Option<String> {
        self.item(section, key)?.as_array()?.iter().find_map(|v| v.as_str()).map(str::to_owned)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, section: &str, key: &str) -> Option<bool> {
        self.item(section, key)?.as_bool()
    }

    /// A number.
    pub(super) fn number(&self, section: &str, key: &str) -> Option<u64> {
        self.item(section, key)?.as_integer().and_then(|n| u64::try_from(n).ok())
    }

    /// Whether a list has any items, however it is written. `wecom`: in any entry.
    pub(super) fn has_any(&self, section: &str, key: &str) -> bool {
        let filled = |item: &toml_edit::Item| {
            item.as_array().is_some_and(|a| !a.is_empty())
                || item.as_array_of_tables().is_some_and(|a| !a.is_empty())
        };
        if section == "wecom" {
            let entries = self.document.as_ref().and_then(|d| d.get("wecom")?.as_array_of_tables());
            return entries.is_some_and(|e| e.iter().any(|entry| entry.get(key).is_some_and(filled)));
        }
        self.item(section, key).is_some_and(filled)
    }
}

/// What the gate's account must be able to do, from the answers and the existing configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// It creates users.
    pub(super) create_users: bool,
    /// It assigns roles to new users.
    pub(super) default_roles: bool,
    /// It changes users' roles by department or tag.
    pub(super) role_rules: bool,
    /// It updates users' names and addresses.
    pub(super) profiles: bool,
}

impl Needs {
    pub(super) fn of(policy: Policy, existing: &Existing) -> Self {
        Self {
            create_users: policy == Policy::Create,
            default_roles: existing.has_any("nocobase", "default_roles"),
            role_rules: existing.has_any("wecom", "roles"),
            profiles: existing.has_any("nocobase", "update_profile"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::init) fn answers() -> Answers {
        Answers {
            origin: "https://nb.example.com".into(),
            listen: Some("127.0.0.1:8080".into()),
            trusted_proxies: Some(vec!["127.0.0.1".into()]),
            node: "127.0.0.1:13000".into(),
            public_path: String::new(),
            jwt_secret: b"\x00\xff raw bytes of a secret".to_vec().into(),
            corp_id: "ww0123456789abcdef".into(),
            agent_id: "1000002".into(),
            secret: "CANARY".into(),
            policy: Policy::Match,
            verify_file: None,
            urls: Vec::new(),
        }
    }

    #[test]
    fn answers_become_a_configuration_to_try() {
        let mut answers = answers();
        let loaded = answers.trial().unwrap();
        assert_eq!(loaded.config.nocobase.jwt_secret.expose_secret(), b"\x00\xff raw bytes of a secret");
        answers.secret = "quote \" and \\ and newline".into();
        assert!(answers.trial().is_err(), "spaces in a secret");
        (answers.secret, answers.origin) = ("a\"b\\c".into(), "nb.example.com".into());
        let errors = answers.trial().unwrap_err();
        assert_eq!(errors.0.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), ["origin"]);
        assert!(!format!("{answers:?}").contains("a\\\"b"), "a secret is shown");
    }

    #[test]
    fn existing_settings_answer_questions() {
        let text = "origin = 'https://a'\nupstream.nodes = ['n:1']\nnocobase = { service_user = 7 }\n[[wecom]]\ncorp_id = 'ww1'\nsecret = ''\n[[wecom.roles]]\ntag = 1\n";
        let existing = Existing::read(Some(text)).unwrap();
        assert_eq!(existing.text("", "origin").as_deref(), Some("https://a"));
        assert_eq!(existing.first("upstream", "nodes").as_deref(), Some("n:1"));
        assert_eq!(existing.number("nocobase", "service_user"), Some(7));
        assert_eq!(
            (existing.text("wecom", "corp_id").as_deref(), existing.text("wecom", "secret")),
            (Some("ww1"), None)
        );
        assert!(Needs::of(Policy::Match, &existing).role_rules);
        assert!(Existing::read(Some("= broken")).is_none());
        assert!(!Existing::read(None).unwrap().is_there());
    }
}
