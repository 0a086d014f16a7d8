//! The response with a cached file.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session as HttpSession;

use super::dictionary::{self, DCZ, USE_AS_DICTIONARY};
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
    let dictionary = assets.dictionary(&wanted).filter(|_| coded);
    let (body, encoding, tag) = match coded {
        true => compressed(assets, &file, dictionary.as_deref(), &head.headers).await,
        false => (file.bytes.clone(), None, tag(&file.digest, Coding::Identity, Effort::Quick)),
    };
    let mut reply = match held(&head.headers, &file) {
        Some(held) => Reply { status: 304, ..Reply::default() }.with(header::ETAG, &held),
        None => {
            let mut reply = Reply { status: 200, body, ..Reply::default() };
            if let Some(name) = encoding {
                reply = reply.with(header::CONTENT_ENCODING, name);
            }
            if dictionary.as_ref().is_some_and(|dictionary| dictionary.digest == file.digest)
                && file.is_lasting()
                && let Some(pattern) = dictionary::pattern(assets.kept.public_path())
            {
                reply = reply.with(USE_AS_DICTIONARY, &pattern);
            }
            reply = reply.with(header::ETAG, &tag).with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
            reply.headers.extend(file.headers.iter().cloned());
            reply
        }
    };
    if dictionary.is_some() {
        reply = reply.with(header::VARY, "Accept-Encoding, Available-Dictionary");
    } else if coded {
        reply = reply.with(header::VARY, "Accept-Encoding");
    }
    assets.saved(file.bytes.len().saturating_sub(reply.body.len()));
    Some(reply.with(header::CACHE_CONTROL, if file.is_lasting() { IMMUTABLE } else { CHECKED }))
}

/// The content as this client gets it, its coding and its ETag.
async fn compressed(
    assets: &Assets,
    file: &Arc<File>,
    dictionary: Option<&File>,
    headers: &HeaderMap,
) -> (Bytes, Option<&'static str>, String) {
    let accepted = Accepted::of(headers);
    // Until the best version is available, the one that is created fastest.
    let small = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
    let fast = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
    let mut coding = accepted.best(small);
    if coding.can_be_better() && !assets.is_best(file, coding).await {
        assets.improve(file, coding);
        coding = accepted.best(fast);
    }
    let encoded = match coding {
        Coding::Identity => None,
        coding => assets.encoded(file, coding).await.filter(|made| made.bytes.len() < file.bytes.len()),
    };
    let alone = match (encoded, coding.name()) {
        (Some(made), Some(name)) => (made.bytes.clone(), Some(name), tag(&file.digest, coding, made.effort)),
        _ => (file.bytes.clone(), None, tag(&file.digest, Coding::Identity, Effort::Quick)),
    };
    let Some(dictionary) = dictionary else { return alone };
    if !accepted.takes_dictionary(coding) || !dictionary::is_held(dictionary, headers) {
        return alone;
    }
    match assets.delta(file, dictionary).await {
        Some(delta) if delta.bytes.len() < alone.0.len() => {
            let with = hex::encode(dictionary.digest.get(..4).unwrap_or_default());
            let tag = format!("\"{}-{DCZ}-{with}\"", hex::encode(file.digest));
            (delta.bytes.clone(), Some(DCZ), tag)
        }
        _ => alone,
    }
}

/// A strong ETag: each coding of the content, at each effort and with each dictionary, has different bytes.
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
            let with = rest.strip_prefix("-dcz-").unwrap_or_default();
            let ours = matches!(rest, "" | "-gzip" | "-br" | "-br-best" | "-zstd" | "-zstd-best")
                || with.len() == 8 && with.bytes().all(|b| b.is_ascii_hexdigit());
            ours.then(|| format!("\"{opaque}\""))
        },
    )
}
