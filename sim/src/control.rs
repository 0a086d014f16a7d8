//! `/sim/…`: the [`Handle`] over HTTP, for tests in other languages and for experiments with curl.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::data::{Data, Member};
use crate::error::SimError;
use crate::event::{Event, Forgery};
use crate::fault::Fault;
use crate::handle::{CodeRequest, Handle};

type ControlResult = Result<Json<Value>, SimError>;

impl IntoResponse for SimError {
    fn into_response(self) -> Response {
        let status = match self {
            SimError::Unknown(_) => StatusCode::NOT_FOUND,
            SimError::Data(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

fn done() -> Json<Value> {
    Json(json!({ "ok": true }))
}

#[derive(Deserialize)]
struct MemberRef {
    corp_id: String,
    #[serde(default)]
    userid: String,
}

#[derive(Deserialize)]
struct MemberPut {
    corp_id: String,
    member: Member,
}

#[derive(Deserialize)]
struct TrustedIps {
    ips: Option<Vec<IpNet>>,
}

#[derive(Deserialize)]
struct Expire {
    /// `expired` (42001) or `unknown` (40014).
    #[serde(default)]
    how: String,
}

#[derive(Deserialize)]
struct Clock {
    advance_seconds: Option<u64>,
    offset_ms: Option<i64>,
}

#[derive(Deserialize)]
struct ConsentPut {
    corp_id: String,
    agent_id: u64,
    userid: String,
    fields: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct EventPost {
    corp_id: String,
    agent_id: u64,
    #[serde(flatten)]
    event: Event,
    #[serde(default)]
    forgery: Forgery,
}

#[derive(Deserialize)]
struct AppRef {
    corp_id: String,
    agent_id: u64,
}

/// The routes below `/sim`.
pub(crate) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/data", get(get_data).put(put_data))
        .route("/members", get(list_members).put(put_member).delete(delete_member))
        .route("/settings", get(get_settings).patch(patch_settings))
        .route("/trusted-ips", post(set_trusted_ips))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/tokens/expire", post(expire_tokens))
        .route("/clock", get(get_clock).post(set_clock))
        .route("/reset", post(reset))
        .route("/calls", get(get_calls).delete(clear_calls))
        .route("/log", get(get_log))
        .route("/codes", post(issue_code))
        .route("/consents", post(grant_consent).delete(withdraw_consents))
        .route("/events", post(send_event))
        .route("/events/verify", post(verify_event_url))
        .with_state(handle)
}

fn to_json<T: serde::Serialize>(value: &T) -> Json<Value> {
    Json(serde_json::to_value(value).unwrap_or(Value::Null))
}

async fn get_data(State(sim): State<Handle>) -> Json<Value> {
    to_json(&sim.data())
}

async fn put_data(State(sim): State<Handle>, Json(data): Json<Data>) -> ControlResult {
    sim.set_data(data)?;
    Ok(done())
}

async fn list_members(State(sim): State<Handle>, Query(q): Query<MemberRef>) -> Json<Value> {
    to_json(&sim.members(&q.corp_id))
}

async fn put_member(State(sim): State<Handle>, Json(body): Json<MemberPut>) -> ControlResult {
    sim.set_member(&body.corp_id, body.member)?;
    Ok(done())
}

async fn delete_member(State(sim): State<Handle>, Query(q): Query<MemberRef>) -> ControlResult {
    match sim.remove_member(&q.corp_id, &q.userid) {
        true => Ok(done()),
        false => Err(SimError::Unknown("no such member")),
    }
}

async fn get_settings(State(sim): State<Handle>) -> Json<Value> {
    to_json(&sim.settings())
}

/// Merges objects; fields that are not named keep their values.
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(old), Value::Object(new)) => {
            for (k, v) in new {
                merge(old.entry(k).or_insert(Value::Null), v);
            }
        }
        (slot, new) => *slot = new,
    }
}

async fn patch_settings(State(sim): State<Handle>, Json(patch): Json<Value>) -> Response {
    let mut all = serde_json::to_value(sim.settings()).unwrap_or_default();
    merge(&mut all, patch);
    match serde_json::from_value(all) {
        Ok(settings) => {
            sim.configure(|s| *s = settings);
            to_json(&sim.settings()).into_response()
        }
        Err(e) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": e.to_string() }))).into_response(),
    }
}

async fn set_trusted_ips(State(sim): State<Handle>, Json(body): Json<TrustedIps>) -> Json<Value> {
    sim.set_trusted_ips(body.ips);
    done()
}

async fn list_faults(State(sim): State<Handle>) -> Json<Value> {
    to_json(&sim.faults())
}

async fn add_fault(State(sim): State<Handle>, Json(fault): Json<Fault>) -> Json<Value> {
    sim.add_fault(fault);
    done()
}

async fn clear_faults(State(sim): State<Handle>) -> Json<Value> {
    sim.clear_faults();
    done()
}

async fn expire_tokens(State(sim): State<Handle>, Json(body): Json<Expire>) -> Json<Value> {
    if body.how == "unknown" {
        sim.forget_tokens();
    } else {
        sim.expire_tokens();
    }
    done()
}

async fn get_clock(State(sim): State<Handle>) -> Json<Value> {
    Json(json!({ "now_ms": sim.now_ms() }))
}

async fn set_clock(State(sim): State<Handle>, Json(body): Json<Clock>) -> Json<Value> {
    if let Some(ms) = body.offset_ms {
        sim.set_clock_offset_ms(ms);
    }
    if let Some(s) = body.advance_seconds {
        sim.advance(Duration::from_secs(s));
    }
    get_clock(State(sim)).await
}

async fn reset(State(sim): State<Handle>) -> Json<Value> {
    sim.reset();
    done()
}

async fn get_calls(State(sim): State<Handle>) -> Json<Value> {
    to_json(&sim.all_calls())
}

async fn clear_calls(State(sim): State<Handle>) -> Json<Value> {
    sim.clear_calls();
    done()
}

async fn get_log(State(sim): State<Handle>) -> Json<Value> {
    to_json(&sim.log())
}

async fn issue_code(State(sim): State<Handle>, Json(wanted): Json<CodeRequest>) -> ControlResult {
    Ok(Json(json!({ "code": sim.issue_code(&wanted)? })))
}

async fn grant_consent(State(sim): State<Handle>, Json(c): Json<ConsentPut>) -> Json<Value> {
    let fields: Option<Vec<&str>> = c.fields.as_ref().map(|f| f.iter().map(String::as_str).collect());
    sim.grant_consent(&c.corp_id, c.agent_id, &c.userid, fields.as_deref());
    done()
}

async fn withdraw_consents(State(sim): State<Handle>) -> Json<Value> {
    sim.withdraw_consents();
    done()
}

async fn send_event(State(sim): State<Handle>, Json(e): Json<EventPost>) -> ControlResult {
    Ok(to_json(&sim.send_forged_event(&e.corp_id, e.agent_id, &e.event, e.forgery).await?))
}

async fn verify_event_url(State(sim): State<Handle>, Json(a): Json<AppRef>) -> ControlResult {
    Ok(to_json(&sim.verify_event_url(&a.corp_id, a.agent_id).await?))
}
