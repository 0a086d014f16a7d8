//! `/wwlogin/sso/login`: the QR page for ordinary browsers (docs 98151, 98152), and the older link (91019).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::oauth::back;
use super::people::{Card, card_of, member_card};
use super::reply::{message, page, redirect};
use super::request::{Lang, PageRequest};
use crate::data::{App, Company};
use crate::range::domain_matches;
use crate::state::{Code, Person, Shared};

/// Parameters of the link, kept in the form of the page.
const PARAMS: [&str; 6] = ["login_type", "appid", "agentid", "redirect_uri", "state", "lang"];

/// The error code on the QR page, and its meaning in both languages.
type Refused = (i64, (&'static str, &'static str));

/// Checks a link: the company and its app, or the error.
fn check(sim: &Shared, request: &PageRequest) -> Result<(Company, App), Refused> {
    // The older link has no login_type.
    match request.get("login_type") {
        "CorpApp" => {}
        "" if request.address.starts_with("/wwopen/") => {}
        "ServiceApp" => return Err((-31034, ("The company is no provider", "该企业不是服务商"))),
        _ => return Err((-31040, ("login_type is wrong", "login_type参数错误"))),
    }
    let data = sim.lock().data.clone();
    let company = data.company(request.get("appid")).ok_or((-31027, ("appid is wrong", "appid参数错误")))?;
    let app = request.get("agentid").parse().ok().and_then(|id| company.app(id));
    let app = app.ok_or((-31028, ("agentid is wrong", "agentid参数错误")))?;
    if !app.web_login {
        return Err((-31037, ("The app is not set up for web login", "非登录授权应用")));
    }
    let to = request.get("redirect_uri");
    if to.is_empty() {
        return Err((-31035, ("redirect_uri is empty", "redirect_uri为空")));
    }
    // A self-built app may use either domain (doc 98152).
    if !domain_matches(to, &app.callback()) && !domain_matches(to, &app.trusted()) {
        return Err((
            -31020,
            ("redirect_uri is not the callback domain", "redirect_uri与配置的授权完成回调域名不一致"),
        ));
    }
    Ok((company.clone(), app.clone()))
}

fn wrong(l: Lang, (code, title): Refused) -> Response {
    let text = (
        "Compare the link with the app's settings in WeCom's admin console (企业微信授权登录).",
        "请对照企业微信管理后台中该应用的“企业微信授权登录”设置。",
    );
    message(l, code, title, text)
}

/// `GET /wwlogin/sso/login`
pub(super) fn login(sim: &Shared, request: &PageRequest) -> Response {
    let (company, app) = match check(sim, request) {
        Ok(found) => found,
        Err(e) => return wrong(request.lang, e),
    };
    if let Some(key) = request.scripted() {
        return scanned(sim, request, &company, &app, key, StatusCode::FOUND);
    }
    #[derive(Template)]
    #[template(path = "web_login.html")]
    struct WebLogin<'a> {
        l: Lang,
        app: &'a str,
        company: &'a str,
        params: Vec<(&'static str, String)>,
        qr: String,
        me: Option<Card>,
        people: Vec<Card>,
    }
    let l = request.lang;
    let mut params = request.again(&PARAMS);
    if request.get("login_type").is_empty() {
        params.push(("login_type", "CorpApp".to_owned()));
    }
    // One-click sign-in: the member signed in to WeCom on this computer, if they belong to this company.
    let me = request.picked().filter(|k| k.starts_with(&format!("{}/", company.corp_id)));
    page(&WebLogin {
        l,
        app: &app.name,
        company: &company.name,
        params,
        qr: qr(&request.address),
        me: me.and_then(|key| card_of(l, &sim.lock().data, key)),
        people: company.members.iter().map(|m| member_card(l, &company, m, Some(&app), None)).collect(),
    })
}

/// `POST /wwlogin/sso/scan`: a member has scanned or cancelled.
pub(super) fn scan(sim: &Shared, request: &PageRequest) -> Response {
    let (company, app) = match check(sim, request) {
        Ok(found) => found,
        Err(e) => return wrong(request.lang, e),
    };
    if request.get("decision") == "cancel" {
        return redirect(
            StatusCode::SEE_OTHER,
            &back(request.get("redirect_uri"), None, request.get("state")),
        );
    }
    scanned(sim, request, &company, &app, request.get("member"), StatusCode::SEE_OTHER)
}

fn scanned(
    sim: &Shared,
    request: &PageRequest,
    company: &Company,
    app: &App,
    key: &str,
    status: StatusCode,
) -> Response {
    let now = sim.now_ms();
    let mut inner = sim.lock();
    let member = match inner.person(&company.corp_id, key) {
        Some(Person::Member(userid)) => company.member(&userid),
        _ => None,
    };
    let Some(member) = member.filter(|m| company.sees(app, m)) else {
        let text = (
            "This person is outside the app's visible range. The administrator can add them.",
            "该成员不在应用的可见范围内，请联系管理员。",
        );
        return message(request.lang, 60021, ("No permission", "无权限"), text);
    };
    if member.status != 1 {
        let text = (
            "This account is disabled, not activated, or has left the company.",
            "该帐号已禁用、未激活或已退出企业。",
        );
        return message(
            request.lang,
            60111,
            ("This account cannot use WeCom", "该帐号无法使用企业微信"),
            text,
        );
    }
    let ttl = i64::try_from(inner.settings.code_ttl).unwrap_or(300);
    let code = inner.new_code(Code {
        corp: company.corp_id.clone(),
        agent: Some(app.agent_id),
        person: Person::Member(member.userid.clone()),
        consent: None,
        redirect_uri: Some(request.get("redirect_uri").to_owned()),
        until_ms: now + ttl * 1000,
        used: false,
    });
    redirect(status, &back(request.get("redirect_uri"), Some(&code), request.get("state")))
}

/// An image that looks like a QR code but encodes nothing.
fn qr(seed: &str) -> String {
    const SIZE: u32 = 25;
    let digest = ring::digest::digest(&ring::digest::SHA256, seed.as_bytes());
    let bytes = digest.as_ref();
    let finder = |x: u32, y: u32| -> Option<bool> {
        let at = |ox: u32, oy: u32| -> Option<bool> {
            let (dx, dy) = (x.checked_sub(ox)?, y.checked_sub(oy)?);
            if dx > 6 || dy > 6 {
                return None;
            }
            let ring = dx.min(dy).min(6 - dx).min(6 - dy);
            Some(ring != 1)
        };
        at(0, 0).or_else(|| at(SIZE - 7, 0)).or_else(|| at(0, SIZE - 7))
    };
    // The finder patterns keep one free module around them.
    let free = |x: u32, y: u32| (x <= 7 || x >= SIZE - 8) && y <= 7 || x <= 7 && y >= SIZE - 8;
    let mut path = String::new();
    for y in 0..SIZE {
        for x in 0..SIZE {
            let dark = finder(x, y).unwrap_or_else(|| {
                let n = x.wrapping_mul(73).wrapping_add(y.wrapping_mul(151)) as usize;
                let byte = bytes.get(n % bytes.len().max(1)).copied().unwrap_or(0);
                !free(x, y) && (u32::from(byte) ^ x.wrapping_mul(y) ^ (x >> 1)) & 2 == 0
            });
            if dark {
                path.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
    }
    format!(
        "<svg class=\"qr\" viewBox=\"0 0 {SIZE} {SIZE}\" shape-rendering=\"crispEdges\" role=\"img\" \
         aria-label=\"QR\"><path d=\"{path}\"/></svg>"
    )
}
