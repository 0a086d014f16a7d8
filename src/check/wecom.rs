//! WeCom's side of one entry. One call, `agent/get`, shows most of it: how far it gets shows which step fails.

use super::report::Verdict;
use super::steps::Id;
use crate::config::WeComEntry;
use crate::error::Failure;
use crate::message::{Message, message};
use crate::wecom::{Agent, Call, Class, WeComError};

/// Where the console keeps the app's settings.
fn app() -> Message {
    message!("应用管理 → 自建 → the app (App Management → Custom-built → the app)")
}

/// From the response to the steps. `plain`: the server speaks plain HTTP although `api_base` is https.
pub(super) fn verdicts(
    response: &Result<Agent, WeComError>,
    entry: &WeComEntry,
    authority: &str,
    plain: bool,
) -> Vec<(Id, Verdict)> {
    let at_fault = response.as_ref().err().map(step_of);
    let mut out = Vec::new();
    let mut failed: Option<Id> = None;
    for id in Id::WECOM_APP {
        let verdict = match (failed, response) {
            (Some(before), _) => Verdict::after_failed(before),
            (None, Err(error)) if at_fault == Some(id) => {
                failed = Some(id);
                match plain && id == Id::WecomReachable {
                    true => Verdict::failed(
                        "wecom.api_base",
                        message!(
                            "{url} begins with https://, but the server speaks plain HTTP",
                            url = entry.api_base.as_str()
                        ),
                        message!("correct the scheme or the port"),
                    ),
                    false => refusal(id, error, entry),
                }
            }
            // Only gettoken failed: whether the address is trusted could not be tried.
            (None, Err(e)) if id == Id::WecomTrustedIp && e.call() == Call::GetToken => {
                Verdict::skipped(message!("there is no access token to try it with"))
            }
            (None, Err(_)) => Verdict::ok(passed(id, entry)),
            (None, Ok(agent)) => seen(id, agent, entry, authority),
        };
        out.push((id, verdict));
    }
    out
}

/// The step that an error belongs to.
fn step_of(error: &WeComError) -> Id {
    match (error.errcode(), error.class(), error.call()) {
        (Some(60020), ..) => Id::WecomTrustedIp,
        (Some(40056 | 41011 | 301002 | 48006 | 50003 | 50006 | 60031), ..) => Id::WecomAgent,
        (_, Class::Transport | Class::Rate | Class::Transient, _) => Id::WecomReachable,
        (None, Class::BadAnswer, _) => Id::WecomReachable,
        (_, _, Call::GetToken) | (_, Class::Token, _) | (Some(48001 | 48002), ..) => Id::WecomSecret,
        _ => Id::WecomAgent,
    }
}

fn passed(id: Id, entry: &WeComEntry) -> Message {
    match id {
        Id::WecomReachable => Message::verbatim(entry.api_base.as_str().trim_end_matches('/')),
        Id::WecomSecret => message!("WeCom knows {corp_id} and the secret", corp_id = &entry.corp_id),
        Id::WecomTrustedIp => message!("WeCom accepts calls from this machine"),
        _ => Message::default(),
    }
}

fn refusal(id: Id, error: &WeComError, entry: &WeComEntry) -> Verdict {
    let what = error.message(entry.api_base.as_str());
    let (about, remedy) = match id {
        Id::WecomTrustedIp => (
            "企业可信IP",
            match error.address() {
                Some(address) => message!(
                    "add {address} in WeCom's console: {app} → 开发者接口 → 企业可信IP (Developer API → Corporate trusted IP); \
                     it counts after about a minute",
                    address,
                    app = app()
                ),
                None => message!(
                    "add this machine's public address in WeCom's console: {app} → 企业可信IP (Corporate trusted IP)",
                    app = app()
                ),
            },
        ),
        Id::WecomSecret => (
            "wecom.secret",
            with_place(
                error,
                message!(
                    "CorpID: 我的企业 → 企业信息 → 企业ID (My Company → CorpID). Secret: {app} → Secret",
                    app = app()
                ),
            ),
        ),
        Id::WecomAgent if matches!(error.errcode(), Some(48006 | 50003 | 50006 | 60031)) => (
            "wecom.agent_id",
            message!(
                "the app is switched off: enable it, {app} → 已停用/启用 (Disabled/Enabled)",
                app = app()
            ),
        ),
        Id::WecomAgent => ("wecom.agent_id", with_place(error, message!("AgentId: {app}", app = app()))),
        _ if error.remedy().is_empty() => ("wecom.api_base", message!("wait a little, and check again")),
        _ => ("wecom.api_base", error.remedy_message()),
    };
    Verdict::failed(about, what, remedy)
}

/// The error's remedy, if it has one, and the place in WeCom's console.
fn with_place(error: &WeComError, place: Message) -> Message {
    match error.remedy_message() {
        remedy if remedy.is_empty() => place,
        remedy => message!("{first}. {second}", first = remedy, second = place),
    }
}

fn seen(id: Id, agent: &Agent, entry: &WeComEntry, authority: &str) -> Verdict {
    let (agent_id, name) = (&entry.agent_id, &agent.name);
    match id {
        Id::WecomAgent if agent.enabled => {
            Verdict::ok(message!("{id} \"{name}\", enabled", id = agent_id, name))
        }
        Id::WecomAgent => Verdict::failed(
            "wecom.agent_id",
            message!("the app {id} \"{name}\" is switched off", id = agent_id, name),
            message!("enable it: {app} → 已停用/启用 (Disabled/Enabled)", app = app()),
        ),
        Id::WecomCallbackDomain => callback_domain(&agent.oauth_domain, authority),
        Id::WecomVisibleRange if agent.users + agent.departments + agent.tags == 0 => Verdict::failed(
            "可见范围",
            message!("no one sees the app, so no one can sign in"),
            message!("choose members, departments or tags: {app} → 可见范围 (visible range)", app = app()),
        ),
        Id::WecomVisibleRange => Verdict::ok(message!(
            "departments {departments}, tags {tags}, single members {members}",
            departments = agent.departments,
            tags = agent.tags,
            members = agent.users
        )),
        _ => Verdict::ok(passed(id, entry)),
    }
}

/// WeCom compares host and port of `redirect_uri` with this domain exactly (doc 91335). The callback domain of web login is a
/// separate setting, which no API returns.
fn callback_domain(domain: &str, authority: &str) -> Verdict {
    if domain.eq_ignore_ascii_case(authority) {
        return Verdict::ok(message!(
            "{authority} (the one of web login, 企业微信授权登录, must be the same: WeCom's API does not show it)",
            authority
        ));
    }
    let what = if domain.is_empty() {
        message!("the app has no OAuth callback domain; the gate's is {authority}", authority)
    } else if domain.split(':').next().is_some_and(|h| authority.split(':').next() == Some(h)) {
        message!(
            "the app's OAuth callback domain is {domain}, the gate's is {authority}: the port must be the same, too",
            domain,
            authority
        )
    } else {
        message!("the app's OAuth callback domain is {domain}, the gate's is {authority}", domain, authority)
    };
    let remedy = message!(
        "set it to {authority}: {app} → 网页授权及JS-SDK (Web authorization and JS-SDK) → OAuth2.0 callback domain; or correct \
         origin",
        authority,
        app = app()
    );
    Verdict::failed("可信域名", what, remedy)
}

/// The step `wecom_rules`.
pub(super) fn rules(response: Result<(), WeComError>, entry: &WeComEntry) -> Verdict {
    match response {
        Ok(()) => Verdict::ok(message!(
            "{departments} departments, {tags} tags, {roles} roles",
            departments = entry.allow_departments.len(),
            tags = entry.allow_tags.len(),
            roles = entry.roles.len()
        )),
        Err(error) if error.failure() == Failure::RuleUnevaluable => Verdict::failed(
            "wecom.allow_departments, allow_tags, roles",
            message!("one of the ids does not exist, or is outside the app's visible range"),
            message!(
                "compare the ids with 通讯录 (Contacts) in WeCom's console, or widen {app} → 可见范围 (visible range)",
                app = app()
            ),
        ),
        Err(error) => Verdict::failed(
            "wecom",
            message!("departments and tags cannot be read: {why}", why = error.to_string()),
            error.remedy_message(),
        ),
    }
}

/// Whether the step `wecom_rules` has anything to check.
pub(super) fn has_rules(entry: &WeComEntry) -> bool {
    !(entry.allow_departments.is_empty() && entry.allow_tags.is_empty() && entry.roles.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::links::tests::two;
    use crate::check::report::StepOutcome;

    fn agent() -> Agent {
        Agent {
            name: "Data".into(),
            picture: String::new(),
            enabled: true,
            oauth_domain: "nb.example.com".into(),
            users: 1,
            departments: 0,
            tags: 0,
        }
    }

    /// Outcomes as letters, in the order of the steps.
    fn letters(response: Result<Agent, WeComError>) -> (String, String) {
        let config = two();
        let all = verdicts(&response, &config.wecom[0], "nb.example.com", false);
        let letter = |v: &Verdict| match v.outcome {
            StepOutcome::Ok => 'o',
            StepOutcome::Warning => 'w',
            StepOutcome::Failed => 'F',
            StepOutcome::Skipped => '-',
        };
        (all.iter().map(|(_, v)| letter(v)).collect(), format!("{all:?}"))
    }

    #[test]
    fn each_error_fails_one_step() {
        let token = |code| WeComError::from_errcode(Call::GetToken, code, "");
        let get = |code| WeComError::from_errcode(Call::Agent, code, "x, from ip: 203.0.113.9, more");
        for (error, want, words) in [
            (WeComError::unreachable(Call::GetToken), "F-----", "does not answer in time"),
            (WeComError::bad_answer(Call::GetToken), "F-----", "not as WeCom's API"),
            (token(-1), "F-----", "errcode -1"),
            (token(45009), "F-----", "checkCorpSpamBlock"),
            (token(40001), "oF----", "Secret"),
            (token(40013), "oF----", "企业ID"),
            (token(40091), "oF----", "errcode 40091"),
            (token(45031), "oF----", "weak"),
            (token(50003), "oo-F--", "enable it"),
            (token(48006), "oo-F--", "enable it"),
            (token(60020), "ooF---", "企业可信IP"),
            (get(60020), "ooF---", "add 203.0.113.9 in WeCom's console"),
            (get(301002), "oooF--", "agent_id"),
            (get(40056), "oooF--", "AgentId"),
            (get(50003), "oooF--", "enable it"),
            (get(40014), "oF----", "fresh access token"),
            (get(48002), "oF----", "own secret"),
            (get(99999), "oooF--", "errcode 99999"),
            (WeComError::unreachable(Call::Agent), "F-----", ""),
        ] {
            let (outcomes, text) = letters(Err(error.clone()));
            assert_eq!(outcomes, want, "{error}");
            assert!(text.contains(words), "{error}: no {words:?} in {text}");
            assert!(
                !text.contains("remedy: \"\"") && !text.contains("remedy: \". "),
                "{error}: no remedy in {text}"
            );
        }
    }

    #[test]
    fn what_an_answer_says() {
        for (change, want, words) in [
            ((|_| ()) as fn(&mut Agent), "oooooo", "does not show it"),
            (|a| a.enabled = false, "oooFoo", "switched off"),
            (|a| a.oauth_domain = String::new(), "ooooFo", "no OAuth callback domain"),
            (|a| a.oauth_domain = "NB.example.com".into(), "oooooo", ""),
            (|a| a.oauth_domain = "other.example.com".into(), "ooooFo", "set it to nb.example.com"),
            (|a| a.oauth_domain = "nb.example.com:443".into(), "ooooFo", "port"),
            (|a| a.oauth_domain = "example.com".into(), "ooooFo", "is example.com"),
            (|a| a.users = 0, "oooooF", "可见范围"),
            (|a| (a.users, a.tags) = (0, 1), "oooooo", "tags 1"),
        ] {
            let mut agent = agent();
            change(&mut agent);
            let (outcomes, text) = letters(Ok(agent));
            assert_eq!(outcomes, want, "{text}");
            assert!(text.contains(words), "no {words:?} in {text}");
        }
    }

    #[test]
    fn ids_that_wecom_does_not_know() {
        let mut config = two();
        let entry = &mut config.wecom[0];
        assert!(!has_rules(entry));
        entry.allow_tags = vec![7];
        assert!(has_rules(entry));
        assert_eq!(rules(Ok(()), entry).outcome, StepOutcome::Ok);
        let wrong = rules(Err(WeComError::rule_unevaluable(Call::Tag, Some(40068))), entry);
        assert!(
            wrong.outcome == StepOutcome::Failed && wrong.findings[0].remedy.to_string().contains("通讯录"),
            "{wrong:?}"
        );
        assert_eq!(rules(Err(WeComError::unreachable(Call::Tag)), entry).outcome, StepOutcome::Failed);
    }
}
