//! Everything but the API: pages, files, streams, WebSockets.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

use crate::version::{Shape, is_root_bundle, page};
use crate::{Node, error, token};

/// The response to a path outside `/api/`.
pub(crate) async fn respond(node: Node, parts: &mut Parts) -> Response {
    let path = parts.uri.path().to_owned();
    let shape = Shape::of(&node);
    match path.as_str() {
        "/sse" => sse(),
        "/sse/open" => open(),
        "/ws" => match WebSocketUpgrade::from_request_parts(parts, &()).await {
            Ok(upgrade) => upgrade.on_upgrade(move |socket| echo(node, socket)),
            Err(refused) => refused.into_response(),
        },
        _ if path.starts_with("/assets/") && !shape.root_bundles => asset(&parts.headers),
        _ if path.starts_with("/slow/") => {
            let ms = path.trim_start_matches("/slow/").parse().unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            "at last".into_response()
        }
        _ if path.starts_with("/files/") && shape.files => file(&node, &parts.headers, &path),
        // Static: for every client.
        _ if path.starts_with("/storage/uploads/") => format!("upload {path}").into_response(),
        _ if path.starts_with("/big/") => big(path.trim_start_matches("/big/").parse().unwrap_or(0)),
        _ if is_root_bundle(&path) && shape.root_bundles => asset(&parts.headers),
        _ => {
            let head = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::LAST_MODIFIED, "Sat, 21 Nov 2026 00:00:00 GMT"),
            ];
            (head, page(&node)).into_response()
        }
    }
}

/// This many bytes, generated while they are sent.
fn big(length: usize) -> Response {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let stream = futures_util::stream::unfold(length, |left| async move {
        let now = left.min(PIECE.len());
        (now > 0).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(&PIECE[..now])), left - now))
    });
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(stream)).into_response()
}

/// A file with an ETag.
fn asset(headers: &HeaderMap) -> Response {
    let tags = [(header::ETAG, "\"v1\""), (header::CACHE_CONTROL, "public, max-age=600")];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|t| t == "\"v1\"") {
        return (StatusCode::NOT_MODIFIED, tags).into_response();
    }
    (tags, [(header::CONTENT_TYPE, "text/javascript")], "export default 1;\n").into_response()
}

/// Records every frame, and echoes it.
async fn echo(node: Node, mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(text) = &message {
            node.data.lock().frames.push(text.to_string());
        }
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// One event, then nothing more on the open connection.
fn open() -> Response {
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"data: 0\n\n"))]);
    let body = Body::from_stream(first.chain(futures_util::stream::pending()));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// Four events in 800 ms.
fn sse() -> Response {
    let (tx, rx) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    tokio::spawn(async move {
        for i in 0..4 {
            if tx.send(Ok(Bytes::from(format!("data: {i}\n\n")))).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let stream =
        futures_util::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|item| (item, rx)) });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response()
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    all.split(';').find_map(|c| c.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn file(node: &Node, headers: &HeaderMap, path: &str) -> Response {
    let ok = cookie(headers, &format!("nb_auth_token_{}", node.app))
        .is_some_and(|t| token::who(node, Some(&t)).is_ok());
    if ok { format!("content of {path}").into_response() } else { error(403, "No permissions", None) }
}
