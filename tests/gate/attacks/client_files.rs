//! R25: files of NocoBase's client are cached for all users, and nothing else is: nothing personal, and nothing that an attacker
//! could make the gate take for such a file.

use std::collections::BTreeSet;
use std::io::Read as _;

use crate::support::eventually;
use crate::support::raw::{Response, Setup, Upstream, Visitor, gate_with, get, request, send_raw};

mod dictionary;
mod not_kept;
mod plugins;

const SCRIPT: &str = "Content-Type: application/javascript; charset=utf-8\r\n";

/// A script that can be compressed.
fn script() -> String {
    (0..60).map(|i| format!("export const name{i} = {};\n", i * i)).collect()
}

/// NocoBase's response to the gate's own request for this.
fn file(upstream: &Upstream, path: &str, headers: &str, body: &str) {
    upstream.set_response(&format!("own:{path}"), "200 OK", headers, body);
}

/// How many requests for this the gate itself has sent.
fn fetches(upstream: &Upstream, target: &str) -> usize {
    upstream.recorded().own.iter().filter(|r| r.target() == target).count()
}

fn cache_control(response: &Response) -> String {
    response.header("cache-control").unwrap_or_default()
}

/// The body, decoded.
fn content(response: &Response) -> Vec<u8> {
    let at = response.raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let body = &response.raw[at..];
    assert_eq!(response.header("content-length").unwrap(), body.len().to_string());
    let mut out = Vec::new();
    match response.header("content-encoding").as_deref() {
        None => out.extend_from_slice(body),
        Some("gzip") => _ = flate2::read::GzDecoder::new(body).read_to_end(&mut out).unwrap(),
        Some("br") => brotli::BrotliDecompress(&mut &body[..], &mut out).unwrap(),
        Some("zstd") => out = zstd::decode_all(body).unwrap(),
        Some(other) => panic!("{other}"),
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_file_is_fetched_once_and_anonymously() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let path = "/assets/index-0a1b2c3d.js";
    file(&upstream, path, SCRIPT, &script());
    let (one, other) = (setup.visitor(), setup.visitor());
    let odd = "X-Role: admin\r\nX-Locale: zh-CN\r\nReferer: http://gate.test/admin\r\nUser-Agent: secret\r\nIf-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT\r\n";
    let lines = [format!("{odd}{}", one.lines()), format!("{odd}{}", other.cookie_line())];
    let asked = (0..20).map(|i| {
        let (lines, http) = (lines[i % 2].clone(), gate.http);
        tokio::spawn(async move { send_raw(http, get(path, &lines)).await })
    });
    for response in asked.collect::<Vec<_>>() {
        let response = response.await.unwrap();
        assert_eq!(
            (response.status(), content(&response)),
            (200, script().into_bytes()),
            "{}",
            response.text()
        );
        assert_eq!(cache_control(&response), "private, max-age=31536000, immutable");
        assert_eq!(response.header("content-type").unwrap(), "application/javascript; charset=utf-8");
        assert_eq!(response.header("x-content-type-options").unwrap(), "nosniff");
        assert!(response.all("set-cookie").is_empty());
    }
    assert_eq!(fetches(&upstream, path), 1);
    assert!(upstream.take().is_empty(), "nothing is forwarded");
    let own = upstream.recorded().own.iter().find(|r| r.target() == path).unwrap().clone();
    let names: BTreeSet<String> = own.headers().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let expected =
        ["accept", "accept-encoding", "host", "user-agent", "x-app", "x-forwarded-host", "x-forwarded-proto"];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!((own.header("accept-encoding"), own.header("x-app")), (Some("identity"), Some("main")));
    assert!(own.header("user-agent").unwrap().starts_with("wecom-gate-cache/"), "{}", own.head);
}

/// Access to a file is decided before the cache lookup.
#[tokio::test(flavor = "multi_thread")]
async fn r25_cached_files_are_sent_to_authorised_clients_only() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let path = "/assets/index-0a1b2c3d.js";
    file(&upstream, path, SCRIPT, &script());
    let member = setup.visitor();
    assert_eq!(send_raw(gate.http, get(path, &member.cookie_line())).await.status(), 200);
    for (lines, status) in [
        (String::new(), 401),
        ("Cookie: wecom_gate=x\r\n".into(), 401),
        (format!("{}X-App: sub1\r\n", member.cookie_line()), 403),
        (format!("{}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", member.cookie_line()), 401),
        ("Authorization: Bearer x\r\n".into(), 401),
    ] {
        let response = send_raw(gate.http, get(path, &lines)).await;
        assert_eq!(response.status(), status, "{lines}: {}", response.text());
        assert!(!response.text().contains("export const"), "{lines}: {}", response.text());
        assert!(cache_control(&response).contains("no-store"), "{lines}: {}", response.text());
    }
    // A program with a NocoBase API key is not a browser; its requests go to NocoBase.
    let key = format!("Authorization: Bearer {}\r\n", setup.api_key());
    assert_eq!(send_raw(gate.http, get(path, &key)).await.status(), 200);
    assert_eq!(fetches(&upstream, path), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_codings_tags_and_heads() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    let path = "/assets/index-0a1b2c3d.js";
    file(&upstream, path, SCRIPT, &script());
    let member = setup.visitor();
    let ask = async |method: &str, lines: &str| {
        let lines = format!("{}{lines}", member.cookie_line());
        setup
            .send_raw_over(&gate, true, request(method, path, &format!("{lines}Connection: close\r\n")))
            .await
    };
    for (accept, coding) in [
        ("", None),
        ("Accept-Encoding: gzip, deflate\r\n", Some("gzip")),
        ("Accept-Encoding: br;q=0.9, gzip;q=0.1\r\n", Some("br")),
        ("Accept-Encoding: zstd\r\n", Some("zstd")),
        ("Accept-Encoding: br;q=0, zstd;q=0, gzip;q=0\r\n", None),
    ] {
        let whole = ask("GET", accept).await;
        assert_eq!(content(&whole), script().into_bytes(), "{accept}");
        assert_eq!(whole.header("content-encoding").as_deref(), coding, "{accept}");
        assert_eq!(whole.header("vary").as_deref(), Some("Accept-Encoding"));
        let head = ask("HEAD", accept).await;
        assert_eq!((head.status(), head.body().as_str()), (200, ""), "{accept}");
        assert_eq!(head.header("content-encoding").as_deref(), coding, "{accept}");
        let tag = whole.header("etag").unwrap();
        assert!(tag.starts_with('"'), "strong: {tag}");
        for held in [tag.clone(), format!("\"other\", W/{tag}")] {
            let same = ask("GET", &format!("{accept}If-None-Match: {held}\r\n")).await;
            assert_eq!((same.status(), same.body().as_str()), (304, ""), "{held}: {}", same.text());
            assert_eq!(same.header("etag").unwrap(), tag);
            assert!(same.header("content-encoding").is_none() && same.header("vary").is_some());
            assert_eq!(cache_control(&same), "private, max-age=31536000, immutable");
        }
        let other = ask("GET", &format!("{accept}If-None-Match: \"other\"\r\n")).await;
        assert_eq!(other.status(), 200);
    }
    // Later the smaller encoding, with its own ETag.
    let accept = "Accept-Encoding: gzip, deflate, br, zstd\r\n";
    let first = ask("GET", accept).await;
    eventually("the small one is there", async || {
        ask("GET", accept).await.header("etag").is_some_and(|tag| tag.ends_with("-br-best\""))
    })
    .await;
    let small = ask("GET", accept).await;
    assert_eq!(small.header("content-encoding").as_deref(), Some("br"));
    assert_eq!(content(&small), script().into_bytes());
    assert!(small.raw.len() <= first.raw.len(), "{} {}", small.raw.len(), first.raw.len());
    // The older ETag is still valid.
    let tag = first.header("etag").unwrap();
    assert_eq!(ask("GET", &format!("{accept}If-None-Match: {tag}\r\n")).await.status(), 304);
    // HTTP/2 and HTTP/1.0.
    let headers = [("cookie", member.cookie.as_str()), ("accept-encoding", "gzip")];
    let headers = headers.map(|(n, v)| (n.to_owned(), v.to_owned()));
    let (status, head) = setup.h2(&gate).await.ask("GET", path, &headers, &[]).await;
    assert_eq!((status, head["content-encoding"].to_str().unwrap()), (200, "gzip"));
    assert!(head.contains_key("content-length") && !head.contains_key("transfer-encoding"));
    let old = request("GET", path, &member.cookie_line()).replace("HTTP/1.1", "HTTP/1.0");
    let old = setup.send_raw_over(&gate, true, old).await;
    assert_eq!((old.status(), content(&old)), (200, script().into_bytes()));
    assert_eq!(fetches(&upstream, path), 1);
}

/// Requests the file repeatedly until the condition holds; every response must have the file.
async fn until(
    gate: &crate::support::raw::Process,
    member: &Visitor,
    path: &str,
    holds: impl Fn(&Response) -> bool,
) {
    eventually(path, async || {
        let response = send_raw(gate.http, get(path, &member.cookie_line())).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        holds(&response)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_file_without_a_hash_is_asked_about_again_and_outlives_nocobase() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    let path = "/global.css";
    let style = "Content-Type: text/css\r\nETag: \"one\"\r\n";
    file(&upstream, path, style, "one {}");
    let response = send_raw(gate.http, get(path, &member.cookie_line())).await;
    assert_eq!(
        (response.body().as_str(), cache_control(&response).as_str()),
        ("one {}", "private, no-cache")
    );
    // Not modified.
    upstream.set_response(&format!("own:{path}"), "304 Not Modified", "", "");
    until(&gate, &member, path, |_| fetches(&upstream, path) == 2).await;
    let asked = upstream.recorded().own.iter().rfind(|r| r.target() == path).unwrap().clone();
    assert_eq!(asked.header("if-none-match"), Some("\"one\""));
    // NocoBase stops, then it is unreachable.
    upstream.set_response(&format!("own:{path}"), "503 Service Unavailable", style, "POISON");
    until(&gate, &member, path, |response| {
        assert_eq!(response.body(), "one {}");
        fetches(&upstream, path) == 3
    })
    .await;
    // Another version.
    file(&upstream, path, "Content-Type: text/css\r\n", "two {}");
    until(&gate, &member, path, |response| response.body() == "two {}").await;
    // It no longer exists in NocoBase: nor here.
    upstream.set_response(&format!("own:{path}"), "200 OK", "Content-Type: text/html\r\n", "POISON");
    upstream.set_response(path, "404 Not Found", "", "GONE");
    eventually("it is gone", async || {
        let response = send_raw(gate.http, get(path, &member.cookie_line())).await;
        assert!(["two {}", "GONE"].contains(&response.body().as_str()), "{}", response.text());
        response.status() == 404
    })
    .await;
}

/// `?hash=` does not identify the content: a node responds with the version it has. Cached long-term only where NocoBase itself
/// names it.
#[tokio::test(flavor = "multi_thread")]
async fn r25_a_hash_in_the_query_lasts_where_nocobase_names_it() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    let path = "/static/plugins/@nocobase/plugin-x/dist/client/index.js";
    file(&upstream, path, SCRIPT, &script());
    let list = format!(r#"{{"data":[{{"name":"x","url":"{path}?hash=0a1b2c3d"}}]}}"#);
    file(&upstream, "/api/pm:listEnabled", "Content-Type: application/json\r\n", &list);
    for (query, expected) in [
        ("?hash=0a1b2c3d", "private, max-age=31536000, immutable"),
        ("?hash=0a1b2c3", "private, no-cache"),
        ("?hash=ffffffff", "private, no-cache"),
        ("", "private, no-cache"),
    ] {
        let response = send_raw(gate.http, get(&format!("{path}{query}"), &member.cookie_line())).await;
        assert_eq!((response.status(), cache_control(&response).as_str()), (200, expected), "{query}");
    }
}

/// While NocoBase is being upgraded, one node has the page's files and the other does not.
#[tokio::test(flavor = "multi_thread")]
async fn r25_of_two_nodes_the_one_that_has_the_file_is_found() {
    let old = Upstream::start().await;
    let (new, setup, gate) = gate_with(|s| s.set("upstream.nodes", vec![old.address.to_string()])).await;
    drop((new, gate));
    let new = Upstream::start().await;
    let setup: Setup = setup.set("upstream.nodes", vec![old.address.to_string(), new.address.to_string()]);
    let gate = setup.start().await;
    let member = setup.visitor();
    for i in 0..6 {
        let path = format!("/assets/part{i}-0a1b2c3d.js");
        file(&old, &path, "Content-Type: text/html\r\n", "<html>POISON</html>");
        file(&new, &path, SCRIPT, &script());
        let response = send_raw(gate.http, get(&path, &member.cookie_line())).await;
        assert_eq!(
            (response.status(), content(&response)),
            (200, script().into_bytes()),
            "{}",
            response.text()
        );
    }
    assert!(old.take().is_empty() && new.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_files_below_a_public_path() {
    let (upstream, setup, gate) = gate_with(|s| s.set("nocobase.public_path", "/crm/")).await;
    let member = setup.visitor();
    file(&upstream, "/crm/api/auth:check", "Content-Type: application/json\r\n", r#"{"data":{"id":7}}"#);
    for (path, kept) in [
        ("/crm/assets/x-0a1b2c3d.js", true),
        ("/crm/v/assets/x-0a1b2c3d.js", true),
        ("/assets/x-0a1b2c3d.js", false),
        ("/crm/apps/assets/x-0a1b2c3d.js", false),
    ] {
        file(&upstream, path, SCRIPT, &script());
        let response = send_raw(gate.http, get(path, &member.cookie_line())).await;
        assert_eq!(cache_control(&response).contains("immutable"), kept, "{path}: {}", response.text());
        assert_eq!(fetches(&upstream, path), usize::from(kept), "{path}");
    }
}

/// NocoBase sends its icon as uncompressed bitmaps; other images are compressed already.
#[tokio::test(flavor = "multi_thread")]
async fn an_icon_is_compressed_and_other_images_are_not() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    let bitmap = "\u{1}\u{0}".repeat(4000);
    for (path, kind, coded) in
        [("/favicon/favicon.ico", "image/x-icon", true), ("/assets/x.png", "image/png", false)]
    {
        file(&upstream, path, &format!("Content-Type: {kind}\r\n"), &bitmap);
        let lines = format!("{}Accept-Encoding: gzip, br, zstd\r\n", member.cookie_line());
        let response = send_raw(gate.http, get(path, &lines)).await;
        assert_eq!(response.header("content-encoding").is_some(), coded, "{path}");
        assert_eq!(response.header("content-type").as_deref(), Some(kind), "{path}");
        assert_eq!(content(&response), bitmap.as_bytes(), "{path}");
    }
}

/// The page's translations are the same for all users who request a language by name.
#[tokio::test(flavor = "multi_thread")]
async fn r25_the_texts_of_the_page_are_cached_where_all_users_share_them() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    let json = "Content-Type: application/json; charset=utf-8\r\nVary: Origin\r\n";
    let texts = format!(r#"{{"data":{{"lang":"zh-CN","resources":{{"client":"{}"}}}}}}"#, "文".repeat(2000));
    let path = "/api/app:getLang";
    file(&upstream, path, json, &texts);
    upstream.set_response(path, "200 OK", json, r#"{"data":{"lang":"FORWARDED"}}"#);
    let lines = format!("{}Accept-Encoding: gzip\r\n", member.lines());
    let response = send_raw(gate.http, get("/api/app:getLang?locale=zh-CN", &lines)).await;
    assert_eq!(
        (response.status(), content(&response)),
        (200, texts.clone().into_bytes()),
        "{}",
        response.text()
    );
    assert_eq!(cache_control(&response), "private, no-cache");
    assert!(response.raw.len() < 1500, "compressed: {}", response.raw.len());
    let tag = response.header("etag").unwrap();
    let same = send_raw(
        gate.http,
        get("/api/app:getLang?locale=zh-CN", &format!("{lines}If-None-Match: {tag}\r\n")),
    )
    .await;
    assert_eq!((same.status(), same.body().as_str()), (304, ""), "{}", same.text());
    assert!(upstream.take().is_empty());
    let own = upstream.recorded().own.iter().find(|r| r.target().starts_with(path)).unwrap().clone();
    assert!(own.header("authorization").is_none() && own.header("cookie").is_none(), "{}", own.head);
    // For a language that NocoBase does not know it returns the user's own, so the response is not shared.
    for (query, more) in [
        ("?locale=xx-XX", ""),
        ("", ""),
        ("?locale=zh-CN&ns=client", ""),
        ("?locale=zh-CN%22", ""),
        ("?locale=zh-CN", "Origin: http://gate.test\r\n"),
    ] {
        let response =
            send_raw(gate.http, get(&format!("{path}{query}"), &format!("{}{more}", member.lines()))).await;
        assert!(response.body().contains("FORWARDED"), "{query}: {}", response.text());
        assert_eq!(cache_control(&response), "private, no-store", "{query}");
        assert_eq!(upstream.take().len(), 1, "{query}");
    }
    let stranger = send_raw(gate.http, get("/api/app:getLang?locale=zh-CN", "")).await;
    assert_eq!(stranger.status(), 401, "{}", stranger.text());
    let other = send_raw(gate.http, get("/api/app:getInfo?locale=zh-CN", &member.lines())).await;
    assert!(other.body().contains("upstream"), "{}", other.text());
}
