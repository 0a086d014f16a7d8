//! Which of NocoBase's applications a request is for, if the gate serves several (`[[nocobase.apps]]`). Chosen before anything
//! else is known about the request: from then on, it is handled by that application's gate only.

use std::sync::Arc;

use http::header::{self, HeaderValue};
use pingora::http::RequestHeader;

use super::gate::Gate;
use super::request::{facts, framing};
use crate::decide::address::UNKNOWN;
use crate::decide::host::without_port;
use crate::decide::{self, OwnPath, application, target};
use crate::login::{FoundSession, OtherApplication};
use crate::session::OwnCookies;

/// The gate of the application whose host name this request has. If the request names another application too, that application's
/// policy refuses it.
pub(super) fn at_host(main: &Gate, request: &RequestHeader) -> Option<Arc<Gate>> {
    if main.with_host().is_empty() {
        return None;
    }
    // On any port: WeCom asks for verification files on another, and the application's policy refuses the rest (R4).
    let host = without_port(framing::host(request)?);
    main.with_host().iter().find(|app| host.eq_ignore_ascii_case(&app.config.origin.host)).cloned()
}

/// The gate of the application that this request to the main host name is for, unless that is the main one. The request's target
/// is canonical.
pub(super) fn choose(main: &Gate, request: &RequestHeader) -> Option<Arc<Gate>> {
    if main.below().is_empty() {
        return None;
    }
    let (policy, path) = (main.policy(), request.uri.path());
    let index = match decide::needs_session(&policy, path) {
        true => application::find(&policy, &main.app_names, &facts::facts(request, UNKNOWN, false))?,
        false => of_own(main, request, decide::own_path(&policy, path)?)?,
    };
    main.below().get(index).cloned()
}

/// A sign-in begins for the application of its target, and ends where it began: its cookie identifies the application. A
/// forward-auth check is for the application in `X-App`. All other requests below the gate's own addresses are for the main
/// application, or for none.
fn of_own(main: &Gate, request: &RequestHeader, own: OwnPath) -> Option<usize> {
    let parameter = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(request.uri.query()?.as_bytes());
        pairs.find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    };
    match own {
        OwnPath::Login | OwnPath::SignIn => {
            let target = target::sanitize(&parameter("rd")?)?;
            application::of_target(&main.policy(), &main.app_names, &target)
        }
        OwnPath::Callback => {
            let state = parameter("state")?;
            main.below().iter().position(|app| {
                let cookies = cookies(app, request.headers.get_all(header::COOKIE));
                cookies.is_some_and(|cookies| app.sign_ins.began(&cookies, &state))
            })
        }
        OwnPath::Me | OwnPath::Auth => {
            let facts = facts::facts(request, UNKNOWN, false);
            application::of_headers(&main.policy(), &main.app_names, &facts)
        }
        OwnPath::Logout | OwnPath::Link | OwnPath::Events(_) | OwnPath::Script | OwnPath::Console(_) => None,
    }
}

/// All applications at the same host name except that of `gate`, with this browser's cookies for them.
pub(super) fn others<'a>(
    main: &'a Gate,
    gate: &Gate,
    values: &'a [HeaderValue],
) -> Vec<OtherApplication<'a>> {
    let own_host = gate.config.nocobase.own_host;
    let all = std::iter::once(main).chain(main.below().iter().map(|app| &**app)).filter(|_| !own_host);
    all.filter(|other| other.config.nocobase.app != gate.config.nocobase.app)
        .filter_map(|other| {
            Some(OtherApplication { sessions: &other.sessions, cookies: cookies(other, values)? })
        })
        .collect()
}

/// Does this browser have a live session in an application other than the main one?
pub(super) async fn is_elsewhere(main: &Gate, values: &[HeaderValue]) -> bool {
    for app in main.below() {
        if let Some(cookies) = cookies(app, values)
            && cookies.has_session()
            && let FoundSession::Active { .. } = app.sessions.find(&cookies).await
        {
            return true;
        }
    }
    false
}

fn cookies<'a>(gate: &Gate, values: impl IntoIterator<Item = &'a HeaderValue>) -> Option<OwnCookies<'a>> {
    let values = values.into_iter().map(HeaderValue::as_bytes);
    OwnCookies::parse(gate.sessions.cookies.names(), values).ok()
}
