//! The response with a cached file.

use http::{HeaderMap, HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session as HttpSession;

use super::file::{Digest, File};
use super::store::Assets;
use crate::decide::{self, ClientFile, FileKind};
use crate::proxy::coding::{Accepted, Coding, Effort};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;

/// A smaller file is sent uncompressed.
const MIN_COMPRESSED: usize = 512;
/// In the member's browser, never in a shared cache (R25); a year is the usual value for "permanently".
const IMMUTABLE: &str = "private, max-age=31536000, immutable";
const CHECKED: &str = "private, no-cache";

/// The cache, and the file that this request asks for, if any. Called once the request has been admitted.
pub(crate) fn wanted<'a>(
    gate: &'a Gate,
    downstream: &'a HttpSession,
    ctx: &Context,
) -> Option<(&'a Assets, ClientFile<'a>)> {
    let assets = gate.assets.as_ref()?;
    let head = downstream.req_header();
    let (path, query) = (head.uri.path(), head.uri.query());
    let file = decide::client_file(&gate.policy(), head.method.as_str(), path, query)?;
    let plain = !head.headers.contains_key(header::RANGE)
        && !downstream.is_upgrade_req()
        && ctx.cookies.is_empty()
        && ctx.sign_out_cookies.is_empty();
    // With CORS, an API response depends on the origin.
    let cross = file.kind == FileKind::Texts && head.headers.contains_key(header::ORIGIN);
    (plain && !cross).then_some((assets, file))
}

/// The response; `None`: the request has to be forwarded.
pub(crate) async fn respond(
    gate: &Gate,
    head: &RequestHeader,
    (assets, wanted): (&Assets, ClientFile<'_>),
) -> Option<Reply> {
    let file = assets.find(&gate.upstreams, &wanted).await?;
    let coded = file.kind.is_compressible() && file.bytes.len() >= MIN_COMPRESSED;
    let mut reply = Reply::default();
    let mut tag = tag(&file.digest, Coding::Identity, Effort::Quick);
    reply.body = file.bytes.clone();
    if coded {
        let accepted = Accepted::of(&head.headers);
        // Until the best version is available, the one that is created fastest.
        let small = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
        let fast = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
        let mut coding = accepted.best(small);
        if coding.can_be_better() && !assets.is_best(&file, coding).await {
            assets.improve(&file, coding);
            coding = accepted.best(fast);
        }
        let encoded = match coding {
            Coding::Identity => None,
            coding => assets.encoded(&file, coding).await.filter(|made| made.bytes.len() < file.bytes.len()),
        };
        if let (Some(encoded), Some(name)) = (encoded, coding.name()) {
            tag = self::tag(&file.digest, coding, encoded.effort);
            reply.body = encoded.bytes.clone();
            reply = reply.with(header::CONTENT_ENCODING, name);
        }
        reply = reply.with(header::VARY, "Accept-Encoding");
    }
    reply.status = 200;
    if let Some(held) = held(&head.headers, &file) {
        reply = Reply { status: 304, ..Reply::default() }.with(header::ETAG, &held);
        if coded {
            reply = reply.with(header::VARY, "Accept-Encoding");
        }
    } else {
        reply = reply.with(header::ETAG, &tag).with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        reply.headers.extend(file.headers.iter().cloned());
    }
    assets.saved(file.bytes.len().saturating_sub(reply.body.len()));
    Some(reply.with(header::CACHE_CONTROL, if file.is_lasting() { IMMUTABLE } else { CHECKED }))
}

/// A strong ETag: each coding of the content, at each effort, has different bytes.
fn tag(digest: &Digest, coding: Coding, effort: Effort) -> String {
    let effort = if effort == Effort::Best { "-best" } else { "" };
    match coding.name() {
        None => format!("\"{}\"", hex::encode(digest)),
        Some(name) => format!("\"{}-{name}{effort}\"", hex::encode(digest)),
    }
}

/// The tag in `If-None-Match` that stands for this content, in any coding.
fn held(headers: &HeaderMap, file: &File) -> Option<String> {
    let content = hex::encode(file.digest);
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    values.filter_map(|value: &HeaderValue| value.to_str().ok()).flat_map(|value| value.split(',')).find_map(
        |tag| {
            let tag = tag.trim();
            let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
            let rest = opaque.strip_prefix(content.as_str())?;
            let ours = matches!(rest, "" | "-gzip" | "-br" | "-br-best" | "-zstd" | "-zstd-best");
            ours.then(|| format!("\"{opaque}\""))
        },
    )
}
