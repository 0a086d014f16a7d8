//! What the gate asks WeCom, and how it reads the responses. How a call is made is in `api.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::address::{self, Scope};
use super::api::{Api, Request};
use super::error::{Call, Class, WeComError};
use super::member::{
    Agent, Department, Details, Identity, Member, MemberStatus, filled, is_userid, same_userid,
};
use super::member_list::MemberList;
use super::responses;
use super::rules::Rules;
use super::transport::Tuning;
use crate::config::WeComEntry;
use crate::error::Failure;
use crate::message::{Message, message};
use crate::metrics::WeComCalls;
use crate::shared::Shared;

/// Documented maximum length of a code, in bytes (doc 91022).
const MAX_CODE_LENGTH: usize = 512;

/// Most departments of one member whose names are asked for.
const MOST_DEPARTMENTS: usize = 10;

/// Client of one `[[wecom]]` entry; a clone shares token, caches and connections.
#[derive(Clone)]
pub(crate) struct Client {
    api: Arc<Api>,
    rules: Arc<Rules>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("wecom::Client").field("entry", &self.api.entry.name).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// The TLS setup of this machine (root certificates) or `http_proxy` cannot be used.
    pub(crate) fn new(entry: &WeComEntry) -> Result<Self, reqwest::Error> {
        Self::tuned(entry, Tuning::default())
    }

    /// Replaces `before` after a change of the configuration. The same app keeps its access token.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub(crate) fn after(before: &Client, entry: &WeComEntry) -> Result<Self, reqwest::Error> {
        Ok(Self::with(Api::new(entry, Tuning::default())?.after(&before.api)))
    }

    pub(super) fn tuned(entry: &WeComEntry, tuning: Tuning) -> Result<Self, reqwest::Error> {
        Ok(Self::with(Api::new(entry, tuning)?))
    }

    fn with(api: Api) -> Self {
        let api = Arc::new(api);
        Self { rules: Arc::new(Rules::new(api.clone())), api }
    }

    /// The name of its `[[wecom]]` entry.
    pub(crate) fn entry(&self) -> &str {
        &self.api.entry.name
    }

    /// Counts calls from now on; set once.
    pub(crate) fn count_into(&self, calls: &WeComCalls) {
        let _ = self.api.calls.set(calls.clone());
    }

    /// Shares the access token with the other nodes from now on; set once.
    pub(crate) fn share(&self, shared: &Arc<Shared>) {
        let _ = self.api.shared.set((shared.clone(), shared.app(&self.api.entry)));
    }

    /// Why the latest request for an access token failed. Makes no call.
    pub(crate) fn token_error(&self) -> Option<Arc<WeComError>> {
        self.api.token_error.load_full()
    }

    /// Why the latest other call failed, unless the member was the cause. Makes no call.
    pub(crate) fn call_error(&self) -> Option<Arc<WeComError>> {
        self.api.call_error.load_full()
    }

    /// What is wrong according to the latest calls, with the remedy: `wecom_calls` or `wecom_token`, and why. Empty if nothing
    /// is.
    pub(crate) fn troubles(&self) -> Vec<(&'static str, String)> {
        let found = [("wecom_calls", self.call_error()), ("wecom_token", self.token_error())];
        let words = |error: &WeComError| {
            let mut why = format!("{}: {}", error.class().name(), error.failure());
            if let Some(code) = error.errcode() {
                why.push_str(&format!(" (errcode {code})"));
            }
            let remedy = error.remedy();
            if !remedy.is_empty() {
                why.push_str(&format!("; {remedy}"));
            }
            why
        };
        found.into_iter().filter_map(|(what, error)| Some((what, words(&*error?)))).collect()
    }

    /// The same as sentences, which the console translates.
    pub(crate) fn problems(&self) -> Vec<Message> {
        let url = self.api.entry.api_base.as_str();
        let found = [self.call_error(), self.token_error()].into_iter().flatten();
        let sentence = |error: Arc<WeComError>| match error.remedy_message() {
            remedy if remedy.is_empty() => error.message(url),
            remedy => message!("{first}; {second}", first = error.message(url), second = remedy),
        };
        found.map(sentence).collect()
    }

    /// Whether WeCom issues an access token: shows a wrong corp id or secret before a member is affected. Makes no call while
    /// there is a token.
    ///
    /// # Errors
    /// Those of [`WeComError`].
    pub(crate) async fn probe(&self) -> Result<(), WeComError> {
        self.api.obtain().await
    }

    /// Address of WeCom's page inside its client. `state`: `[A-Za-z0-9]`, at most 128 bytes (doc 91022).
    pub(crate) fn authorize_url(&self, scope: Scope, state: &str, redirect_uri: &str) -> String {
        let e = &self.api.entry;
        address::authorize(&e.authorize_url, &e.corp_id, &e.agent_id, scope, state, redirect_uri)
    }

    /// Address of WeCom's QR page for other browsers. `lang`: a language tag; WeCom has Chinese and English.
    pub(crate) fn web_login_url(&self, state: &str, redirect_uri: &str, lang: &str) -> String {
        let e = &self.api.entry;
        address::web_login(&e.web_login_url, &e.corp_id, &e.agent_id, state, redirect_uri, lang)
    }

    /// Which person a code belongs to (`getuserinfo`). A code can be used once: it is sent again only if WeCom refused the access
    /// token, or if nothing of the first request was sent. This authorises nothing: see [`Client::member`].
    ///
    /// # Errors
    /// [`Failure::CodeRejected`], [`Failure::NotAMember`], [`Failure::OtherCompany`] (R21), or an error from WeCom.
    pub(crate) async fn identify(&self, code: &str) -> Result<Identity, WeComError> {
        if code.is_empty() || code.len() > MAX_CODE_LENGTH {
            return Err(WeComError::code_rejected().because("a code that cannot be WeCom's"));
        }
        let (params, hidden) = ([("code", code)], [code]);
        let request = Request {
            hidden: &hidden,
            tries_when_busy: 1,
            ..Request::get(Call::UserInfo, &self.api.entry.userinfo_path, &params)
        };
        let info: responses::UserInfo = self.api.call(&request).await?;
        let Some(userid) = self.one_spelling(Call::UserInfo, info.userid, info.old_userid)? else {
            return Err(WeComError::person(Call::UserInfo, Failure::NotAMember)
                .because("errcode 0 without a userid: not a member of this company"));
        };
        if userid.contains('/') {
            return Err(WeComError::person(Call::UserInfo, Failure::OtherCompany)
                .because("the userid has the form corp/userid: a member of a linked company"));
        }
        self.check_userid(Call::UserInfo, &userid)?;
        let ticket = info.user_ticket.filter(|t| !t.expose_secret().is_empty());
        Ok(Identity { userid, ticket })
    }

    /// The data that the member agreed to share (`getuserdetail`).
    ///
    /// # Errors
    /// [`Class::Detail`] if the ticket is used up; a response about another member than `userid` is [`Failure::WeComBadAnswer`]
    /// (R21).
    pub(crate) async fn details(&self, userid: &str, ticket: &SecretString) -> Result<Details, WeComError> {
        let ticket = ticket.expose_secret();
        let (body, hidden) = (json!({ "user_ticket": ticket }), [ticket]);
        let request = Request {
            body: Some(&body),
            hidden: &hidden,
            ..Request::get(Call::UserDetail, &self.api.entry.userdetail_path, &[])
        };
        let d: responses::UserDetail = self.api.call(&request).await?;
        self.same_person(Call::UserDetail, userid, d.userid, d.old_userid)?;
        Ok(Details {
            mobile: filled(d.mobile),
            email: filled(d.email),
            biz_mail: filled(d.biz_mail),
            avatar: filled(d.avatar),
        })
    }

    /// The member (`user/get`): its success proves that the person may use the app.
    ///
    /// # Errors
    /// [`Failure::NotVisible`], [`Failure::MemberDisabled`], or an error from WeCom.
    pub(crate) async fn member(&self, userid: &str) -> Result<Member, WeComError> {
        self.check_userid(Call::UserGet, userid)?;
        let params = [("userid", userid)];
        let request = Request::get(Call::UserGet, "/cgi-bin/user/get", &params);
        let u: responses::User = self.api.call(&request).await?;
        let userid = self.same_person(Call::UserGet, userid, u.userid, u.old_userid)?;
        if u.status != 1 {
            return Err(WeComError::person(Call::UserGet, Failure::MemberDisabled)
                .because("status is not 1: disabled, not activated, or has left"));
        }
        Ok(Member {
            name: filled(u.name).unwrap_or_else(|| userid.clone()),
            userid,
            departments: main_first(u.department.unwrap_or_default(), u.main_department),
            details: Details {
                mobile: filled(u.mobile),
                email: filled(u.email),
                biz_mail: filled(u.biz_mail),
                avatar: filled(u.avatar),
            },
        })
    }

    /// The direct members of a department, as far as the app may see them (`user/list`, doc 90201). Not repeated while WeCom is
    /// busy: members can be asked about alone.
    ///
    /// # Errors
    /// An error from WeCom, which says nothing about any member.
    pub(crate) async fn members_of(&self, department: u32) -> Result<MemberList, WeComError> {
        let id = department.to_string();
        let params = [("department_id", id.as_str())];
        let request =
            Request { tries_when_busy: 1, ..Request::get(Call::UserList, "/cgi-bin/user/list", &params) };
        Ok(MemberList::read(self.api.call(&request).await?, department.into()))
    }

    /// The departments of a member, as far as the app may see them: for an administrator to look at, not for rules.
    ///
    /// # Errors
    /// As [`Client::member`]. A name that WeCom does not return is left out.
    pub(crate) async fn departments_of(&self, userid: &str) -> Result<Vec<Department>, WeComError> {
        let ids = self.member(userid).await?.departments;
        let mut departments = Vec::new();
        for id in ids.into_iter().take(MOST_DEPARTMENTS) {
            let (text, path) = (id.to_string(), "/cgi-bin/department/get");
            let answer: Result<responses::OneDepartment, _> =
                self.api.call(&Request::get(Call::Department, path, &[("id", &text)])).await;
            departments.push(Department { id, name: filled(answer.ok().and_then(|a| a.department.name)) });
        }
        Ok(departments)
    }

    /// Do `allow_users`, `allow_departments`, `allow_tags` let this member in? If none is set: yes.
    ///
    /// # Errors
    /// [`Failure::NotAllowed`]; [`Failure::RuleUnevaluable`] if no rule allows the member and one could not be evaluated (R22);
    /// or an error from WeCom.
    pub(crate) async fn admit(&self, member: &Member) -> Result<(), WeComError> {
        self.rules.admit(member).await
    }

    /// The roles of `[[wecom.roles]]` whose rules match this member.
    ///
    /// # Errors
    /// [`Failure::RuleUnevaluable`] if one of the rules cannot be evaluated with certainty; or an error from WeCom.
    pub(crate) async fn roles(&self, member: &Member) -> Result<BTreeSet<&str>, WeComError> {
        self.rules.roles(member).await
    }

    /// Do all departments and tags in the allow-lists exist, as far as the app can see (R22)?
    ///
    /// # Errors
    /// [`Failure::RuleUnevaluable`] with the id in the log, or an error from WeCom.
    pub(crate) async fn check_rules(&self) -> Result<(), WeComError> {
        self.rules.check().await
    }

    /// The same for the departments and tags in `[[wecom.roles]]`.
    ///
    /// # Errors
    /// As [`Client::check_rules`].
    pub(crate) async fn check_roles(&self) -> Result<(), WeComError> {
        self.rules.check_roles().await
    }

    /// Whether the member may still sign in, for the periodic recheck of signed-in members.
    ///
    /// # Errors
    /// WeCom could not be asked: sessions continue, but no new one begins. The caller has to log it.
    pub(crate) async fn member_status(&self, userid: &str) -> Result<MemberStatus, WeComError> {
        let result = match self.member(userid).await {
            Ok(member) => self.admit(&member).await.map(|()| member.main_department()),
            Err(error) => Err(error),
        };
        match result {
            Ok(department) => Ok(MemberStatus::Good { department }),
            Err(error) => match (error.class(), error.failure()) {
                (Class::User, failure) | (_, failure @ Failure::RuleUnevaluable) => {
                    error.log(&self.api.entry.name);
                    Ok(MemberStatus::Gone(failure))
                }
                _ => Err(error),
            },
        }
    }

    /// Drops cached departments and tags: WeCom has reported a change.
    pub(crate) fn drop_caches(&self) {
        self.rules.forget();
    }

    /// The picture of an app ([`Agent::picture`]), at most 100 KiB: over https, or from the server of `api_base`.
    ///
    /// # Errors
    /// What went wrong, for the log.
    pub(crate) async fn picture(&self, address: &str) -> Result<Vec<u8>, String> {
        let url = url::Url::parse(address).map_err(|_| "not an address".to_owned())?;
        let base = &self.api.entry.api_base;
        if url.scheme() != "https" && url.origin() != base.origin() {
            return Err("not https".into());
        }
        self.api.picture(url).await
    }

    /// How the app is set up in WeCom's console (`agent/get`).
    ///
    /// # Errors
    /// Error 301002 or 40056 if the secret does not belong to the app `agent_id`; or an error from WeCom.
    pub(crate) async fn agent(&self) -> Result<Agent, WeComError> {
        let params = [("agentid", self.api.entry.agent_id.as_str())];
        let a: responses::Agent =
            self.api.call(&Request::get(Call::Agent, "/cgi-bin/agent/get", &params)).await?;
        Ok(Agent {
            name: a.name,
            picture: a.square_logo_url,
            enabled: a.close == 0,
            oauth_domain: a.redirect_domain,
            users: a.allow_userinfos.user.len(),
            departments: a.allow_partys.partyid.len(),
            tags: a.allow_tags.tagid.len(),
        })
    }

    fn check_userid(&self, call: Call, userid: &str) -> Result<(), WeComError> {
        if is_userid(userid) {
            return Ok(());
        }
        Err(WeComError::bad_answer(call).because("not of the documented form of a userid"))
    }

    /// `userid` and `UserId` are one field; two different values are an error.
    fn one_spelling(
        &self,
        call: Call,
        new: Option<String>,
        old: Option<String>,
    ) -> Result<Option<String>, WeComError> {
        match (filled(new), filled(old)) {
            (Some(a), Some(b)) if !same_userid(&a, &b) => {
                Err(WeComError::bad_answer(call).because("two different userids in one response"))
            }
            (a, b) => Ok(a.or(b)),
        }
    }

    fn same_person(
        &self,
        call: Call,
        asked: &str,
        new: Option<String>,
        old: Option<String>,
    ) -> Result<String, WeComError> {
        match self.one_spelling(call, new, old)? {
            Some(userid) if same_userid(&userid, asked) => Ok(userid),
            _ => Err(WeComError::bad_answer(call).because("the response is about another member")),
        }
    }
}

/// The main department before the others.
fn main_first(mut departments: Vec<u64>, main: Option<u64>) -> Vec<u64> {
    departments.sort_by_key(|id| Some(*id) != main);
    departments
}

#[cfg(test)]
mod tests;
