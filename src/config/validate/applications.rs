//! `[[nocobase.apps]]`: more applications at one gate.
//!
//! NocoBase signs the tokens of all its applications with one secret, and each application accepts the others' tokens. So every
//! setting that lets a NocoBase token pass that the gate has not inserted itself would open one application with another's token
//! (R44), and is refused here.

use std::collections::HashMap;

use super::super::raw;
use super::super::report::Report;
use super::super::role;
use super::super::types::{Access, Application, NocoBase, Origin, TokenDelivery, WeComEntry};
use super::{access, secrets, service_account, values};
use crate::decide::Browsers;

/// NocoBase's main application.
const MAIN: &str = "main";

/// May this be the name of an application?
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The applications besides `nocobase.app`; `None` with errors in the report.
pub(super) fn applications(
    raw: Vec<raw::Application>,
    app: &str,
    public_path: &str,
    report: &mut Report,
) -> Option<Vec<Application>> {
    let before = report.errors.len();
    if !raw.is_empty() && app != MAIN {
        let remedy = "keep nocobase.app = \"main\": [[nocobase.apps]] are the others";
        report.bad("nocobase.app", app, "is given together with [[nocobase.apps]]", remedy);
    }
    let names: Vec<String> = raw.iter().map(|app| app.name.clone()).collect();
    let all: Vec<_> = raw
        .into_iter()
        .enumerate()
        .filter_map(|(i, app)| {
            let key = format!("nocobase.apps[{i}]");
            let twice = names.iter().take(i).any(|name| *name == app.name);
            application(app, &key, twice, public_path, report)
        })
        .collect();
    (report.errors.len() == before).then_some(all)
}

fn application(
    raw: raw::Application,
    key: &str,
    twice: bool,
    public_path: &str,
    report: &mut Report,
) -> Option<Application> {
    let name_key = format!("{key}.name");
    if !is_name(&raw.name) {
        let remedy = "copy the name from NocoBase's multi-app manager: A-Z a-z 0-9 _ -";
        report.bad(&name_key, &raw.name, "is not the name of an application", remedy);
    } else if raw.name == MAIN {
        let problem = "is nocobase.app, which the gate serves anyway";
        report.bad(&name_key, &raw.name, problem, "name only the others");
    } else if twice {
        report.bad(&name_key, &raw.name, "occurs twice", "remove one of the two");
    }
    let own = match raw.host.is_empty() {
        true => format!("{public_path}apps/{}/", raw.name),
        false => public_path.to_owned(),
    };
    let home = if raw.home.is_empty() { format!("{own}admin") } else { raw.home };
    let home_mobile = if raw.home_mobile.is_empty() { home.clone() } else { raw.home_mobile };
    for (name, path) in [("home", &home), ("home_mobile", &home_mobile)] {
        let is_gates = path.starts_with("/wecom-gate/");
        if !values::is_path(path) || !path.starts_with(&own) || path.contains("/.") || is_gates {
            let problem = "is not a page of this application";
            report.bad(
                &format!("{key}.{name}"),
                path,
                problem,
                format!("give a path that begins with {own}"),
            );
        }
    }
    for (i, name) in raw.default_roles.iter().enumerate() {
        if name.trim().is_empty() || role::is_root(name) {
            let problem = "must not be the role of every new user";
            report.bad(
                &format!("{key}.default_roles[{i}]"),
                name,
                problem,
                "give another role, or remove it",
            );
        }
    }
    host(&raw.host, &raw.wecom, key, report);
    let public_key = format!("{key}.public");
    access::public_rules(&public_key, &raw.public, public_path, report);
    let words =
        raw.public.iter().enumerate().filter(|(_, rule)| raw.host.is_empty() && rule.starts_with('@'));
    for (i, word) in words {
        let problem = "stands for files that belong to the main application as long as this one has no host";
        let remedy = "write out the rules for the calls, and name the files in access.public";
        report.bad(&format!("{public_key}[{i}]"), word, problem, remedy);
    }
    let token = secrets::text(key, "service_token", &raw.service_token, &raw.service_token_file, report);
    let service = service_account::service(key, token, raw.service_user, report)?;
    Some(Application {
        name: raw.name,
        host: Some(raw.host).filter(|host| !host.is_empty()),
        claimed: raw.wecom,
        entries: Vec::new(),
        roles: Vec::new(),
        public: raw.public,
        service,
        home,
        home_mobile,
        auto_create_user: raw.auto_create_user,
        default_roles: raw.default_roles,
    })
}

/// A host name, and the entries of its sign-ins.
fn host(host: &str, entries: &[String], key: &str, report: &mut Report) {
    let wecom = format!("{key}.wecom");
    if host.is_empty() {
        if !entries.is_empty() {
            let remedy = "remove it: below /apps/ people sign in through every entry of the main application";
            report.error(&wecom, "has no effect without host", remedy);
        }
        return;
    }
    let is_name = host.split('.').count() > 1
        && values::host_name(host)
        && !host.bytes().any(|b| b.is_ascii_uppercase())
        && host.parse::<std::net::IpAddr>().is_err();
    if !is_name {
        let remedy = "write the name alone, in lower case, such as \"crm.example.com\": scheme and port are those of origin";
        report.bad(&format!("{key}.host"), host, "is not a host name", remedy);
    }
    if entries.is_empty() {
        let remedy = "name the [[wecom]] blocks of apps whose trusted domain (可信域名) in WeCom's console is this host";
        report.error(&wecom, "is missing: WeCom redirects an app's sign-ins to one domain alone", remedy);
    }
}

/// The application that an entry belongs to, by the entry's name, unless it is the main one.
pub(super) fn owners(raw: &[raw::Application]) -> HashMap<String, String> {
    let with_host = raw.iter().filter(|app| !app.host.is_empty());
    with_host.flat_map(|app| app.wecom.iter().map(|entry| (entry.clone(), app.name.clone()))).collect()
}

/// The applications named by rules about roles: for each entry, for each of its rules.
pub(super) fn role_apps(raw: &[raw::WeCom]) -> Vec<Vec<String>> {
    raw.iter().map(|entry| entry.roles.iter().map(|rule| rule.app.clone()).collect()).collect()
}

/// Gives each application its rules about roles, and each application with a host name its entries. `wecom` keeps the main one's.
pub(super) fn distribute(
    nocobase: &mut NocoBase,
    wecom: &mut Vec<WeComEntry>,
    role_apps: &[Vec<String>],
    origin: &Origin,
    report: &mut Report,
) {
    hosts(&nocobase.apps, origin, report);
    let owners = |apps: &[Application], entry: &str| -> Vec<usize> {
        let owns = |app: &Application| app.claimed.iter().any(|name| name == entry);
        apps.iter().enumerate().filter(|(_, app)| owns(app)).map(|(i, _)| i).collect()
    };
    for (i, app) in nocobase.apps.iter().enumerate() {
        for (j, entry) in app.claimed.iter().enumerate() {
            let key = format!("nocobase.apps[{i}].wecom[{j}]");
            if !wecom.iter().any(|known| known.name == *entry) {
                report.bad(&key, entry, "names no [[wecom]] block", "give the name of one");
            } else if owners(&nocobase.apps, entry).first() != Some(&i) {
                let remedy =
                    "give each application with a host name an entry, and an app in WeCom, of its own";
                report.bad(&key, entry, "belongs to another application already", remedy);
            }
        }
    }
    let all = std::mem::take(wecom);
    for ((i, mut entry), apps) in all.into_iter().enumerate().zip(role_apps) {
        let owner = owners(&nocobase.apps, &entry.name).first().copied();
        let own = owner.and_then(|at| nocobase.apps.get(at)).map_or(&nocobase.app, |app| &app.name).clone();
        let rules = std::mem::take(&mut entry.roles);
        for ((j, rule), app) in rules.into_iter().enumerate().zip(apps) {
            let here = app.is_empty() || *app == own;
            let other = nocobase.apps.iter_mut().find(|known| known.name == *app && known.host.is_none());
            match other {
                _ if here => entry.roles.push(rule),
                Some(other) if owner.is_none() => other.roles.push((entry.name.clone(), rule)),
                _ => report.bad(
                    &format!("wecom[{i}].roles[{j}].app"),
                    app,
                    "is not an application that people sign in to through this block",
                    "name one of [[nocobase.apps]] without host, or leave it out",
                ),
            }
        }
        match owner.and_then(|at| nocobase.apps.get_mut(at)) {
            Some(app) => app.entries.push(entry),
            None => wecom.push(entry),
        }
    }
    if wecom.is_empty() && !nocobase.apps.is_empty() {
        let remedy = "leave the main application at least one [[wecom]] block";
        report.error("nocobase.apps", "leave the main application none through which people sign in", remedy);
    }
}

/// Each host name belongs to one application.
fn hosts(apps: &[Application], origin: &Origin, report: &mut Report) {
    for (i, app) in apps.iter().enumerate() {
        let Some(host) = &app.host else { continue };
        let key = format!("nocobase.apps[{i}].host");
        if *host == origin.host {
            let remedy = "give the application a host name of its own, or leave host out: it then lies below /apps/<name>/";
            report.bad(&key, host, "is that of origin, where the main application is", remedy);
        } else if apps.iter().take(i).any(|other| other.host.as_ref() == Some(host)) {
            report.bad(
                &key,
                host,
                "leads to another application already",
                "give each a host name of its own",
            );
        }
    }
}

/// Settings that are not possible with more than one application.
pub(super) fn tokens_that_pass(nocobase: &NocoBase, access: &Access, report: &mut Report) {
    if nocobase.apps.is_empty() {
        return;
    }
    const REASON: &str =
        "lets NocoBase's own tokens pass, and with [[nocobase.apps]] one application would accept another's";
    let mut refuse = |key: &str, is_on: bool, remedy: &str| {
        if is_on {
            report.error(key, REASON, remedy);
        }
    };
    refuse("access.api_keys", access.api_keys, "set it to false, or leave out [[nocobase.apps]]");
    refuse("access.password_login", access.password_login, "set it to false");
    refuse("access.browsers", access.browsers == Browsers::NocoBase, "set it to \"web-login\"");
    refuse("access.bypass_networks", !access.bypass_networks.is_empty(), "leave it empty");
    let unseen = access.forward_auth_secret.is_some();
    if unseen {
        report.error(
            "access.forward_auth_secret",
            "hands out tokens for requests whose path and query the gate does not see, and with [[nocobase.apps]] these \
             may name another application than the token's",
            "leave it out, and let all requests go through the gate; /wecom-gate/auth without it still reports who is signed in",
        );
    }
    let mut refuse = |key: &str, is_on: bool, remedy: &str| {
        if is_on {
            report.error(key, REASON, remedy);
        }
    };
    refuse(
        "nocobase.token_delivery",
        nocobase.token_delivery == TokenDelivery::Browser,
        "set it to \"sealed\"",
    );
}
