//! `events/<name>`: WeCom's event callback.

use bytes::Bytes;
use http::{Method, header};
use pingora::proxy::Session as HttpSession;

use super::body;
use super::request::Head;
use crate::error::Failure;
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;
use crate::wecom::event;

/// Responds at once; the event is processed afterwards. Every failure looks the same (R12).
pub(crate) async fn serve(
    gate: &Gate,
    downstream: &mut HttpSession,
    head: &Head,
    entry: usize,
) -> Result<Reply, Failure> {
    let entry = gate.config.wecom.get(entry).ok_or(Failure::NotFound)?;
    let receiver = gate.sign_ins.receiver(&entry.name).ok_or(Failure::NotFound)?;
    let query = head.query.as_deref().unwrap_or_default();
    let now_s = crate::login::now().as_secs();
    if head.method == Method::GET {
        let echo = receiver.verify_address(query, now_s).map_err(|e| refused(&entry.name, &e))?;
        let mut reply = Reply::empty(200).with(header::CONTENT_TYPE, "text/plain");
        reply.body = Bytes::from(echo);
        return Ok(reply);
    }
    let body = body::read(downstream, event::MAX_BODY).await?;
    let notice = receiver.receive(query, &body, now_s).map_err(|e| refused(&entry.name, &e))?;
    for app in &gate.apps {
        app.sign_ins.on_event(&entry.name, notice.clone());
    }
    gate.sign_ins.on_event(&entry.name, notice);
    let mut reply = Reply::empty(200).with(header::CONTENT_TYPE, "text/plain");
    reply.body = Bytes::from_static(b"success");
    Ok(reply)
}

/// The reason is only logged; the sender always gets the same response.
fn refused(entry: &str, why: &event::RejectedEvent) -> Failure {
    tracing::warn!(event = "wecom_event", entry, reason = why.reason(), "a callback was refused");
    why.failure()
}
