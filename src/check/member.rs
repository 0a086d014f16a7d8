//! The sign-in of one member, up to the point where something would be written.

use serde_json::json;

use super::nocobase::Api;
use super::report::{StepOutcome, Verdict};
use super::users::{self, Users};
use crate::config::{Config, WeComEntry};
use crate::error::Failure;
use crate::nocobase::{Accounts, Preview};
use crate::wecom::{self, Member, WeComError};

/// What the check found.
pub(super) enum MemberCheck {
    /// Refused by WeCom, or by the gate's rules.
    Refused(WeComError),
    /// Let in by WeCom, followed by NocoBase's result.
    Admitted(Member, Result<Preview, Failure>),
}

/// Asks WeCom and NocoBase.
pub(super) async fn look(
    client: &wecom::Client,
    accounts: &Accounts,
    entry: &WeComEntry,
    userid: &str,
) -> MemberCheck {
    let member = match client.member(userid).await {
        Ok(member) => member,
        Err(error) => return MemberCheck::Refused(error),
    };
    if let Err(error) = client.admit(&member).await {
        return MemberCheck::Refused(error);
    }
    let person = crate::login::person(entry, &member, &member.details);
    let preview = accounts.preview(&person).await.map_err(|failed| failed.failure);
    MemberCheck::Admitted(member, preview)
}

/// The entry and userid of `--member [ENTRY/]USERID`; without an entry, the one with automatic sign-in.
pub(super) fn choose<'a, 'm>(
    config: &'a Config,
    member: &'m str,
) -> Result<(&'a WeComEntry, &'m str), Verdict> {
    let (name, userid) = member.split_once('/').map_or((None, member), |(e, u)| (Some(e), u));
    let entry = match name {
        Some(name) => config.entry(name),
        None => config.auto_entry().or(config.wecom.first()),
    };
    entry.map(|e| (e, userid)).ok_or_else(|| {
        let names = config.wecom.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
        Verdict::failed("--member", "no [[wecom]] entry has this name", format!("one of: {names}"))
    })
}

/// NocoBase's name for the user of a preview, if the service account may see it.
pub(super) async fn name_of(api: &Api<'_>, node: &str, preview: &Preview) -> Option<String> {
    let (Preview::Bound(user) | Preview::Match(user)) = preview else { return None };
    let filter = json!({ "id": user }).to_string();
    let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    let path = format!("users:list?pageSize=1&fields=nickname,username&filter={filter}");
    let response = api.ask(node, &path, Some(&api.service_token()?), None).await.ok()?.json();
    let text =
        |field: &str| response.pointer(&format!("/data/0/{field}"))?.as_str().filter(|t| !t.is_empty());
    text("nickname").or(text("username")).map(str::to_owned)
}

/// `name`: of the user that would be matched; `found`: the number of users to match with.
pub(super) fn verdict(
    way: &MemberCheck,
    userid: &str,
    config: &Config,
    name: Option<&str>,
    found: Option<&Users>,
) -> Verdict {
    let named = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let see = |label: &str| format!("docs/troubleshooting.md, {label}");
    match way {
        MemberCheck::Refused(error) => {
            let label = error.failure().response().label;
            let remedy = match error.failure() {
                Failure::NotVisible => {
                    "is the userid right (通讯录, Contacts: 帐号, Account)? Then put the member into the app's visible range \
                     (可见范围)"
                        .to_owned()
                }
                _ if error.remedy().is_empty() => see(label),
                _ => error.remedy(),
            };
            Verdict::failed(userid, format!("would be refused: {label}"), remedy)
        }
        MemberCheck::Admitted(member, preview) => {
            let who = format!("{userid} ({})", member.name);
            match preview {
                Ok(Preview::Bound(user)) => {
                    Verdict::ok(format!("{who} is bound to NocoBase user {user}{named}"))
                }
                Ok(Preview::Match(user)) => {
                    Verdict::ok(format!("{who} would be bound to NocoBase user {user}{named}"))
                }
                Ok(Preview::Create) => Verdict::ok(format!("{who} would get a new NocoBase user")),
                Ok(Preview::NeedsConsent)
                    if !config.nocobase.auto_create_user && found.is_some_and(Users::none) =>
                {
                    let what = format!(
                        "{who} is let in by WeCom, then refused: no_matching_user, because {}",
                        found.map(Users::sentence).unwrap_or_default()
                    );
                    Verdict::failed(userid, what, users::REMEDY)
                }
                Ok(Preview::NeedsConsent) => Verdict {
                    outcome: StepOutcome::Ok,
                    detail: format!(
                        "{who} is let in; the matching user shows at the first sign-in, when WeCom asks for consent to \
                         phone number and e-mail address{}; {}",
                        found.map(|users| format!(": {}", users.sentence())).unwrap_or_default(),
                        users::otherwise(&config.nocobase)
                    ),
                    findings: Vec::new(),
                },
                Err(Failure::NoMatchingUser) => Verdict::failed(
                    userid,
                    format!(
                        "{who} is let in by WeCom, then refused: no_matching_user, because no NocoBase user matches and \
                         nocobase.auto_create_user is off"
                    ),
                    users::REMEDY,
                ),
                Err(failure) => {
                    let label = failure.response().label;
                    Verdict::failed(
                        userid,
                        format!("{who} is let in by WeCom, then refused: {label}"),
                        see(label),
                    )
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::links::tests::two;
    use crate::nocobase::UserId;
    use crate::wecom::Call;

    #[test]
    fn which_user_a_member_would_get() {
        let mut config = two();
        config.nocobase.auto_create_user = true;
        let member = Member {
            userid: "zhangsan".into(),
            name: "张三".into(),
            departments: vec![],
            details: wecom::Details { mobile: Some("13800000001".into()), ..Default::default() },
        };
        let user = UserId::new(7).unwrap();
        for (preview, want, words) in [
            (Ok(Preview::Bound(user)), StepOutcome::Ok, "is bound to NocoBase user 7"),
            (Ok(Preview::Match(user)), StepOutcome::Ok, "would be bound to NocoBase user 7"),
            (Ok(Preview::Create), StepOutcome::Ok, "new NocoBase user"),
            (Ok(Preview::NeedsConsent), StepOutcome::Ok, "a user is created"),
            (Err(Failure::NoMatchingUser), StepOutcome::Failed, "no_matching_user"),
            (Err(Failure::AlreadyBound), StepOutcome::Failed, "already_bound"),
            (Err(Failure::NocoBaseServiceDenied), StepOutcome::Failed, "nocobase_service_denied"),
        ] {
            let got =
                verdict(&MemberCheck::Admitted(member.clone(), preview), "zhangsan", &config, None, None);
            assert_eq!(got.outcome, want, "{preview:?}");
            let text = format!("{got:?}");
            assert!(text.contains(words) && text.contains("张三") && !text.contains("13800000001"), "{text}");
        }
        for (code, words) in [(60111, "not_visible"), (60020, "wecom_ip_not_trusted")] {
            let error = WeComError::from_errcode(Call::UserGet, code, "");
            let got = verdict(&MemberCheck::Refused(error), "lisi", &config, None, None);
            assert_eq!(got.outcome, StepOutcome::Failed);
            assert!(got.findings[0].what.contains(words) && !got.findings[0].remedy.is_empty(), "{got:?}");
        }
    }

    #[test]
    fn which_entry() {
        let config = two();
        assert_eq!(choose(&config, "lisi").unwrap().0.name, "wecom");
        let (entry, userid) = choose(&config, "other/lisi").unwrap();
        assert_eq!((entry.name.as_str(), userid), ("other", "lisi"));
        assert!(choose(&config, "none/lisi").unwrap_err().findings[0].remedy.contains("wecom, other"));
    }
}
