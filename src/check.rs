//! `wecom-gate check`: every step of setting up, one by one, each with what to do where it fails; and the links to
//! paste into WeCom's console.
//!
//! Must never: change anything, or show a secret.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::config::{Config, ConfigError, ConfigErrors, Loaded, WeComEntry};

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, but deserves a second look.
    Warning,
    /// Must be put right.
    Failed,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: a key of the configuration, or what was looked at.
    pub about: String,
    /// Its value, as it would be written in TOML; never a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where that was written: `line 12`, or a variable of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What was found.
    pub what: String,
    /// What to do about it; empty where nothing need be done.
    pub remedy: String,
}

/// One step of setting up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Never changes: `configuration`, ...
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found; empty where all is well.
    pub findings: Vec<Finding>,
}

/// What to paste into WeCom's console for one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Links {
    /// Name of the entry.
    pub entry: String,
    /// Application home page on a desktop.
    pub home_desktop: String,
    /// Application home page on a phone.
    pub home_mobile: String,
    /// Authorised callback domain and trusted domain: host, and port where it is not the usual one.
    pub callback_domain: String,
    /// URL of the receive-message callback.
    pub event_url: String,
    /// Where WeCom looks for the domain verification files.
    pub verify_urls: Vec<String>,
}

/// All steps, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// No step has failed.
    pub ok: bool,
    /// In the order in which they were taken.
    pub steps: Vec<Step>,
    /// One per `[[wecom]]`; none while the configuration is wrong.
    pub links: Vec<Links>,
}

impl Report {
    /// From the steps that were taken; a step that needs the configuration is only taken when there is one.
    pub fn new(steps: Vec<Step>, config: Option<&Config>) -> Self {
        let links = config.map(|c| c.wecom.iter().map(|entry| links(c, entry)).collect()).unwrap_or_default();
        Self { ok: steps.iter().all(|s| s.outcome != Outcome::Failed), steps, links }
    }
}

/// The first step: is the configuration right?
pub fn configuration(loaded: &Result<Loaded, ConfigErrors>) -> Step {
    let (outcome, findings) = match loaded {
        Ok(Loaded { warnings, .. }) => {
            let outcome = if warnings.is_empty() { Outcome::Ok } else { Outcome::Warning };
            (outcome, warnings.iter().map(|w| finding(w)).collect())
        }
        Err(errors) => {
            let of = |e: &ConfigError| Finding {
                about: e.key.clone(),
                value: e.value.clone(),
                place: e.place.clone(),
                what: e.problem.clone(),
                remedy: e.remedy.clone(),
            };
            (Outcome::Failed, errors.0.iter().map(of).collect())
        }
    };
    Step { name: "configuration", outcome, findings }
}

fn finding(warning: &str) -> Finding {
    let (about, what) = warning.split_once(": ").unwrap_or(("", warning));
    Finding { about: about.into(), value: None, place: None, what: what.into(), remedy: String::new() }
}

/// What to paste into WeCom's console.
pub fn links(config: &Config, entry: &WeComEntry) -> Links {
    let origin = config.origin.url();
    let home = |path: &str| {
        if entry.auto_login {
            format!("{origin}{path}")
        } else {
            // Without automatic login the link itself has to say who signs in.
            const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');
            let rd = utf8_percent_encode(path, KEEP);
            format!("{origin}/wecom-gate/login?rd={rd}&with={}", entry.name)
        }
    };
    Links {
        entry: entry.name.clone(),
        home_desktop: home(&entry.home),
        home_mobile: home(&entry.home_mobile),
        callback_domain: config.origin.authority(),
        event_url: format!("{origin}/wecom-gate/events/{}", entry.name),
        verify_urls: entry.verify_files.iter().map(|file| format!("{origin}/{file}")).collect(),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.about)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}", self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "\n       -> {}", self.remedy)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let mark = match step.outcome {
                Outcome::Ok => "ok     ",
                Outcome::Warning => "warning",
                Outcome::Failed => "FAILED ",
            };
            writeln!(f, "{mark} {}", step.name)?;
            for (i, finding) in step.findings.iter().enumerate() {
                writeln!(f, "  {:>3}. {finding}", i + 1)?;
            }
        }
        for links in &self.links {
            writeln!(f, "\nFor WeCom's console, entry \"{}\":", links.entry)?;
            writeln!(f, "  Application home page, desktop   {}", links.home_desktop)?;
            writeln!(f, "  Application home page, mobile    {}", links.home_mobile)?;
            writeln!(f, "  Callback and trusted domain      {}", links.callback_domain)?;
            writeln!(f, "  Receive messages, URL (optional) {}", links.event_url)?;
            for url in &links.verify_urls {
                writeln!(f, "  Domain verification file         {url}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_str;

    const TWO: &str = r#"
        origin = "https://NB.example.com:8443"
        upstream.nodes = ["127.0.0.1:13000"]
        nocobase = { jwt_secret = "0123456789abcdef0123456789abcdef", service_user = 1 }
        session.keys_file = "/nonexistent"
        [[wecom]]
        corp_id = "ww0123456789abcdef"
        agent_id = "1"
        secret = "s"
        auto_login = true
        home_mobile = "/m"
        verify_files = ["WW_verify_abc.txt"]
        [[wecom]]
        name = "other"
        corp_id = "ww0123456789abcdef"
        agent_id = "2"
        secret = "s"
        home = "/admin?tab=a&x=1"
    "#;

    fn two() -> Config {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";
        let env = [("WECOM_GATE__SESSION__KEYS", key), ("WECOM_GATE__SESSION__KEYS_FILE", "")];
        load_str(TWO, env.map(|(k, v)| (k.to_owned(), v.to_owned()))).unwrap().config
    }

    #[test]
    fn links_are_what_wecom_has_to_be_told() {
        let config = two();
        let report = Report::new(vec![], Some(&config));
        let first = &report.links[0];
        assert_eq!(first.home_desktop, "https://nb.example.com:8443/admin");
        assert_eq!(first.home_mobile, "https://nb.example.com:8443/m");
        assert_eq!(first.callback_domain, "nb.example.com:8443");
        assert_eq!(first.event_url, "https://nb.example.com:8443/wecom-gate/events/wecom");
        assert_eq!(first.verify_urls, ["https://nb.example.com:8443/WW_verify_abc.txt"]);
        let other = &report.links[1];
        let login = "https://nb.example.com:8443/wecom-gate/login?rd=/admin%3Ftab%3Da%26x%3D1&with=other";
        assert_eq!(other.home_desktop, login);
        assert!(report.to_string().contains(login));
    }

    #[test]
    fn every_error_of_the_configuration_is_a_finding() {
        let step = configuration(&load_str("oirgin = 'x'", []));
        assert_eq!(step.outcome, Outcome::Failed);
        assert!(step.findings.iter().any(|f| f.about == "oirgin" && f.remedy == "did you mean `origin`?"));
        let report = Report::new(vec![step], None);
        assert!(!report.ok && report.links.is_empty());
        assert!(report.to_string().starts_with("FAILED  configuration"));
    }

    #[test]
    fn warnings_do_not_fail() {
        let mut loaded = Loaded { config: two(), warnings: vec!["origin: is plain http".into()] };
        let report = Report::new(vec![configuration(&Ok(loaded.clone()))], Some(&loaded.config));
        assert!(report.ok);
        assert_eq!(report.steps[0].outcome, Outcome::Warning);
        assert_eq!(report.steps[0].findings[0].about, "origin");
        loaded.warnings.clear();
        assert_eq!(configuration(&Ok(loaded)).outcome, Outcome::Ok);
    }
}
