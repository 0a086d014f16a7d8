//! Responses that NocoBase sends uncompressed are compressed only where no other site can have requested them: otherwise the size
//! of a response would tell that site whether it contains a text of its choice (BREACH).

use std::io::Read as _;

use crate::support::eventually;
use crate::support::raw::{Response, WECOM, gate, gate_with, get, request, send_raw};

const JSON: &str = "Content-Type: application/json; charset=utf-8\r\n";
const ACCEPT: &str = "Accept-Encoding: gzip, deflate, br, zstd\r\n";

fn body() -> String {
    let rows: Vec<String> =
        (0..300).map(|i| format!(r#"{{"id":{i},"secret":"SECRET-{}"}}"#, i * 7919)).collect();
    format!("{{\"data\":[{}]}}", rows.join(","))
}

/// The body after removing chunks and content coding; `None` if it is incomplete.
fn content(response: &Response) -> Option<String> {
    let at = response.raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut rest = &response.raw[at..];
    let mut bytes = Vec::new();
    if response.header("transfer-encoding").is_none() {
        bytes.extend_from_slice(rest);
    } else {
        loop {
            let end = rest.windows(2).position(|w| w == b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
            bytes.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
            rest = rest.get(end + 2 + size + 2..)?;
            if size == 0 {
                break;
            }
        }
    }
    let mut out = Vec::new();
    match response.header("content-encoding").as_deref() {
        None => out = bytes,
        Some("gzip") => _ = flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut out).unwrap(),
        Some("br") => brotli::BrotliDecompress(&mut &bytes[..], &mut out).unwrap(),
        Some("zstd") => out = zstd::decode_all(&bytes[..]).unwrap(),
        Some(other) => panic!("{other}"),
    }
    Some(String::from_utf8(out).unwrap())
}

fn coding(response: &Response) -> Option<String> {
    response.header("content-encoding")
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_the_size_of_a_response_reveals_nothing_to_another_site() {
    let (upstream, setup, gate) = gate().await;
    for path in ["/api/x", "/api/public", "/files/main/x.json"] {
        upstream.set_response(path, "200 OK", JSON, &body());
    }
    let member = setup.visitor();
    let (cookie, lines) = (member.cookie_line(), member.lines());
    let navigate = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let key = format!("Authorization: Bearer {}\r\n", setup.api_key());
    for (what, path, headers, compressed) in [
        ("the page's call", "/api/x", lines.clone(), true),
        (
            "the page's call, as browsers mark it",
            "/api/x",
            format!("{lines}Sec-Fetch-Site: same-origin\r\n"),
            true,
        ),
        (
            "a file that the page loads",
            "/files/main/x.json",
            format!("{cookie}Sec-Fetch-Site: same-origin\r\n"),
            true,
        ),
        ("a program", "/api/x", key.clone(), true),
        (
            "a link on another site",
            "/api/x",
            format!("{cookie}Sec-Fetch-Site: cross-site\r\n{navigate}"),
            false,
        ),
        (
            "a file, from another site",
            "/files/main/x.json",
            format!("{cookie}Sec-Fetch-Site: cross-site\r\n{navigate}"),
            false,
        ),
        ("a sister site", "/api/x", format!("{cookie}Sec-Fetch-Site: same-site\r\n{navigate}"), false),
        ("an address that was typed", "/api/x", format!("{cookie}Sec-Fetch-Site: none\r\n{navigate}"), false),
        ("an old browser", "/api/x", cookie.clone(), false),
        ("an old browser, a file", "/files/main/x.json", cookie.clone(), false),
        (
            "a public rule, from another site",
            "/api/public",
            format!("{cookie}Sec-Fetch-Site: cross-site\r\n"),
            false,
        ),
        ("a public rule, anonymous", "/api/public", String::new(), false),
        (
            "a key, from another site's script",
            "/api/x",
            format!("{key}Sec-Fetch-Site: cross-site\r\n"),
            false,
        ),
    ] {
        let response = send_raw(gate.http, get(path, &format!("{headers}{ACCEPT}"))).await;
        assert_eq!(response.status(), 200, "{what}: {}", response.text());
        assert_eq!(coding(&response), compressed.then(|| "zstd".to_owned()), "{what}: {}", response.text());
        assert_eq!(content(&response).unwrap(), body(), "{what}");
        if !compressed {
            assert_eq!(response.header("content-length").unwrap(), body().len().to_string(), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_compressed_as_the_client_accepts() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    upstream.set_response(
        "/api/x",
        "200 OK",
        &format!("{JSON}ETag: \"a\"\r\nAccept-Ranges: bytes\r\n"),
        &body(),
    );
    let member = setup.visitor();
    let lines = member.lines();
    for (accept, expected) in [
        (ACCEPT, Some("zstd")),
        ("Accept-Encoding: gzip, br\r\n", Some("br")),
        ("Accept-Encoding: gzip\r\n", Some("gzip")),
        ("Accept-Encoding: br;q=0, *;q=0\r\n", None),
        ("", None),
    ] {
        for tls in [false, true] {
            let response = setup.send_raw_over(&gate, tls, get("/api/x", &format!("{lines}{accept}"))).await;
            assert_eq!(coding(&response).as_deref(), expected, "{accept}: {}", response.text());
            assert_eq!(content(&response).unwrap(), body(), "{accept}");
            let tag = response.header("etag").unwrap();
            assert_eq!(tag, if expected.is_some() { "W/\"a\"" } else { "\"a\"" }, "{accept}");
            assert_eq!(response.header("content-length").is_none(), expected.is_some(), "{accept}");
            assert_eq!(response.header("accept-ranges").is_none(), expected.is_some(), "{accept}");
            assert_eq!(response.all("vary"), ["Accept-Encoding"], "{accept}");
            assert_eq!(response.count(), 1);
        }
    }
    // HTTP/1.0 has no chunked coding: the body ends with the connection.
    let old =
        get("/api/x", &format!("{lines}{ACCEPT}Connection: keep-alive\r\n")).replace("HTTP/1.1", "HTTP/1.0");
    let response = setup.send_raw_over(&gate, false, old).await;
    assert!(response.closed && response.header("transfer-encoding").is_none(), "{}", response.text());
    assert_eq!((coding(&response).as_deref(), content(&response).unwrap()), (Some("zstd"), body()));
    // HTTP/2 frames it itself.
    let headers = [("cookie", member.cookie.clone()), ("accept-encoding", "br".to_owned())];
    let token = ("authorization".to_owned(), format!("Bearer {}", member.phantom));
    let mut headers: Vec<_> = headers.map(|(n, v)| (n.to_owned(), v)).into();
    headers.push(token);
    let (status, head) = setup.h2(&gate).await.ask("GET", "/api/x", &headers, &[]).await;
    assert_eq!((status, head["content-encoding"].to_str().unwrap()), (200, "br"));
    assert!(!head.contains_key("content-length") && !head.contains_key("transfer-encoding"), "{head:?}");
    // A response to HEAD has no body, and the uncompressed length.
    let head =
        setup.send_raw_over(&gate, false, request("HEAD", "/api/x", &format!("{lines}{ACCEPT}"))).await;
    assert_eq!((head.status(), coding(&head)), (200, None), "{}", head.text());
    assert_eq!(head.header("content-length").unwrap(), body().len().to_string());
    assert_eq!(head.body(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_compressed_is_not() {
    let (upstream, setup, gate) = gate().await;
    let lines = format!("{}{ACCEPT}Sec-Fetch-Site: same-origin\r\n", setup.visitor().lines());
    let coded = format!("{JSON}Content-Encoding: gzip\r\n");
    for (status, headers, body) in [
        ("200 OK", JSON.to_owned(), "{}".to_owned()),
        ("200 OK", format!("{JSON}Cache-Control: no-transform\r\n"), body()),
        ("200 OK", coded, "not really gzip".repeat(200)),
        ("200 OK", "Content-Type: application/pdf\r\n".into(), body()),
        ("206 Partial Content", format!("{JSON}Content-Range: bytes 0-4999/9999\r\n"), body()),
        ("404 Not Found", JSON.to_owned(), body()),
        ("200 OK", "Content-Type: text/event-stream\r\n".into(), body()),
    ] {
        upstream.set_response("/api/x", status, &headers, &body);
        let response = send_raw(gate.http, get("/api/x", &lines)).await;
        assert_eq!(response.body(), body, "{status} {headers}");
        assert_eq!(response.header("content-length").unwrap(), body.len().to_string());
    }
    // A page gets the script and contains the session's phantom: never compressed.
    let member = setup.visitor();
    let html = format!("<!DOCTYPE html><html><head></head><body>{}</body></html>", body());
    upstream.set_response("/admin", "200 OK", "Content-Type: text/html\r\n", &html);
    let page = format!(
        "{}{ACCEPT}Accept: text/html\r\nUser-Agent: {WECOM}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
        member.cookie_line()
    );
    let response = send_raw(gate.http, get("/admin", &page)).await;
    assert!(coding(&response).is_none() && response.body().contains(&member.phantom), "{}", response.text());
}

/// A response without a length: each piece is forwarded as it arrives. A truncated response stays truncated.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_not_delayed_and_truncation_is_preserved() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (upstream, setup, gate) = gate().await;
    let lines = format!("{}{ACCEPT}", setup.visitor().lines());
    let head = format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n");
    {
        let mut recorded = upstream.recorded();
        // The upstream then keeps the connection open and sends nothing more.
        recorded.responses.insert("/api/slow".into(), format!("{head}7\r\n{{\"a\":1,\r\n").into_bytes());
        recorded.responses.insert(
            "/api/cut".into(),
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 5000\r\n\r\n{}", &body()[..3000]).into_bytes(),
        );
        recorded.closing.insert("/api/cut".into());
    }
    let mut line = tokio::net::TcpStream::connect(gate.http).await.unwrap();
    line.write_all(get("/api/slow", &lines).as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    eventually("the first piece is there", async || {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(std::time::Duration::from_millis(50), line.read(&mut piece)).await;
        raw.extend_from_slice(&piece[..read.map_or(0, Result::unwrap)]);
        let text = String::from_utf8_lossy(&raw);
        text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() > 12)
    })
    .await;
    let at = raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let size_line = raw[at..].windows(2).position(|w| w == b"\r\n").unwrap();
    let mut decoder = zstd::stream::read::Decoder::new(&raw[at + size_line + 2..]).unwrap();
    let mut first = [0; 7];
    decoder.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{\"a\":1,");
    drop(line);
    let response = send_raw(gate.http, get("/api/cut", &lines)).await;
    assert_eq!(coding(&response).as_deref(), Some("zstd"), "{}", response.text());
    assert!(response.closed && content(&response).is_none(), "{}", response.text());
}

/// The gate's own script is the same for everyone: anyone may request it, in any coding.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_for_pages_is_compressed_as_the_client_accepts() {
    let (_upstream, _setup, gate) = gate().await;
    let plain = send_raw(gate.http, get("/wecom-gate/gate.js", "")).await;
    let script = content(&plain).unwrap();
    assert_eq!((coding(&plain), plain.all("vary")), (None, vec!["Accept-Encoding".to_owned()]));
    for (accept, expected) in [
        (ACCEPT, "br"),
        ("Accept-Encoding: gzip, zstd\r\n", "zstd"),
        ("Accept-Encoding: gzip\r\n", "gzip"),
        ("Accept-Encoding: br;q=0.1, gzip\r\n", "gzip"),
    ] {
        // Compressed once, and kept.
        for _ in 0..2 {
            let response = send_raw(gate.http, get("/wecom-gate/gate.js", accept)).await;
            assert_eq!(coding(&response).as_deref(), Some(expected), "{accept}");
            assert_eq!(content(&response).unwrap(), script, "{accept}");
            assert_eq!(response.all("vary"), ["Accept-Encoding"], "{accept}");
            let length: usize = response.header("content-length").unwrap().parse().unwrap();
            assert!(length < script.len() / 2, "{accept}: {length} of {}", script.len());
        }
    }
    let head = get("/wecom-gate/gate.js", ACCEPT).replacen("GET", "HEAD", 1);
    let response = send_raw(gate.http, head).await;
    assert_eq!((response.status(), coding(&response).as_deref()), (200, Some("br")));
}
