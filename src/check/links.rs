//! What to enter in WeCom's console.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::config::{Config, WeComEntry};

/// What to paste into WeCom's console for one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Links {
    /// Name of the entry.
    pub(crate) entry: String,
    /// Application home page on a desktop.
    pub(crate) home_desktop: String,
    /// Application home page on a phone.
    pub(crate) home_mobile: String,
    /// Authorised callback domain and trusted domain: the host, with a port unless it is the default one.
    pub(crate) callback_domain: String,
    /// URL of the receive-message callback.
    pub(crate) event_url: String,
    /// Where WeCom looks for the domain verification files.
    pub(crate) verify_urls: Vec<String>,
}

/// What to paste into WeCom's console.
fn links(config: &Config, entry: &WeComEntry) -> Links {
    let origin = config.origin.url();
    let home = |path: &str| {
        if entry.auto_login {
            format!("{origin}{path}")
        } else {
            // Without automatic sign-in, the link itself must name the entry.
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

/// The same for every entry, of every application.
pub(crate) fn all_links(config: &Config) -> Vec<Links> {
    let with_host = config.nocobase.apps.iter().filter(|app| app.host.is_some());
    let configs = with_host.map(|app| config.of_application(app));
    std::iter::once(config.clone())
        .chain(configs)
        .flat_map(|config| config.wecom.iter().map(|entry| links(&config, entry)).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
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

    pub(in crate::check) fn two() -> Config {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";
        let env = [("WECOM_GATE__SESSION__KEYS", key), ("WECOM_GATE__SESSION__KEYS_FILE", "")];
        load_str(TWO, env.map(|(k, v)| (k.to_owned(), v.to_owned()))).unwrap().config
    }

    #[test]
    fn links_are_those_to_enter_in_wecom() {
        let config = two();
        let first = links(&config, &config.wecom[0]);
        assert_eq!(first.home_desktop, "https://nb.example.com:8443/admin");
        assert_eq!(first.home_mobile, "https://nb.example.com:8443/m");
        assert_eq!(first.callback_domain, "nb.example.com:8443");
        assert_eq!(first.event_url, "https://nb.example.com:8443/wecom-gate/events/wecom");
        assert_eq!(first.verify_urls, ["https://nb.example.com:8443/WW_verify_abc.txt"]);
        let other = links(&config, &config.wecom[1]);
        let login = "https://nb.example.com:8443/wecom-gate/login?rd=/admin%3Ftab%3Da%26x%3D1&with=other";
        assert_eq!(other.home_desktop, login);
    }
}
