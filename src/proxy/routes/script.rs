//! `GET /wecom-gate/gate.js`: the script for NocoBase's pages, compressed once per coding. It is the same for everyone and holds
//! no secret (BREACH).

use bytes::Bytes;
use http::header;
use pingora::http::RequestHeader;
use tokio::sync::OnceCell;

use crate::pages;
use crate::proxy::coding::{Accepted, Coding, Effort, compress};
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;

/// Smallest first.
const PREFERRED: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

/// The script in each coding, made at the first request for it.
#[derive(Default)]
pub(crate) struct CodedScript {
    gzip: OnceCell<Bytes>,
    brotli: OnceCell<Bytes>,
    zstd: OnceCell<Bytes>,
}

impl CodedScript {
    /// `None`: not in this coding.
    async fn get(&self, body: &str, coding: Coding) -> Option<Bytes> {
        let cell = match coding {
            Coding::Identity => return None,
            Coding::Gzip => &self.gzip,
            Coding::Brotli => &self.brotli,
            Coding::Zstd => &self.zstd,
        };
        let make = || async {
            let body = body.to_owned();
            let done =
                tokio::task::spawn_blocking(move || compress(body.as_bytes(), coding, Effort::Best)).await;
            done.ok().and_then(Result::ok).ok_or(())
        };
        cell.get_or_try_init(make).await.ok().cloned()
    }
}

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
