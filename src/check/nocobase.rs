//! NocoBase: does it respond, does it accept our tokens, who is the service account, may people sign up by themselves?

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::http::{self, HttpError, HttpResponse};
use super::report::{Finding, StepOutcome, Verdict};
use crate::config::{self, Config, MatchBy, ServiceAccount};
use crate::message::{Message, message};
use crate::nocobase::client::AUTHENTICATOR;
use crate::nocobase::error_body::{Code, ErrorBody};
use crate::nocobase::page_settings::Mismatch;
use crate::nocobase::versions::{Support, TESTED};
use crate::nocobase::{About, NocoBase, PageSettings};

pub(super) type ApiResult = Result<HttpResponse, HttpError>;

/// NocoBase's API, called with the gate's own client: one request to one node at a time.
pub(super) struct Api<'a> {
    pub(super) nocobase: &'a NocoBase,
    pub(super) config: &'a Config,
}

impl Api<'_> {
    /// `path`: `resource:action`, with a query if there is one.
    pub(super) async fn ask(
        &self,
        node: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> ApiResult {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.nocobase.request(method, node, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        http::send(request).await
    }

    /// The service account's own token.
    pub(super) fn service_token(&self) -> Option<String> {
        self.nocobase.service_token().ok().map(|token| token.expose_secret().to_owned())
    }

    /// A session's token for a user that probably exists: it shows whether the secret is right.
    pub(super) fn session_token(&self) -> Option<String> {
        self.nocobase.trial_token().ok().map(|token| token.as_str().to_owned())
    }
}

/// The configuration key with this name, for the application being checked.
fn key(nocobase: &config::NocoBase, name: &str) -> String {
    match nocobase.beside_others {
        true => format!("nocobase.apps[{}].{name}", nocobase.app),
        false => format!("nocobase.{name}"),
    }
}

/// Whether this is the health check's response of a healthy node.
pub(super) fn is_healthy(response: &ApiResult) -> bool {
    matches!(response, Ok(a) if a.status == 200 && a.body == b"ok")
}

/// The step `nocobase_reachable`, from each node's health check and what a healthy one reports about itself.
pub(super) fn reachable(
    nodes: &[(String, ApiResult)],
    nocobase: &config::NocoBase,
    origin: &str,
    about: &About,
) -> Verdict {
    let public_path = nocobase.public_path.as_str();
    let mut findings = Vec::new();
    for (node, response) in nodes.iter().filter(|(_, a)| !is_healthy(a)) {
        if response.as_ref().is_ok_and(is_no_application) {
            let what = message!(
                "{node}: NocoBase has no application of the name {name}",
                node,
                name = &nocobase.app
            );
            let remedy =
                message!("copy the name from NocoBase's multi-app manager, or create the application there");
            let about = if nocobase.beside_others { key(nocobase, "name") } else { key(nocobase, "app") };
            findings.push(Finding::new(about, what, remedy));
            continue;
        }
        if let Some(finding) = response.as_ref().ok().and_then(|a| wrong_path(node, a, public_path, origin)) {
            findings.push(finding);
            continue;
        }
        let (what, remedy) = match response {
            Ok(a) if a.status == 503 => {
                (message!("is starting or stopping (HTTP 503)"), message!("wait, and check again"))
            }
            Ok(a) => (
                message!(
                    "answers, but not as NocoBase's health check does (HTTP {status})",
                    status = a.status
                ),
                message!(
                    "upstream.nodes must lead to NocoBase itself, and nocobase.public_path must be its APP_PUBLIC_PATH"
                ),
            ),
            Err(trouble) => {
                (trouble.message(), message!("start NocoBase; correct upstream.nodes; check the firewall"))
            }
        };
        findings.push(Finding::new(format!("upstream.nodes: {node}"), what, remedy));
    }
    if findings.len() == nodes.len() {
        return Verdict::found(StepOutcome::Failed, findings);
    }
    let version = about.version.as_ref();
    let mut outcome = if findings.is_empty() { StepOutcome::Ok } else { StepOutcome::Warning };
    let detail = match version {
        Some(version) => {
            let (all, healthy, means) = (nodes.len(), nodes.len() - findings.len(), version.row().means);
            let version = version.to_string();
            message!("NocoBase {version} on {healthy} of {all} nodes: {means}", version, healthy, all, means)
        }
        None => message!("NocoBase answers (its version is not known)"),
    };
    if let Some(version) = version {
        let row = version.row();
        let careful = || message!("try the gate with this version before members depend on it");
        let found = match row.support {
            Support::Tested | Support::Tried => None,
            Support::Refused => Some((message!("refused"), row.means.into())),
            Support::Expected => Some((message!("expected"), careful())),
            Support::Unknown => Some((message!("unknown"), careful())),
        };
        if let Some((support, remedy)) = found {
            let what = message!(
                "version {version} ({support}); the gate is tested with {tested}",
                version = version.to_string(),
                support,
                tested = TESTED
            );
            findings.push(Finding::new("NocoBase", what, remedy));
            outcome =
                if row.support == Support::Refused { StepOutcome::Failed } else { StepOutcome::Warning };
        }
    }
    let mismatches = about.page.as_ref().map(|page| page.mismatches(public_path, origin)).unwrap_or_default();
    for Mismatch { about, what, remedy } in mismatches {
        findings.push(Finding::new(about, what, remedy));
        outcome = StepOutcome::Failed;
    }
    if findings.is_empty() {
        Verdict::ok(detail)
    } else {
        Verdict::found(outcome, findings).with_detail(detail)
    }
}

/// A NocoBase page instead of the health check: the path is wrong, and the page contains the right one.
fn wrong_path(node: &str, response: &HttpResponse, public_path: &str, origin: &str) -> Option<Finding> {
    let page = (200..300).contains(&response.status).then(|| PageSettings::read(&response.body))??;
    if let Some(Mismatch { about, what, remedy }) = page.mismatches(public_path, origin).into_iter().next() {
        let what = message!("{first}: {second}", first = node, second = what);
        return Some(Finding::new(about, what, remedy));
    }
    let what = message!(
        "{node} responds with NocoBase's page below {public_path}, not with its API",
        node,
        public_path
    );
    let remedy = message!("set it to NocoBase's APP_PUBLIC_PATH; API_BASE_PATH must be <public_path>api/");
    Some(Finding::new("nocobase.public_path", what, remedy))
}

/// NocoBase's response if it has no such application.
fn is_no_application(response: &HttpResponse) -> bool {
    response.status == 404 && response.json().pointer("/error/code") == Some(&json!("APP_NOT_FOUND"))
}

/// NocoBase's error code in a refusal, and its message.
fn refusal(response: &HttpResponse) -> (Option<Code>, String) {
    let body = ErrorBody::parse(&response.body).unwrap_or_default();
    (body.token_code(), body.summary())
}

/// The step `nocobase_secret`, from `auth:check` with a token minted just now.
pub(super) fn secret(response: &ApiResult) -> Verdict {
    let response = match response {
        Ok(response) => response,
        Err(trouble) => {
            return Verdict::failed("upstream.nodes", trouble.message(), message!("check again"));
        }
    };
    let (code, words) = refusal(response);
    match (response.status, code) {
        // The token's user was looked up, so the signature has been accepted.
        (401, Some(Code::NotExistUser | Code::UserHasNoRoles)) => {
            Verdict::ok(message!("NocoBase accepts the gate's tokens"))
        }
        (401, Some(Code::InvalidToken)) if words.contains("password changed") => Verdict::warning(
            "nocobase.jwt_secret",
            message!("the service account's password has just been changed"),
            message!("check again"),
        ),
        (401, Some(Code::InvalidToken)) => Verdict::failed(
            "nocobase.jwt_secret",
            message!("NocoBase does not accept tokens that are signed with it"),
            message!(
                "it must be the content of NocoBase's storage/apps/main/jwt_secret.dat where that file exists (give its path as \
                 jwt_secret_file), else APP_KEY of NocoBase's .env"
            ),
        ),
        (
            401,
            Some(Code::TokenRenewFailed | Code::ExpiredToken | Code::ExpiredSession | Code::SkipTokenRenew),
        ) => Verdict::failed(
            "clock",
            message!("NocoBase treats a new token as expired ({words})", words),
            message!("compare the clocks of both machines"),
        ),
        (200, _) if response.json().pointer("/data/id").is_some() => {
            Verdict::ok(message!("NocoBase accepts the gate's tokens"))
        }
        (status, _) => Verdict::failed(
            "auth:check",
            message!("a response that is not NocoBase's: HTTP {status} {words}", status, words),
            message!(
                "upstream.nodes must lead to NocoBase itself, nocobase.public_path must be its APP_PUBLIC_PATH"
            ),
        ),
    }
}

/// The step `nocobase_service`, from `auth:check` as the service account.
pub(super) fn service(response: &ApiResult, nocobase: &config::NocoBase) -> Verdict {
    let (name, again) = match nocobase.service {
        ServiceAccount::Token(_) => (
            "service_token",
            message!(
                "create a new API key: Settings → API keys in NocoBase, with the service account's role"
            ),
        ),
        ServiceAccount::User(_) => (
            "service_user",
            message!(
                "give the id of the user that was created for the gate: Settings → Users & Permissions in NocoBase"
            ),
        ),
    };
    let key = key(nocobase, name);
    let response = match response {
        Ok(response) => response,
        Err(trouble) => return Verdict::failed(key, trouble.message(), message!("check again")),
    };
    let data = response.json();
    let names = |at: &str| -> Vec<String> {
        let all = data.pointer(at).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(|r| r.get("name")?.as_str()).map(str::to_owned).collect()
    };
    match (response.status, data.pointer("/data/id")) {
        (200, Some(id)) => {
            let roles = names("/data/roles");
            if roles.is_empty() {
                let remedy = message!("give it the role of docs/install.md, section 5");
                return Verdict::failed(key, message!("user {id} has no role", id = id.to_string()), remedy);
            }
            let name = data.pointer("/data/username").or(data.pointer("/data/nickname"));
            let name = name.and_then(Value::as_str).unwrap_or_default();
            let (id, roles) = (id.to_string(), roles.join(", "));
            Verdict::ok(message!("user {id} {name}, {roles}", id, name, roles))
        }
        _ => {
            let (code, words) = refusal(response);
            let what = match code {
                Some(Code::NotExistUser) => message!("NocoBase has no such user"),
                Some(Code::UserHasNoRoles) => message!("this user has no role"),
                Some(Code::InvalidToken) => {
                    message!("NocoBase does not accept it: it was created elsewhere, or has expired")
                }
                Some(Code::BlockedToken) => message!("it has been revoked"),
                _ => Message::verbatim(format!("HTTP {} {words}", response.status)),
            };
            Verdict::failed(key, what, again)
        }
    }
}

/// NocoBase's token policy.
pub(super) const TOKEN_POLICY: &str = "tokenControlConfig:get?filterByTk=token-policy-config";

/// The step `nocobase_secret` with NocoBase's token policy, if the service account may see it.
pub(super) fn with_policy(verdict: Verdict, policy: &ApiResult) -> Verdict {
    let Some(policy) = policy.as_ref().ok().filter(|a| a.status == 200).map(HttpResponse::json) else {
        return verdict;
    };
    let span = |name: &str| policy.pointer(&format!("/data/config/{name}")).and_then(Value::as_str);
    match (span("tokenExpirationTime"), span("sessionExpirationTime")) {
        (Some(token), Some(session)) => {
            let detail = message!(
                "{detail}; its token policy: {token}, sessions {session}",
                detail = verdict.detail.clone(),
                token,
                session
            );
            verdict.with_detail(detail)
        }
        _ => verdict,
    }
}

/// NocoBase's type of authenticators for passwords.
const PASSWORD_TYPE: &str = "Email/Password";

/// The step `nocobase_sign_up`, from `authenticators:publicList`.
pub(super) fn sign_up(response: &ApiResult, rules: &config::NocoBase) -> Verdict {
    let match_by = &rules.match_by;
    let list = match response {
        Ok(a) if a.status == 200 => Ok(a.json()),
        Ok(a) => Err(a.shown()),
        Err(trouble) => Err(trouble.message()),
    };
    let list = match list {
        Ok(list) => list,
        Err(why) => {
            let what = message!("cannot be seen: {why}", why);
            return Verdict::warning("sign-up", what, message!("look by hand"));
        }
    };
    let all = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let passwords = |a: &Value| {
        a.get("name") == Some(&json!(AUTHENTICATOR)) && a.get("authType") == Some(&json!(PASSWORD_TYPE))
    };
    if rules.link_by_password && !all.iter().any(passwords) {
        return Verdict::failed(
            "nocobase.link_by_password",
            message!(
                "NocoBase's sign-in by password (its authenticator {name}) is not there, or is disabled",
                name = format!("{AUTHENTICATOR:?}")
            ),
            message!(
                "NocoBase → Settings → Authentication → enable Password; or set link_by_password = false"
            ),
        );
    }
    let open: Vec<&Value> =
        all.iter().filter(|a| a.pointer("/options/allowSignUp") == Some(&json!(true))).collect();
    if open.is_empty() {
        return Verdict::ok(message!("closed"));
    }
    let form_has = |field: &str| {
        open.iter()
            .filter_map(|a| a.pointer("/options/signupForm")?.as_array())
            .flatten()
            .any(|f| f.get("field") == Some(&json!(field)) && f.get("show") == Some(&json!(true)))
    };
    // A person who signs up can choose any e-mail address or user name, and a phone number if the form asks for one.
    let at_risk: Vec<&str> = match_by
        .iter()
        .filter_map(|key| match key {
            MatchBy::Username => Some("username"),
            MatchBy::Email => Some("email"),
            MatchBy::Phone => form_has("phone").then_some("phone"),
        })
        .collect();
    if at_risk.is_empty() {
        return Verdict::ok(message!("open, but what members are matched by cannot be chosen there"));
    }
    let either = at_risk.iter().map(|field| Message::verbatim(*field));
    Verdict::warning(
        "nocobase.match_by",
        message!(
            "NocoBase lets anyone sign up, and members are matched by {keys}: someone who signs up first with a member's {either} \
             waits for that member to be signed in to their account",
            keys = at_risk.join(", "),
            either = Message::joined(either, |first, second| message!("{first} or {second}", first, second))
        ),
        message!(
            "NocoBase → Settings → Authentication → Password → uncheck \"Allow to sign up\"; or match by phone alone"
        ),
    )
}

#[cfg(test)]
mod tests;
