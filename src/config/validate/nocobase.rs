//! `[nocobase]`: the secret, the service account, how members are matched.

use secrecy::ExposeSecret;

use super::super::raw;
use super::super::report::Report;
use super::super::role;
use super::super::types::{MatchBy, NocoBase};
use super::{applications, secrets, service_account, values};

/// A NocoBase secret shorter than this is a mistake.
const MIN_JWT_SECRET: usize = 8;
/// A NocoBase secret shorter than this can be guessed from one token.
const WEAK_JWT_SECRET: usize = 16;

/// `roles`: an entry has rules about roles.
pub(super) fn nocobase(raw: raw::NocoBase, roles: bool, report: &mut Report) -> Option<NocoBase> {
    let jwt_secret = secrets::raw("nocobase", "jwt_secret", &raw.jwt_secret, &raw.jwt_secret_file, report);
    match &jwt_secret {
        Ok(None) => report.error(
            "nocobase.jwt_secret",
            "is missing",
            "give NocoBase's APP_KEY, or its storage/apps/main/jwt_secret.dat as nocobase.jwt_secret_file",
        ),
        Ok(Some(secret)) if secret.expose_secret().len() < MIN_JWT_SECRET => report.error(
            "nocobase.jwt_secret",
            format!("is shorter than {MIN_JWT_SECRET} bytes"),
            "give the whole secret; if NocoBase's APP_KEY is that short, set a longer one there too",
        ),
        Ok(Some(secret)) if secret.expose_secret().len() < WEAK_JWT_SECRET => {
            report.warn(
                "nocobase.jwt_secret",
                "is short: anyone who has a token could find the secret by brute force",
            );
        }
        _ => {}
    }
    let token =
        secrets::text("nocobase", "service_token", &raw.service_token, &raw.service_token_file, report);
    let service = service_account::service("nocobase", token, raw.service_user, report);
    let apps = applications::applications(raw.apps, &raw.app, &raw.public_path, report);
    if !applications::is_name(&raw.app) {
        report.bad(
            "nocobase.app",
            &raw.app,
            "is not the name of an application",
            "use A-Z a-z 0-9 _ -; NocoBase's own is \"main\"",
        );
    }
    let path = &raw.public_path;
    if !values::is_path(path) || !path.ends_with('/') || path.contains(['?', '#', '%']) || path.contains("/.")
    {
        let remedy = "copy NocoBase's APP_PUBLIC_PATH; it begins and ends with /, such as \"/\" or \"/crm/\"";
        report.bad("nocobase.public_path", path, "is not a public path", remedy);
    }
    if raw.match_by.is_empty() {
        report.error("nocobase.match_by", "is empty", "give at least [\"phone\"]");
    }
    for (i, by) in raw.match_by.iter().enumerate() {
        if raw.match_by.iter().take(i).any(|b| b == by) {
            report.error(&format!("nocobase.match_by[{i}]"), "occurs twice", "remove one of the two");
        }
    }
    for (i, field) in raw.update_profile.iter().enumerate() {
        if raw.update_profile.iter().take(i).any(|f| f == field) {
            report.error(&format!("nocobase.update_profile[{i}]"), "occurs twice", "remove one of the two");
        }
    }
    for (by, name, why) in [
        (MatchBy::Email, "email", "a member may have entered someone else's address"),
        (MatchBy::Username, "username", "someone else may have registered the name in NocoBase"),
    ] {
        if raw.match_by.contains(&by) {
            report.warn("nocobase.match_by", format_args!("contains \"{name}\": {why}"));
        }
    }
    for (i, name) in raw.default_roles.iter().enumerate() {
        if name.trim().is_empty() {
            report.bad(
                &format!("nocobase.default_roles[{i}]"),
                name,
                "is empty",
                "give the role's name, or remove it",
            );
        }
        // NocoBase assigns `root` to new users if its administrator asks for it, and the service account may be one.
        if role::is_root(name) {
            report.bad(
                &format!("nocobase.default_roles[{i}]"),
                name,
                "would make every new member an administrator of everything",
                "give another role; make single users root in NocoBase itself",
            );
        }
    }
    if !raw.default_roles.is_empty() && !raw.auto_create_user && !roles {
        let without =
            "has no effect while nocobase.auto_create_user is false and there are no [[wecom.roles]]";
        report.warn("nocobase.default_roles", without);
    }
    if raw.link_by_password && apps.as_ref().is_some_and(|apps| !apps.is_empty()) {
        report.error(
            "nocobase.link_by_password",
            "is not possible together with nocobase.apps",
            "set it to false, or remove nocobase.apps",
        );
    }
    if raw.link_by_password && raw.auto_create_user {
        let seldom = "has little effect while nocobase.auto_create_user is true: a member who matches no user gets a new one";
        report.warn("nocobase.link_by_password", seldom);
    }
    Some(NocoBase {
        jwt_secret: jwt_secret.ok()??,
        service: service?,
        app: raw.app,
        beside_others: false,
        own_host: false,
        apps: apps?,
        public_path: raw.public_path,
        token_delivery: raw.token_delivery,
        match_by: raw.match_by,
        auto_create_user: raw.auto_create_user,
        link_by_password: raw.link_by_password,
        default_roles: raw.default_roles,
        update_profile: raw.update_profile,
        identity_headers: raw.identity_headers,
    })
}
