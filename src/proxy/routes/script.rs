//! `GET /wecom-gate/gate.js`: the script for NocoBase's pages, compressed once per coding. It is the same for everyone and holds
//! no secret (BREACH).

use http::header;
use pingora::http::RequestHeader;

use crate::pages;
use crate::proxy::coding::{Accepted, Coding};
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;

/// Smallest first.
const PREFERRED: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

pub(super) async fn serve(gate: &Gate, request: &RequestHeader, version: Option<&str>) -> Reply {
    let rendered = pages::gate_js(&gate.config.pages.appearance, version);
    let coding = Accepted::of(&request.headers).best(PREFERRED);
    let coded = gate.coded_script.get(&rendered.body, coding).await;
    let mut reply = Reply::from(rendered).with(header::VARY, "Accept-Encoding");
    if let (Some(coded), Some(name)) = (coded, coding.name()) {
        reply.body = coded;
        reply = reply.with(header::CONTENT_ENCODING, name);
    }
    reply
}
