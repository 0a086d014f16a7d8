//! `/cgi-bin/…`: counting, faults, limits, token, address; then the call itself.

mod call;
mod contacts;
mod login;
mod token;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::fail::{Fail, fail};
use crate::fault::{self, FaultKind};
use crate::limit::{HOUR, Key, MINUTE};
use crate::net::{Peer, host};
use crate::responses;
use crate::state::{Inner, LogLine, Shared, Token};
use call::{Call, Caller};

/// The calls of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    GetToken,
    UserInfo { legacy: bool },
    UserDetail,
    UserGet,
    UserSimpleList,
    UserList,
    UserListId,
    DepartmentSimpleList,
    DepartmentGet,
    DepartmentList,
    TagGet,
    TagList,
    AgentGet,
    DomainIp,
    CallbackIp,
}

/// Path (which is also the key of counters and limits), call, method.
const APIS: [(&str, Api, Method); 17] = [
    ("/cgi-bin/gettoken", Api::GetToken, Method::GET),
    ("/cgi-bin/auth/getuserinfo", Api::UserInfo { legacy: false }, Method::GET),
    ("/cgi-bin/user/getuserinfo", Api::UserInfo { legacy: true }, Method::GET),
    ("/cgi-bin/auth/getuserdetail", Api::UserDetail, Method::POST),
    ("/cgi-bin/user/getuserdetail", Api::UserDetail, Method::POST),
    ("/cgi-bin/user/get", Api::UserGet, Method::GET),
    ("/cgi-bin/user/simplelist", Api::UserSimpleList, Method::GET),
    ("/cgi-bin/user/list", Api::UserList, Method::GET),
    ("/cgi-bin/user/list_id", Api::UserListId, Method::POST),
    ("/cgi-bin/department/simplelist", Api::DepartmentSimpleList, Method::GET),
    ("/cgi-bin/department/get", Api::DepartmentGet, Method::GET),
    ("/cgi-bin/department/list", Api::DepartmentList, Method::GET),
    ("/cgi-bin/tag/get", Api::TagGet, Method::GET),
    ("/cgi-bin/tag/list", Api::TagList, Method::GET),
    ("/cgi-bin/agent/get", Api::AgentGet, Method::GET),
    ("/cgi-bin/get_api_domain_ip", Api::DomainIp, Method::GET),
    ("/cgi-bin/getcallbackip", Api::CallbackIp, Method::GET),
];

/// Path of the picture of every app.
pub(super) const LOGO: &str = "/logo/app.png";

/// The picture itself.
pub(super) fn logo() -> Response {
    ([(header::CONTENT_TYPE, "image/png")], include_bytes!("logo.png").as_slice()).into_response()
}

/// Everything below `/cgi-bin/`.
pub(super) async fn serve(
    sim: Arc<Shared>,
    peer: Peer,
    parts: &Parts,
    claimed_ip: Option<IpAddr>,
    body: Bytes,
) -> Response {
    let (method, path, query) = (&parts.method, parts.uri.path(), parts.uri.query().unwrap_or(""));
    let (fault, ip) = {
        let mut inner = sim.lock();
        inner.count(path);
        (
            fault::take(&mut inner.faults, path, query),
            inner.settings.apparent_ip.or(claimed_ip).unwrap_or(peer.ip),
        )
    };
    let write = |errcode: Option<i64>, status: u16| {
        let now = sim.now_ms();
        sim.lock().write_log(LogLine {
            at_ms: now,
            ip,
            host: host(parts),
            method: method.to_string(),
            path: path.to_owned(),
            query: redact(query),
            errcode,
            status,
        });
    };
    let kind = match fault {
        Some(f) => {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(f.latency_ms)) => f.kind,
                () = sim.stopped() => FaultKind::Drop,
            }
        }
        None => FaultKind::None,
    };
    match &kind {
        FaultKind::None | FaultKind::Lost | FaultKind::Truncated => {}
        FaultKind::Errcode(code) => {
            write(Some(*code), 200);
            let serial = sim.lock().serial;
            return json(&fail(*code).body(ip, sim.now_ms(), serial));
        }
        other => {
            write(None, other.status());
            return responses::misbehave(&sim, &peer, other).await;
        }
    }

    let Some((key, api, wants)) = find(path, sim.lock().settings.legacy_only) else {
        write(None, 404);
        return responses::not_found();
    };
    let outcome = if wants == *method {
        let call =
            Call { host: host(parts), path: key, query: pairs(query), body: &body, ip, now: sim.now_ms() };
        sim.lock().carry_out(api, &call)
    } else {
        Err(fail(if wants == Method::GET { 43001 } else { 43002 }))
    };
    let (errcode, response) = match outcome {
        Ok(mut fields) => {
            let mut all = Map::new();
            all.insert("errcode".into(), 0.into());
            all.insert("errmsg".into(), "ok".into());
            all.append(&mut fields);
            (0, Value::Object(all))
        }
        Err(f) => (f.code, f.body(ip, sim.now_ms(), sim.lock().serial)),
    };
    match kind {
        FaultKind::Lost => {
            write(Some(errcode), 0);
            peer.cut();
            StatusCode::OK.into_response()
        }
        FaultKind::Truncated => {
            write(Some(errcode), 200);
            let mut text = response.to_string();
            text.truncate((0..=text.len() / 2).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0));
            ([(header::CONTENT_TYPE, JSON)], text).into_response()
        }
        _ => {
            write(Some(errcode), 200);
            json(&response)
        }
    }
}

const JSON: &str = "application/json; charset=UTF-8";

fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, JSON)], Body::from(value.to_string())).into_response()
}

fn find(path: &str, legacy_only: bool) -> Option<(&'static str, Api, Method)> {
    if legacy_only && path.starts_with("/cgi-bin/auth/") {
        return None;
    }
    APIS.iter().find(|(p, ..)| *p == path).cloned()
}

/// Parameters; if one is repeated, the first value counts.
fn pairs(query: &str) -> HashMap<String, String> {
    let mut all = HashMap::new();
    for (k, v) in url::form_urlencoded::parse(query.as_bytes()) {
        all.entry(k.into_owned()).or_insert_with(|| v.into_owned());
    }
    all
}

/// The query without secrets, for the log.
pub(super) fn redact(query: &str) -> String {
    const SECRET: [&str; 7] =
        ["corpsecret", "access_token", "code", "user_ticket", "state", "msg_signature", "echostr"];
    let mut out = Vec::new();
    for (k, v) in url::form_urlencoded::parse(query.as_bytes()) {
        let hidden = SECRET.contains(&&*k) && !v.is_empty();
        out.push(format!("{k}={}", if hidden { "***" } else { &v }));
    }
    out.join("&")
}

impl Inner {
    fn carry_out(&mut self, api: Api, call: &Call<'_>) -> Result<Map<String, Value>, Fail> {
        self.sweep(call.now);
        // A valid code is exempt from the frequency limit (doc 90313, code 45009).
        let exempt = matches!(api, Api::UserInfo { .. }) && self.code_is_good(call);
        let limits = self.settings.limits.clone();
        let mut within = |key: Key, length, limit| exempt || self.limiter.hit(key, length, limit, call.now);
        let ip_ok = within(Key::Ip(call.ip), MINUTE, limits.ip_minute)
            & within(Key::Ip(call.ip), HOUR, limits.ip_hour);
        if !ip_ok {
            return Err(fail(45009));
        }
        if api == Api::GetToken {
            return self.get_token(call);
        }
        let admitted = self.admit(api, call, exempt);
        if admitted.is_err() && self.settings.code_dies_on_failure && matches!(api, Api::UserInfo { .. }) {
            self.use_up(call);
        }
        let token = admitted?;
        match api {
            Api::UserInfo { legacy } => return self.user_info(call, &token, legacy),
            Api::UserDetail => return self.user_detail(call, &token),
            _ => {}
        }
        let company = self.data.company(&token.corp).ok_or_else(|| fail(40013))?;
        let app = token.agent.and_then(|a| company.app(a));
        let caller = Caller { company, app };
        match api {
            Api::UserGet => self.user_get(call, &caller),
            Api::UserSimpleList => contacts::user_list(call, &caller, false),
            Api::UserList => contacts::user_list(call, &caller, true),
            Api::UserListId => contacts::user_list_id(call, &caller),
            Api::DepartmentSimpleList => contacts::department_list(call, &caller, false),
            Api::DepartmentList => contacts::department_list(call, &caller, true),
            Api::DepartmentGet => contacts::department_get(call, &caller),
            Api::TagGet => contacts::tag_get(call, &caller),
            Api::TagList => contacts::tag_list(&caller),
            Api::AgentGet => contacts::agent_get(call, &caller),
            Api::DomainIp => Ok(contacts::ip_list(&["182.254.11.176", "182.254.78.66"])),
            Api::CallbackIp => Ok(contacts::ip_list(&["101.226.103.0/25", "182.254.11.199"])),
            Api::GetToken | Api::UserInfo { .. } | Api::UserDetail => Err(fail(-1)),
        }
    }

    /// Token, address and frequency: checks that every call except `gettoken` has to pass.
    fn admit(&mut self, api: Api, call: &Call<'_>, exempt: bool) -> Result<Token, Fail> {
        let name = call.param("access_token").ok_or_else(|| fail(41001))?;
        let token = self.tokens.get(name).cloned().ok_or_else(|| fail(40014))?;
        if call.now >= token.until_ms {
            return Err(fail(42001));
        }
        if let Some(trusted) = &self.settings.trusted_ips
            && !trusted.iter().any(|net| net.contains(&call.ip))
        {
            return Err(fail(60020));
        }
        let limits = self.settings.limits.clone();
        let key = || Key::Api(token.corp.clone(), call.path);
        let within = exempt
            || (self.limiter.hit(key(), MINUTE, limits.api_minute, call.now)
                & self.limiter.hit(key(), HOUR, limits.api_hour, call.now));
        if !within {
            return Err(fail(45009));
        }
        match token.agent.map(|a| self.data.app(&token.corp, a)) {
            // The app was deleted, so its token is invalid.
            Some(None) => Err(fail(40014)),
            Some(Some(app)) if app.closed && api != Api::AgentGet => Err(fail(50003)),
            _ => Ok(token),
        }
    }
}
