//! Members, departments, tags, the app itself, addresses.

use serde_json::{Map, Value, json};

use super::call::{Call, Caller};
use super::login::sensitive;
use crate::data::{Department, Member, SENSITIVE, userid_is_valid};
use crate::fail::{Fail, fail};
use crate::state::Inner;

type ApiResult = Result<Map<String, Value>, Fail>;

/// The fields of a JSON object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

impl Caller<'_> {
    fn sees_member(&self, member: &Member) -> bool {
        self.app.is_none_or(|app| self.company.sees(app, member))
    }

    fn sees_department(&self, id: u64) -> bool {
        self.app.is_none_or(|app| self.company.visible_departments(app).contains(&id))
    }

    /// The department in a parameter: malformed 60123, unknown 60003, not visible 60011.
    fn department(&self, text: &str) -> Result<&Department, Fail> {
        let id: u64 = text.parse().map_err(|_| fail(60123))?;
        let found = self.company.department(id).ok_or_else(|| fail(60003))?;
        if self.sees_department(id) { Ok(found) } else { Err(fail(60011)) }
    }

    /// The part of a member's profile that the caller may see.
    fn profile(&self, m: &Member) -> Map<String, Value> {
        let seen: Vec<u64> = m.departments.iter().copied().filter(|d| self.sees_department(*d)).collect();
        let mut out = object(json!({
            "userid": m.userid,
            "name": m.name,
            "alias": m.name_en,
            "position": m.position,
            "department": seen,
            "order": vec![0; seen.len()],
            "is_leader_in_dept": seen.iter().map(|d| u8::from(m.leads.contains(d))).collect::<Vec<_>>(),
            "direct_leader": [],
            "status": m.status,
            "telephone": "",
            "thumb_avatar": "https://avatar.example/default.png",
            "extattr": { "attrs": [] },
        }));
        if seen.contains(&m.main_department()) {
            out.insert("main_department".into(), m.main_department().into());
        }
        if self.app.is_some_and(|a| a.full_profile) {
            for field in SENSITIVE {
                let value = sensitive(m, field, true).unwrap_or_default();
                out.insert(field.into(), value.into());
            }
        }
        out
    }
}

impl Inner {
    /// doc 90196
    pub(super) fn user_get(&self, call: &Call<'_>, caller: &Caller<'_>) -> ApiResult {
        let userid = call.param("userid").ok_or_else(|| fail(41009))?;
        if !userid_is_valid(userid) {
            return Err(fail(40003));
        }
        let member = caller.company.member(userid).ok_or_else(|| fail(60111))?;
        if !caller.sees_member(member) {
            return Err(fail(self.settings.outside_range));
        }
        Ok(caller.profile(member))
    }
}

/// docs 90200, 90201: direct members only.
pub(super) fn user_list(call: &Call<'_>, caller: &Caller<'_>, whole: bool) -> ApiResult {
    let id = caller.department(call.param("department_id").ok_or_else(|| fail(40063))?)?.id;
    let members = caller.company.members.iter().filter(|m| m.departments.contains(&id));
    let direct = members.filter(|m| caller.sees_member(m));
    let list: Vec<Value> = direct
        .map(|m| match whole {
            true => Value::Object(caller.profile(m)),
            false => json!({ "userid": m.userid, "name": m.name, "department": caller.profile(m).get("department") }),
        })
        .collect();
    Ok(object(json!({ "userlist": list })))
}

/// doc 96067: only with the contact-sync secret.
pub(super) fn user_list_id(call: &Call<'_>, caller: &Caller<'_>) -> ApiResult {
    if caller.app.is_some() {
        return Err(fail(48002));
    }
    let body: Value = serde_json::from_slice(call.body).map_err(|_| fail(47001))?;
    let limit = body.get("limit").and_then(Value::as_u64).unwrap_or(10_000).clamp(1, 10_000);
    let from: usize = body.get("cursor").and_then(Value::as_str).and_then(|c| c.parse().ok()).unwrap_or(0);
    let all: Vec<(&str, u64)> = (caller.company.members.iter())
        .flat_map(|m| m.departments.iter().map(|d| (m.userid.as_str(), *d)))
        .collect();
    let page = usize::try_from(limit).unwrap_or(10_000);
    let end = from.saturating_add(page);
    let list: Vec<Value> =
        all.iter().skip(from).take(page).map(|(u, d)| json!({ "userid": u, "department": d })).collect();
    let next = if end < all.len() { end.to_string() } else { String::new() };
    Ok(object(json!({ "dept_user": list, "next_cursor": next })))
}

fn department_json(d: &Department, caller: &Caller<'_>) -> Value {
    let leaders: Vec<&str> = caller
        .company
        .members
        .iter()
        .filter(|m| m.leads.contains(&d.id))
        .map(|m| m.userid.as_str())
        .collect();
    json!({
        "id": d.id, "name": d.name, "name_en": d.name_en, "department_leader": leaders,
        "parentid": d.parent, "order": order(d),
    })
}

/// WeCom's sort value: greater values come first.
fn order(d: &Department) -> u64 {
    100_000_000_u64.saturating_sub(d.id * 1000)
}

/// docs 95350 (ids only), 90208: everything visible below `id`, itself included.
pub(super) fn department_list(call: &Call<'_>, caller: &Caller<'_>, whole: bool) -> ApiResult {
    let top = call.param("id").map(|t| caller.department(t)).transpose()?.map(|d| d.id);
    let company = caller.company;
    let visible = company
        .departments
        .iter()
        .filter(|d| caller.sees_department(d.id) && top.is_none_or(|t| company.is_below(d.id, &[t])));
    if whole {
        let list: Vec<Value> = visible.map(|d| department_json(d, caller)).collect();
        return Ok(object(json!({ "department": list })));
    }
    let list: Vec<Value> =
        visible.map(|d| json!({ "id": d.id, "parentid": d.parent, "order": order(d) })).collect();
    Ok(object(json!({ "department_id": list })))
}

/// doc 95351
pub(super) fn department_get(call: &Call<'_>, caller: &Caller<'_>) -> ApiResult {
    let d = caller.department(call.param("id").ok_or_else(|| fail(60123))?)?;
    Ok(object(json!({ "department": department_json(d, caller) })))
}

/// doc 90213: not expanded, and only what is in the visible range.
pub(super) fn tag_get(call: &Call<'_>, caller: &Caller<'_>) -> ApiResult {
    let id: u64 = call.param("tagid").and_then(|t| t.parse().ok()).ok_or_else(|| fail(40068))?;
    let tag = caller.company.tag(id).ok_or_else(|| fail(40068))?;
    if caller.app.is_some_and(|a| tag.denied_to.contains(&a.agent_id)) {
        return Err(fail(81011));
    }
    let members: Vec<Value> = (tag.members.iter())
        .filter_map(|u| caller.company.member(u))
        .filter(|m| caller.sees_member(m))
        .map(|m| json!({ "userid": m.userid, "name": m.name }))
        .collect();
    let departments: Vec<u64> =
        tag.departments.iter().copied().filter(|d| caller.sees_department(*d)).collect();
    Ok(object(json!({ "tagname": tag.name, "userlist": members, "partylist": departments })))
}

/// doc 90216
pub(super) fn tag_list(caller: &Caller<'_>) -> ApiResult {
    let list: Vec<Value> =
        caller.company.tags.iter().map(|t| json!({ "tagid": t.id, "tagname": t.name })).collect();
    Ok(object(json!({ "taglist": list })))
}

/// doc 90227: only the app that the token belongs to.
pub(super) fn agent_get(call: &Call<'_>, caller: &Caller<'_>) -> ApiResult {
    let asked = call.param("agentid").ok_or_else(|| fail(41011))?;
    let asked: u64 = asked.parse().map_err(|_| fail(40056))?;
    let app = caller.app()?;
    if app.agent_id != asked {
        return Err(fail(301002));
    }
    let users: Vec<Value> = app.visible.members.iter().map(|u| json!({ "userid": u })).collect();
    Ok(object(json!({
        "agentid": app.agent_id,
        "name": app.name,
        "square_logo_url": format!("http://{}{}", call.host, super::LOGO),
        "description": "",
        "allow_userinfos": { "user": users },
        "allow_partys": { "partyid": app.visible.departments },
        "allow_tags": { "tagid": app.visible.tags },
        "close": u8::from(app.closed),
        "redirect_domain": app.trusted(),
        "report_location_flag": 0,
        "isreportenter": 0,
        "home_url": format!("{}{}", app.gate.trim_end_matches('/'), app.home),
    })))
}

/// docs 92520, 92521
pub(super) fn ip_list(list: &[&str]) -> Map<String, Value> {
    object(json!({ "ip_list": list }))
}
