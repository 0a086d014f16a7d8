//! The WeCom client: its member, and the workbench with the apps.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::people::{Card, Group, all_groups, card_of, hue, initials};
use super::reply::{page, redirect};
use super::request::{COOKIE, Lang, PageRequest};
use crate::data::{App, Company, Data};
use crate::state::Shared;

/// Asks for the member of this client, and then continues with `next`.
pub(super) fn members(sim: &Shared, request: &PageRequest, next: &str) -> Response {
    #[derive(Template)]
    #[template(path = "members.html")]
    struct Members<'a> {
        l: Lang,
        next: &'a str,
        groups: Vec<Group>,
    }
    let data = sim.lock().data.clone();
    page(&Members { l: request.lang, next, groups: all_groups(request.lang, &data, request.picked()) })
}

/// The path if every browser stays on this server with it, otherwise `/`.
fn own_path(next: &str) -> &str {
    let fine = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|b| b.is_ascii_graphic());
    if fine { next } else { "/" }
}

fn with_cookie(mut response: Response, value: &str, rest: &str) -> Response {
    let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
    if let Ok(v) = HeaderValue::from_str(&format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax{rest}")) {
        response.headers_mut().insert(header::SET_COOKIE, v);
    }
    response
}

/// `POST /client/member`
pub(super) fn pick(sim: &Shared, request: &PageRequest) -> Response {
    let key = request.get("member");
    if card_of(request.lang, &sim.lock().data, key).is_none() {
        return members(sim, request, own_path(request.get("next")));
    }
    with_cookie(redirect(StatusCode::SEE_OTHER, own_path(request.get("next"))), key, "")
}

/// `POST /client/sign-out`
pub(super) fn sign_out() -> Response {
    with_cookie(redirect(StatusCode::SEE_OTHER, "/"), "", "; Max-Age=0")
}

/// An app on the workbench.
struct Tile {
    name: String,
    company: String,
    initials: String,
    hue: u8,
    hidden: bool,
    link: String,
    desktop: String,
    mobile: String,
}

/// Apps under a heading.
struct Shelf {
    title: &'static str,
    note: &'static str,
    apps: Vec<Tile>,
}

/// An app that a link may belong to.
struct Choice {
    key: String,
    name: String,
}

/// How an app is available to a person.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Near {
    /// On the workbench.
    Mine,
    /// Of a company that shares its apps.
    Shared,
    /// Reached only through a link that a colleague has shared.
    Link,
}

/// The apps that this person may see: those of their company and of companies linked to it; for someone who is not a member, all
/// apps of the company.
fn apps<'a>(data: &'a Data, key: &str) -> Vec<(&'a Company, &'a App, Near)> {
    let (corp, id) = key.split_once('/').unwrap_or(("", ""));
    let mut out = Vec::new();
    for c in &data.companies {
        for a in &c.apps {
            let near = if c.corp_id == corp {
                match c.member(id) {
                    Some(m) if c.sees(a, m) => Near::Mine,
                    _ => Near::Link,
                }
            } else if c.linked.iter().any(|l| l == corp) {
                Near::Shared
            } else {
                continue;
            };
            out.push((c, a, near));
        }
    }
    out
}

/// `GET /`
pub(super) fn workbench(sim: &Shared, request: &PageRequest) -> Response {
    show(sim, request, false)
}

fn show(sim: &Shared, request: &PageRequest, bad_link: bool) -> Response {
    #[derive(Template)]
    #[template(path = "workbench.html")]
    struct Workbench {
        l: Lang,
        me: Card,
        groups: Vec<Shelf>,
        choices: Vec<Choice>,
        link: String,
        bad_link: bool,
    }
    let data = sim.lock().data.clone();
    let l = request.lang;
    let key = request.picked().unwrap_or("");
    let Some(me) = card_of(l, &data, key) else {
        return members(sim, request, "/");
    };
    let all = apps(&data, key);
    let tile = |(c, a, near): &(&Company, &App, Near)| {
        let (desktop, mobile) = (a.entrance(&a.home), a.entrance(&a.home_mobile));
        Tile {
            name: a.name.clone(),
            company: c.name.clone(),
            initials: initials(&a.name).chars().take(1).collect(),
            hue: hue(&a.secret),
            hidden: *near == Near::Link,
            link: if request.mobile() { mobile.clone() } else { desktop.clone() },
            desktop,
            mobile,
        }
    };
    let shelf = |near: Near, title: &'static str, note: &'static str| Shelf {
        title,
        note,
        apps: all.iter().filter(|(_, _, n)| *n == near).map(tile).collect(),
    };
    let mut groups = vec![
        shelf(Near::Mine, l.t("Apps", "应用"), ""),
        shelf(Near::Shared, l.t("Shared by linked companies", "互联企业共享"), ""),
        shelf(
            Near::Link,
            l.t("Not on this workbench", "不在此工作台"),
            l.t(
                "This person may not use these apps. A colleague passed on the link.",
                "该人员无权使用以下应用，链接由同事转发。",
            ),
        ),
    ];
    groups.retain(|g| !g.apps.is_empty());
    let choices = all
        .iter()
        .map(|(c, a, _)| Choice { key: format!("{}/{}", c.corp_id, a.agent_id), name: a.name.clone() });
    page(&Workbench {
        l,
        me,
        groups,
        choices: choices.collect(),
        link: request.get("link").to_owned(),
        bad_link,
    })
}

/// `GET /client/open`: a link from a chat.
pub(super) fn open(sim: &Shared, request: &PageRequest) -> Response {
    let app = (request.get("app").split_once('/'))
        .and_then(|(corp, agent)| sim.lock().data.app(corp, agent.parse().ok()?).cloned());
    let target = app.and_then(|app| deep_link(&app, request.get("link").trim()));
    match target {
        Some(to) => redirect(StatusCode::FOUND, &to),
        None => show(sim, request, true),
    }
}

/// The link that opens this page of the app; `None` if it does not belong to the app.
fn deep_link(app: &App, link: &str) -> Option<String> {
    let gate = Url::parse(&app.gate).ok()?;
    let url = gate.join(link).ok()?;
    let same = url.origin() == gate.origin() && (link.starts_with('/') || link.contains("://"));
    if !same || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let mut rd = url.path().to_owned();
    if let Some(q) = url.query() {
        rd.push('?');
        rd.push_str(q);
    }
    let fragment = url.fragment().map(|f| format!("#{f}")).unwrap_or_default();
    Some(format!("{}{fragment}", app.entrance(&rd)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_links_stay_in_the_app() {
        let data = Data::embedded().unwrap();
        let app = &data.companies[0].apps[0]; // at http://127.0.0.1:8080
        let base = "http://127.0.0.1:8080/wecom-gate/login?via=wecom&with=wecom&rd=";
        for (link, want) in [
            ("/admin/x?tab=1&a=b", Some("%2Fadmin%2Fx%3Ftab%3D1%26a%3Db")),
            ("http://127.0.0.1:8080/m#top", Some("%2Fm#top")),
            ("http://127.0.0.1:8081/m", None),
            ("//evil.example/", None),
            ("http://u@127.0.0.1:8080/", None),
            ("/\\evil.example", None),
            ("admin", None),
            ("javascript:alert(1)", None),
            ("", None),
        ] {
            assert_eq!(deep_link(app, link), want.map(|w| format!("{base}{w}")), "{link}");
        }
    }

    #[test]
    fn only_own_paths_are_redirect_targets() {
        for bad in ["", "https://x", "//x", "/\\x", "/a\nb", "x"] {
            assert_eq!(own_path(bad), "/", "{bad}");
        }
        assert_eq!(own_path("/connect/oauth2/authorize?a=b"), "/connect/oauth2/authorize?a=b");
    }
}
