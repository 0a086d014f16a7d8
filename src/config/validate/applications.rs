//! `[[nocobase.apps]]`: more applications at one gate.
//!
//! NocoBase signs the tokens of all its applications with one secret, and each takes the others'. So whatever lets a token of
//! NocoBase's own pass that the gate has not put in would open one application with another's (R44), and is refused here.

use super::super::raw;
use super::super::report::Report;
use super::super::role;
use super::super::types::{Access, Application, NocoBase, TokenDelivery};
use super::{secrets, service_account, values};
use crate::decide::Browsers;

/// The application that NocoBase begins with.
const MAIN: &str = "main";

/// May this be the name of an application?
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The applications beside `nocobase.app`; `None` with errors in the report.
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
        report.bad(&name_key, &raw.name, "is there twice", "remove one of the two");
    }
    let home = if raw.home.is_empty() { format!("{public_path}apps/{}/admin", raw.name) } else { raw.home };
    let home_mobile = if raw.home_mobile.is_empty() { home.clone() } else { raw.home_mobile };
    let own = format!("{public_path}apps/{}/", raw.name);
    for (name, path) in [("home", &home), ("home_mobile", &home_mobile)] {
        if !values::is_path(path) || !path.starts_with(&own) || path.contains("/.") {
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
    let token = secrets::text(key, "service_token", &raw.service_token, &raw.service_token_file, report);
    let service = service_account::service(key, token, raw.service_user, report)?;
    Some(Application {
        name: raw.name,
        service,
        home,
        home_mobile,
        auto_create_user: raw.auto_create_user,
        default_roles: raw.default_roles,
    })
}

/// What cannot be together with more than one application.
pub(super) fn tokens_that_pass(nocobase: &NocoBase, access: &Access, report: &mut Report) {
    if nocobase.apps.is_empty() {
        return;
    }
    const WHY: &str =
        "lets NocoBase's own tokens pass, and with [[nocobase.apps]] one application would take another's";
    let mut refuse = |key: &str, is_on: bool, remedy: &str| {
        if is_on {
            report.error(key, WHY, remedy);
        }
    };
    refuse("access.api_keys", access.api_keys, "set it to false, or leave out [[nocobase.apps]]");
    refuse("access.password_login", access.password_login, "set it to false");
    refuse("access.browsers", access.browsers == Browsers::NocoBase, "set it to \"web-login\"");
    refuse("access.bypass_networks", !access.bypass_networks.is_empty(), "leave it empty");
    refuse(
        "nocobase.token_delivery",
        nocobase.token_delivery == TokenDelivery::Browser,
        "set it to \"sealed\"",
    );
}
