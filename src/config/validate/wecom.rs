//! `[[wecom]]`: one app of one company each.

use std::collections::{BTreeMap, HashMap};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::super::raw;
use super::super::report::{Report, join};
use super::super::role;
use super::super::types::{EventKeys, Group, RoleRule, WeComEntry};
use super::{secrets, values};

/// The gate's own pages, which cannot be a home page.
const OWN_PATHS: &str = "/wecom-gate/";
/// WeCom's public API, where CorpIDs have one well-known form.
const PUBLIC_API: &str = "qyapi.weixin.qq.com";

/// `owners`: the application that an entry belongs to, unless it is the main one. Rules about "the only entry" and "one of them"
/// apply to the entries of one application.
pub(super) fn entries(
    raw: Vec<raw::WeCom>,
    owners: &HashMap<String, String>,
    public_path: &str,
    report: &mut Report,
) -> Option<Vec<WeComEntry>> {
    if raw.is_empty() {
        report.error(
            "wecom",
            "is missing",
            "give at least one [[wecom]] block: corp_id, agent_id and secret of an app",
        );
    }
    let owner = |name: &str| owners.get(name).cloned().unwrap_or_default();
    let mut siblings: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &raw {
        *siblings.entry(owner(&entry.name)).or_default() += 1;
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut titles: HashMap<(String, String), usize> = HashMap::new();
    let mut auto: HashMap<String, usize> = HashMap::new();
    let mut list = Vec::with_capacity(raw.len());
    for (i, entry) in raw.into_iter().enumerate() {
        let at = format!("wecom[{i}]");
        if let Some(first) = names.get(&entry.name) {
            let problem = format!("is also the name of wecom[{first}]");
            report.bad(&join(&at, "name"), &entry.name, problem, "give each entry a name of its own");
        } else {
            names.insert(entry.name.clone(), i);
        }
        let owner = owner(&entry.name);
        let alone = siblings.get(&owner) == Some(&1);
        if let Some(first) = titles.get(&(owner.clone(), entry.title.clone())) {
            let problem =
                format!("looks the same as that of wecom[{first}]: their buttons cannot be told apart");
            report.warn(&join(&at, "title"), problem);
        } else {
            titles.insert((owner.clone(), entry.title.clone()), i);
        }
        if entry.auto_login.unwrap_or(alone) {
            if let Some(first) = auto.get(&owner) {
                let problem = format!("wecom[{first}] has it already");
                report.bad(
                    &join(&at, "auto_login"),
                    "true",
                    problem,
                    "only one entry may have auto_login = true",
                );
            } else {
                auto.insert(owner, i);
            }
        }
        list.push(self::entry(&at, entry, alone, public_path, report));
    }
    for (owner, _) in siblings.iter().filter(|(owner, count)| **count > 1 && !auto.contains_key(*owner)) {
        let of = if owner.is_empty() { String::new() } else { format!(" of the application {owner}") };
        report.warn(
            "wecom",
            format_args!("no entry{of} has auto_login: members inside WeCom must choose on the sign-in page"),
        );
    }
    list.into_iter().collect()
}

fn entry(
    at: &str,
    raw: raw::WeCom,
    alone: bool,
    public_path: &str,
    report: &mut Report,
) -> Option<WeComEntry> {
    let before = report.errors.len();
    let key = |name: &str| join(at, name);
    if !name_fits(&raw.name) {
        report.bad(&key("name"), &raw.name, "is not a name", "use 1 to 50 of A-Z a-z 0-9 _ -");
    }
    if raw.title.trim().is_empty() || raw.title.chars().any(char::is_control) {
        report.bad(&key("title"), &raw.title, "is not a title", "give the text for the sign-in button");
    }
    ids(at, &raw, report);
    let secret = secrets::text(at, "secret", &raw.secret, &raw.secret_file, report);
    if matches!(secret, Ok(None)) {
        report.error(
            &key("secret"),
            "is missing",
            "copy the app's Secret from WeCom's console, \"App Management\"",
        );
    }
    let events = events(at, &raw, report);
    let home = if raw.home.is_empty() { format!("{public_path}admin") } else { raw.home };
    let home_mobile = if raw.home_mobile.is_empty() { home.clone() } else { raw.home_mobile };
    for (name, path) in [("home", &home), ("home_mobile", &home_mobile)] {
        if !values::is_path(path) || path.starts_with(OWN_PATHS) {
            let remedy = "give a path of NocoBase that begins with one /, such as \"/admin\"";
            report.bad(&key(name), path, "cannot be a home page", remedy);
        } else if !path.starts_with(public_path) {
            report.warn(&key(name), format_args!("lies outside nocobase.public_path ({public_path})"));
        }
    }
    for (i, file) in raw.verify_files.iter().enumerate() {
        let token = file.strip_prefix("WW_verify_").and_then(|f| f.strip_suffix(".txt"));
        if !token.is_some_and(|t| alphanumeric(t, 1, 64)) {
            let problem = "is not the name of a verification file";
            let remedy = "give the name only, such as \"WW_verify_7rG3kjVbXHngiald.txt\"";
            report.bad(&key(&format!("verify_files[{i}]")), file, problem, remedy);
        }
    }
    for (i, user) in raw.allow_users.iter().enumerate() {
        if user.is_empty() || user.len() > 64 || user.chars().any(|c| c.is_whitespace() || c.is_control()) {
            report.bad(
                &key(&format!("allow_users[{i}]")),
                user,
                "is not a userid",
                "give a userid of 1 to 64 bytes",
            );
        }
    }
    let api_base = values::address(&key("api_base"), &raw.api_base, false, report);
    let authorize_url = values::address(&key("authorize_url"), &raw.authorize_url, true, report);
    let web_login_url = values::address(&key("web_login_url"), &raw.web_login_url, true, report);
    if api_base.as_ref().is_some_and(|u| u.host_str() == Some(PUBLIC_API)) && !usual_corp_id(&raw.corp_id) {
        report.warn(&key("corp_id"), "does not look like a CorpID of WeCom (ww and 16 of 0-9 a-f)");
    }
    for (name, path) in [("userinfo_path", &raw.userinfo_path), ("userdetail_path", &raw.userdetail_path)] {
        if !values::is_path(path) || path.contains(['?', '#']) {
            let remedy = "give the path of the call, such as \"/cgi-bin/auth/getuserinfo\"";
            report.bad(&key(name), path, "is not a path", remedy);
        }
    }
    let http_proxy = http_proxy(at, &raw.http_proxy, &raw.http_proxy_file, report);
    let roles = roles(&key("roles"), raw.roles, report);
    if report.errors.len() > before {
        return None;
    }
    Some(WeComEntry {
        name: raw.name,
        title: raw.title,
        corp_id: raw.corp_id,
        agent_id: raw.agent_id,
        secret: secret.ok()??,
        auto_login: raw.auto_login.unwrap_or(alone),
        home,
        home_mobile,
        verify_files: raw.verify_files,
        allow_departments: raw.allow_departments,
        allow_tags: raw.allow_tags,
        allow_users: raw.allow_users,
        events: events.ok()?,
        api_base: api_base?,
        authorize_url: authorize_url?,
        web_login_url: web_login_url?,
        userinfo_path: raw.userinfo_path,
        userdetail_path: raw.userdetail_path,
        http_proxy: http_proxy.ok()?,
        roles,
    })
}

fn ids(at: &str, raw: &raw::WeCom, report: &mut Report) {
    let corp_id = &raw.corp_id;
    let remedy = "copy the CorpID from WeCom's console, \"My Company\", such as \"ww0123456789abcdef\"";
    if corp_id.is_empty() {
        report.error(&join(at, "corp_id"), "is missing", remedy);
    } else if !(corp_id.starts_with('w') && name_fits(corp_id) && corp_id.len() >= 6) {
        report.bad(&join(at, "corp_id"), corp_id, "is not a CorpID", remedy);
    }
    let agent_id = &raw.agent_id;
    let remedy = "copy the app's AgentId from WeCom's console, \"App Management\", such as \"1000002\"";
    if agent_id.is_empty() {
        report.error(&join(at, "agent_id"), "is missing", remedy);
    } else if agent_id.len() > 20 || !agent_id.bytes().all(|b| b.is_ascii_digit()) {
        report.bad(&join(at, "agent_id"), agent_id, "is not an AgentId", remedy);
    }
}

fn usual_corp_id(text: &str) -> bool {
    let rest = text.strip_prefix("ww").or_else(|| text.strip_prefix("wx"));
    rest.is_some_and(|r| r.len() == 16 && r.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Also the form of every name of ours in paths and in NocoBase's tables.
fn name_fits(text: &str) -> bool {
    (1..=50).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn alphanumeric(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// `Err` if invalid (reported), `Ok(None)` if not given.
fn events(at: &str, raw: &raw::WeCom, report: &mut Report) -> Result<Option<EventKeys>, ()> {
    let token = secrets::text(at, "event_token", &raw.event_token, &raw.event_token_file, report);
    let aes_key = secrets::text(at, "event_aes_key", &raw.event_aes_key, &raw.event_aes_key_file, report);
    let (token, aes_key) = (token?, aes_key?);
    let mut fits = |name: &str, secret: &SecretString, least: usize, most: usize, form: &str| {
        if !alphanumeric(secret.expose_secret(), least, most) {
            report.error(
                &join(at, name),
                format!("is not {form}"),
                "copy it from \"Receive messages\" in WeCom's console",
            );
        }
    };
    if let Some(token) = &token {
        fits("event_token", token, 1, 32, "1 to 32 letters and digits");
    }
    if let Some(aes_key) = &aes_key {
        fits("event_aes_key", aes_key, 43, 43, "43 letters and digits");
    }
    match (token, aes_key) {
        (Some(token), Some(aes_key)) => Ok(Some(EventKeys { token, aes_key })),
        (None, None) => Ok(None),
        (token, _) => {
            let (missing, there) = if token.is_some() {
                ("event_aes_key", "event_token")
            } else {
                ("event_token", "event_aes_key")
            };
            let problem = format!("is missing, but {there} is set");
            report.error(&join(at, missing), problem, "give both (receive-message callback) or neither");
            Err(())
        }
    }
}

/// `Err` if invalid (reported), `Ok(None)` if not given. The address may contain a password: never shown.
fn http_proxy(at: &str, inline: &str, file: &str, report: &mut Report) -> Result<Option<Url>, ()> {
    let Some(text) = secrets::text(at, "http_proxy", inline, file, report)? else { return Ok(None) };
    let url = values::web_address(text.expose_secret());
    match url {
        Ok(url) if matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none() => {
            Ok(Some(url))
        }
        Ok(_) | Err(_) => {
            let remedy =
                "write http://host:port or http://user:password@host:port (special characters as %XX)";
            report.error(&join(at, "http_proxy"), "is not the address of a proxy", remedy);
            Err(())
        }
    }
}

fn roles(key: &str, raw: Vec<raw::Role>, report: &mut Report) -> Vec<RoleRule> {
    let mut rules = Vec::with_capacity(raw.len());
    for (i, rule) in raw.into_iter().enumerate() {
        let key = format!("{key}[{i}]");
        let name = rule.role;
        if name.trim().is_empty() {
            report.error(&join(&key, "role"), "is missing", "give the name of a NocoBase role");
        } else if role::is_root(&name) {
            report.bad(
                &join(&key, "role"),
                &name,
                "would make everyone in a department or with a tag an administrator of everything",
                "give another role; make single users root in NocoBase itself",
            );
        } else if !role::is_plain(&name) {
            let remedy =
                "give the role's \"Role UID\" in NocoBase, not its title: 1 to 100 of A-Z a-z 0-9 _ -";
            report.bad(&join(&key, "role"), &name, "is not the name of a role", remedy);
        }
        let group = match (rule.department, rule.tag) {
            (Some(id), None) => Group::Department(id),
            (None, Some(id)) => Group::Tag(id),
            _ => {
                report.error(&key, "needs exactly one of department and tag", "keep one of the two");
                continue;
            }
        };
        rules.push(RoleRule { group, role: name });
    }
    rules
}
