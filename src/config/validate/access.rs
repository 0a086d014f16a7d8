//! `[access]`: who passes without a session, and which proxies are trusted.

use secrecy::ExposeSecret;

use super::super::raw;
use super::super::report::Report;
use super::super::role;
use super::super::types::{Access, Admins};
use super::{secrets, values};
use crate::decide::rules::PublicRules;

/// Shortest `access.forward_auth_secret`, in characters.
const MIN_FORWARD_AUTH_SECRET: usize = 16;

pub(super) fn access(
    raw: raw::Access,
    public_path: &str,
    entries: &[String],
    report: &mut Report,
) -> Option<Access> {
    public_rules("access.public", &raw.public, public_path, report);
    let bypass_networks = values::networks("access.bypass_networks", &raw.bypass_networks, report);
    let admins = admins(&raw.admins, entries, report);
    let trusted_proxies = values::networks("access.trusted_proxies", &raw.trusted_proxies, report);
    let (inline, file) = (&raw.forward_auth_secret, &raw.forward_auth_secret_file);
    let forward_auth_secret = secrets::text("access", "forward_auth_secret", inline, file, report);
    if let Ok(Some(secret)) = &forward_auth_secret {
        let key = "access.forward_auth_secret";
        if secret.expose_secret().len() < MIN_FORWARD_AUTH_SECRET {
            report.error(key, "is short enough to be guessed", "create one: openssl rand -base64 24");
        }
        if raw.trusted_proxies.is_empty() {
            report.error(key, "has no effect without a proxy", "name the proxy in access.trusted_proxies");
        }
    }
    Some(Access {
        browsers: raw.browsers,
        password_login: raw.password_login,
        api_keys: raw.api_keys,
        public: raw.public,
        preflights: raw.preflights,
        temporary_file_links: raw.temporary_file_links,
        bypass_networks: bypass_networks?,
        admins: admins?,
        trusted_proxies: trusted_proxies?,
        forward_auth_secret: forward_auth_secret.ok()?,
    })
}

/// What passes without a session, under this key.
pub(super) fn public_rules(key: &str, rules: &[String], public_path: &str, report: &mut Report) {
    for error in PublicRules::parse(rules, public_path).err().unwrap_or_default() {
        report.bad(&format!("{key}[{}]", error.index), &error.rule, "is not a rule", error.problem);
    }
    let everywhere = |rule: &str| rule.trim_end_matches('/').ends_with(" /**");
    for (i, rule) in rules.iter().enumerate().filter(|(_, rule)| everywhere(rule)) {
        report.warn(&format!("{key}[{i}]"), format_args!("\"{rule}\" lets everyone pass everywhere"));
    }
}

/// `entries`: names of the WeCom entries.
fn admins(raw: &[String], entries: &[String], report: &mut Report) -> Option<Admins> {
    let mut admins = Admins::default();
    let mut good = true;
    for (i, admin) in raw.iter().enumerate() {
        let key = format!("access.admins[{i}]");
        let mut bad = |what: &str, remedy: &str| {
            report.bad(&key, admin, what, remedy);
            good = false;
        };
        match (admin.strip_prefix("role:"), admin.split_once('/')) {
            (Some(role), _) if role::is_plain(role) => admins.roles.push(role.to_owned()),
            (Some(_), _) => bad(
                "is not the name of a role",
                "give the name (not the title) of a NocoBase role, such as role:root",
            ),
            (None, Some((entry, _))) if !entries.iter().any(|known| known == entry) => {
                bad("names no [[wecom]] entry before the /", &format!("give one of: {}", entries.join(", ")));
            }
            (None, Some((entry, userid))) if is_userid(userid) => {
                admins.members.push((entry.to_owned(), userid.to_owned()));
            }
            (None, _) => bad(
                "is neither a member nor a role",
                "write <name of the [[wecom]] entry>/<userid>, such as wecom/zhangsan, or role:root",
            ),
        }
    }
    good.then_some(admins)
}

/// The form of WeCom's userids (document 90195): up to 64 letters, digits, and `_-@.`
fn is_userid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-@.".contains(&b))
}
