//! `/connect/oauth2/authorize`: the link inside the client, silent or with consent (docs 91022, 91335).

use std::collections::BTreeSet;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::client;
use super::people::{hue, initials};
use super::reply::{message, page, redirect};
use super::request::{Lang, PageRequest};
use crate::data::{App, Company, Member};
use crate::range::domain_matches;
use crate::settings::{Consent, Refusal};
use crate::state::{Code, ConsentGiven, Person, Shared};

/// Parameters of the link, kept in the form of the consent page.
const PARAMS: [&str; 6] = ["appid", "redirect_uri", "response_type", "scope", "state", "agentid"];

/// A valid link.
struct Link {
    company: Company,
    /// The app; `None` if the link names none.
    app: Option<App>,
    /// With consent; without an `agentid` WeCom treats the link as a silent one.
    consent: bool,
}

/// Why a link is refused: WeCom's errcode, title and text of the page.
type Refused = (i64, (&'static str, &'static str), (&'static str, &'static str));

const NOT_IN_CLIENT: Refused = (
    0,
    ("Please open the link in the WeChat client", "请在微信客户端打开链接"),
    (
        "This page works only inside WeCom. Here: pick a member on the simulator's client page first.",
        "此页面仅可在企业微信中打开。模拟器中请先在客户端页面选择成员。",
    ),
);
const REDIRECT: Refused = (
    50001,
    ("redirect_uri is wrong", "redirect_uri参数错误"),
    (
        "Host and port of redirect_uri must equal the app's trusted domain (可信域名) exactly.",
        "redirect_uri 的域名和端口必须与应用的可信域名完全一致。",
    ),
);
const STATE: Refused = (
    84025,
    ("state is wrong", "不符合的state参数"),
    (
        "state takes letters and digits only, at most 128.",
        "必须是[a-zA-Z0-9]的参数值，长度不可超过128个字节。",
    ),
);
const NOT_VISIBLE: Refused = (
    60021,
    ("You may not use this app", "你没有权限使用该应用"),
    (
        "Ask the administrator to add you to the app's visible range.",
        "你不在应用的可见范围内，请联系管理员。",
    ),
);

fn refuse(l: Lang, (code, title, text): Refused) -> Response {
    message(l, code, title, text)
}

/// Checks a link as WeCom does.
fn check(sim: &Shared, request: &PageRequest) -> Result<Link, Refused> {
    let plain = |code, en, zh| (code, (en, zh), ("The link is not made as it should be.", "链接不正确。"));
    let data = sim.lock().data.clone();
    let company =
        data.company(request.get("appid")).ok_or(plain(40013, "appid is wrong", "不合法的appid"))?;
    if request.get("response_type") != "code" {
        return Err(plain(40063, "response_type is wrong", "response_type参数错误"));
    }
    let consent = match request.get("scope") {
        "snsapi_base" => false,
        "snsapi_privateinfo" => true,
        _ => return Err(plain(40063, "scope is wrong", "scope参数错误")),
    };
    let app = match request.get("agentid") {
        "" => None,
        id => {
            let app = id.parse().ok().and_then(|id| company.app(id));
            Some(app.ok_or(plain(40056, "agentid is wrong", "不合法的agentid"))?)
        }
    };
    let to = request.get("redirect_uri");
    let trusted = match app {
        Some(app) => domain_matches(to, &app.trusted()),
        None => company.apps.iter().any(|a| domain_matches(to, &a.trusted())),
    };
    if !trusted {
        return Err(REDIRECT);
    }
    let state = request.get("state");
    if state.len() > 128 || !state.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(STATE);
    }
    Ok(Link { consent: consent && app.is_some(), app: app.cloned(), company: company.clone() })
}

/// `redirect_uri` with `code` (if there is one) and `state`: an existing query is kept, and a fragment stays at the end.
pub(super) fn back(redirect_uri: &str, code: Option<&str>, state: &str) -> String {
    let (base, fragment) = match redirect_uri.split_once('#') {
        Some((base, fragment)) => (base, format!("#{fragment}")),
        None => (redirect_uri, String::new()),
    };
    let sep = if base.contains('?') { '&' } else { '?' };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(code) = code {
        query.append_pair("code", code);
    }
    query.append_pair("state", state);
    format!("{base}{sep}{}{fragment}", query.finish())
}

/// `GET /connect/oauth2/authorize`
pub(super) fn authorize(sim: &Shared, request: &PageRequest) -> Response {
    if !request.in_client() {
        return refuse(request.lang, NOT_IN_CLIENT);
    }
    let link = match check(sim, request) {
        Ok(link) => link,
        Err(wrong) => return refuse(request.lang, wrong),
    };
    let person = request.holder(sim).and_then(|key| sim.lock().person(&link.company.corp_id, &key));
    // WeCom's client knows its member; this one asks once.
    let Some(person) = person else {
        return client::members(sim, request, &request.address);
    };
    let (Some(app), true) = (&link.app, link.consent) else {
        return go(sim, request, &link, person, None, StatusCode::FOUND);
    };
    let member = match &person {
        Person::Member(userid) => link.company.member(userid).filter(|m| link.company.sees(app, m)),
        // Members of linked companies pass, but without consent and profile fields.
        Person::Linked { .. } => return go(sim, request, &link, person, None, StatusCode::FOUND),
        Person::External { .. } => None,
    };
    let Some(member) = member else {
        return refuse(request.lang, NOT_VISIBLE);
    };
    let (mode, given) = {
        let inner = sim.lock();
        let key = (link.company.corp_id.clone(), app.agent_id, member.userid.to_ascii_lowercase());
        (inner.settings.consent, inner.consent(&key, sim.now_ms()).cloned())
    };
    match (given, mode) {
        (Some(fields), _) => go(sim, request, &link, person, Some(fields), StatusCode::FOUND),
        (None, Consent::Allow) => {
            let all = app.sensitive.iter().cloned().collect();
            agree(sim, request, &link, app, &member.userid, all, StatusCode::FOUND)
        }
        (None, Consent::Refuse) => refused(sim, request, StatusCode::FOUND),
        (None, Consent::Ask) => consent_page(request, &link.company, app, member),
    }
}

/// Redirects to the app with a code.
fn go(
    sim: &Shared,
    request: &PageRequest,
    link: &Link,
    person: Person,
    consent: Option<BTreeSet<String>>,
    status: StatusCode,
) -> Response {
    let now = sim.now_ms();
    let mut inner = sim.lock();
    let ttl = i64::try_from(inner.settings.code_ttl).unwrap_or(300);
    let code = inner.new_code(Code {
        corp: link.company.corp_id.clone(),
        agent: link.app.as_ref().map(|a| a.agent_id),
        person,
        consent,
        redirect_uri: Some(request.get("redirect_uri").to_owned()),
        until_ms: now + ttl * 1000,
        used: false,
    });
    redirect(status, &back(request.get("redirect_uri"), Some(&code), request.get("state")))
}

/// Records the consent for 30 days, and redirects with a code.
fn agree(
    sim: &Shared,
    request: &PageRequest,
    link: &Link,
    app: &App,
    userid: &str,
    fields: BTreeSet<String>,
    status: StatusCode,
) -> Response {
    let now = sim.now_ms();
    {
        let mut inner = sim.lock();
        let until_ms = now + i64::try_from(inner.settings.consent_ttl).unwrap_or(0) * 1000;
        let key = (link.company.corp_id.clone(), app.agent_id, userid.to_ascii_lowercase());
        inner.consents.insert(key, ConsentGiven { fields: fields.clone(), until_ms });
    }
    go(sim, request, link, Person::Member(userid.to_owned()), Some(fields), status)
}

fn refused(sim: &Shared, request: &PageRequest, status: StatusCode) -> Response {
    match sim.lock().settings.refusal {
        Refusal::Redirect => redirect(status, &back(request.get("redirect_uri"), None, request.get("state"))),
        Refusal::Stay => message(
            request.lang,
            0,
            ("You refused", "你已拒绝授权"),
            (
                "Nothing was passed on. Open the app again to be asked again.",
                "未提供任何信息。重新打开应用可再次授权。",
            ),
        ),
    }
}

/// `POST /connect/oauth2/consent`: the form of the consent page.
pub(super) fn decide(sim: &Shared, request: &PageRequest) -> Response {
    let link = match check(sim, request) {
        Ok(link) => link,
        Err(wrong) => return refuse(request.lang, wrong),
    };
    let person = request.holder(sim).and_then(|key| sim.lock().person(&link.company.corp_id, &key));
    let (Some(Person::Member(userid)), Some(app)) = (person, &link.app) else {
        return refuse(request.lang, NOT_VISIBLE);
    };
    if !link.company.member(&userid).is_some_and(|m| link.company.sees(app, m)) {
        return refuse(request.lang, NOT_VISIBLE);
    }
    if request.get("decision") != "allow" {
        return refused(sim, request, StatusCode::SEE_OTHER);
    }
    let fields = app.sensitive.iter().filter(|f| request.fields.contains(f)).cloned().collect();
    agree(sim, request, &link, app, &userid, fields, StatusCode::SEE_OTHER)
}

/// One field to agree to.
struct Field {
    name: String,
    label: &'static str,
    value: String,
}

fn consent_page(request: &PageRequest, company: &Company, app: &App, member: &Member) -> Response {
    #[derive(Template)]
    #[template(path = "consent.html")]
    struct ConsentPage<'a> {
        l: Lang,
        app: &'a str,
        company: &'a str,
        initials: String,
        hue: u8,
        params: Vec<(&'static str, String)>,
        fields: Vec<Field>,
    }
    let l = request.lang;
    let none = || l.t("not given", "未填写").to_owned();
    let text = |s: &str| if s.is_empty() { none() } else { s.to_owned() };
    let fields = (app.sensitive.iter())
        .map(|name| {
            let (label, value) = match name.as_str() {
                "mobile" => (l.t("Phone number", "手机号"), text(&member.mobile)),
                "email" => (l.t("E-mail address", "邮箱"), text(&member.email)),
                "biz_mail" => (l.t("Business e-mail address", "企业邮箱"), text(&member.biz_mail)),
                "gender" => (
                    l.t("Gender", "性别"),
                    match member.gender.as_str() {
                        "1" => l.t("male", "男").to_owned(),
                        "2" => l.t("female", "女").to_owned(),
                        _ => none(),
                    },
                ),
                "avatar" => (l.t("Picture", "头像"), String::new()),
                "qr_code" => (l.t("Personal QR code", "个人二维码"), String::new()),
                _ => (l.t("Address", "地址"), String::new()),
            };
            Field { name: name.clone(), label, value }
        })
        .collect();
    page(&ConsentPage {
        l,
        app: &app.name,
        company: &company.name,
        initials: initials(&app.name),
        hue: hue(&app.secret),
        params: request.again(&PARAMS),
        fields,
    })
}
