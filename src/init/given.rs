//! Options from the command line and the environment. `init` asks for the rest.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `init`. Secrets are not options, because every user of the machine can see those: they come from files or from the
/// environment.
#[derive(Debug, Clone, Default, Args)]
pub struct Given {
    /// Ask nothing: everything comes from options, environment and an existing configuration
    #[arg(long)]
    pub yes: bool,
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Language of questions and of the steps for WeCom's console; default: that of the terminal
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
    /// Folder for the configuration and its secrets
    #[arg(long, value_name = "DIR", default_value = "/etc/wecom-gate")]
    pub dir: PathBuf,
    /// Group that reads them, the gate's; only root can give files to a group
    #[arg(long, value_name = "GROUP", default_value = "wecom-gate")]
    pub group: String,
    /// The address that people open
    #[arg(long, value_name = "URL", env = "WECOM_GATE_INIT_ORIGIN")]
    pub origin: Option<String>,
    /// Where the gate listens for plain HTTP, behind a proxy; default: 127.0.0.1:8080
    #[arg(long, value_name = "IP:PORT", env = "WECOM_GATE_INIT_LISTEN")]
    pub listen: Option<String>,
    /// Address or network of the proxy in front, may be repeated; default: 127.0.0.1
    #[arg(long, value_name = "IP", env = "WECOM_GATE_INIT_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<String>,
    /// NocoBase's host and port; default: 127.0.0.1:13000
    #[arg(long, value_name = "HOST:PORT", env = "WECOM_GATE_INIT_NOCOBASE")]
    pub nocobase: Option<String>,
    /// NocoBase's APP_PUBLIC_PATH; default: /
    #[arg(long, value_name = "PATH", env = "WECOM_GATE_INIT_PUBLIC_PATH")]
    pub public_path: Option<String>,
    /// E-mail address or user name of NocoBase's administrator. Never stored.
    ///
    /// The password comes from --nocobase-password-file or WECOM_GATE_INIT_NOCOBASE_PASSWORD.
    #[arg(long, value_name = "ACCOUNT", env = "WECOM_GATE_INIT_NOCOBASE_ACCOUNT")]
    pub nocobase_account: Option<String>,
    /// File with the administrator's password
    #[arg(long, value_name = "FILE", env = "WECOM_GATE_INIT_NOCOBASE_PASSWORD_FILE")]
    pub nocobase_password_file: Option<PathBuf>,
    /// NocoBase's folder, to find its secret in; without it, this machine is searched
    #[arg(long, value_name = "DIR", env = "WECOM_GATE_INIT_NOCOBASE_DIR")]
    pub nocobase_dir: Option<PathBuf>,
    /// File with NocoBase's secret (jwt_secret.dat, or APP_KEY); or WECOM_GATE_INIT_JWT_SECRET
    #[arg(long, value_name = "FILE", env = "WECOM_GATE_INIT_JWT_SECRET_FILE")]
    pub jwt_secret_file: Option<PathBuf>,
    /// CorpID
    #[arg(long, value_name = "ID", env = "WECOM_GATE_INIT_CORP_ID")]
    pub corp_id: Option<String>,
    /// AgentId of the app
    #[arg(long, value_name = "ID", env = "WECOM_GATE_INIT_AGENT_ID")]
    pub agent_id: Option<String>,
    /// File with the app's Secret; or WECOM_GATE_INIT_SECRET
    #[arg(long, value_name = "FILE", env = "WECOM_GATE_INIT_SECRET_FILE")]
    pub secret_file: Option<PathBuf>,
    /// Who gets an account in NocoBase
    #[arg(long, value_name = "WHO", env = "WECOM_GATE_INIT_ACCOUNTS")]
    pub accounts: Option<Policy>,
    /// Name of WeCom's domain verification file, WW_verify_....txt
    #[arg(long, value_name = "NAME", env = "WECOM_GATE_INIT_VERIFY_FILE")]
    pub verify_file: Option<String>,
    /// URL of WeCom's API in private deployments (and in simulators)
    #[arg(long, value_name = "URL", env = "WECOM_GATE_INIT_API_BASE")]
    pub api_base: Option<String>,
    /// URL of its sign-in page inside WeCom's client
    #[arg(long, value_name = "URL", env = "WECOM_GATE_INIT_AUTHORIZE_URL")]
    pub authorize_url: Option<String>,
    /// URL of its sign-in page for other browsers
    #[arg(long, value_name = "URL", env = "WECOM_GATE_INIT_WEB_LOGIN_URL")]
    pub web_login_url: Option<String>,
}

impl Given {
    /// The same without empty values, such as an unset variable that a compose file passes on.
    pub(super) fn without_blanks(&self) -> Self {
        let mut given = self.clone();
        for text in [
            &mut given.origin,
            &mut given.listen,
            &mut given.nocobase,
            &mut given.public_path,
            &mut given.nocobase_account,
            &mut given.corp_id,
            &mut given.agent_id,
            &mut given.verify_file,
            &mut given.api_base,
            &mut given.authorize_url,
            &mut given.web_login_url,
        ] {
            *text = text.take().filter(|t| !t.trim().is_empty());
        }
        given.trusted_proxy.retain(|p| !p.trim().is_empty());
        given
    }
}

/// Languages of `init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English
    En,
    /// 中文
    Zh,
}

impl Language {
    /// From `LC_ALL`, `LC_MESSAGES` or `LANG` in the environment.
    pub(super) fn of(env: &[(String, String)]) -> Self {
        let value = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| env.iter().find(|(n, v)| n == name && !v.is_empty()))
            .map(|(_, v)| v.to_ascii_lowercase());
        if value.is_some_and(|v| v.starts_with("zh")) { Self::Zh } else { Self::En }
    }
}

/// Who gets an account in NocoBase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Members whose phone number a NocoBase user has
    Match,
    /// Those, and for every other member a new user is made
    Create,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_the_terminal() {
        for (env, want) in [
            (&[("LANG", "zh_CN.UTF-8")][..], Language::Zh),
            (&[("LANG", "de_DE.UTF-8")], Language::En),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], Language::En),
            (&[("LC_ALL", ""), ("LANG", "ZH_TW")], Language::Zh),
            (&[], Language::En),
        ] {
            let env: Vec<_> = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(Language::of(&env), want, "{env:?}");
        }
    }
}
