//! What must not be cached, and how much may be.

use super::*;

/// What may be personal, is not such a file, or is incomplete: forwarded each time, as if there were no cache.
#[tokio::test(flavor = "multi_thread")]
async fn r25_personal_responses_are_not_cached() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    let page = "Content-Type: text/html; charset=utf-8\r\n";
    let gzip = format!("{SCRIPT}Content-Encoding: gzip\r\n");
    for (name, status, headers) in [
        ("cookie", "200 OK", format!("{SCRIPT}Set-Cookie: a=b\r\n")),
        ("star", "200 OK", format!("{SCRIPT}Vary: *\r\n")),
        ("vary", "200 OK", format!("{SCRIPT}Vary: Accept-Encoding, Cookie\r\n")),
        ("nostore", "200 OK", format!("{SCRIPT}Cache-Control: no-store\r\n")),
        ("private", "200 OK", format!("{SCRIPT}Cache-Control: max-age=9, private\r\n")),
        ("index", "200 OK", page.to_owned()),
        ("typeless", "200 OK", String::new()),
        ("coded", "200 OK", gzip),
        ("part", "206 Partial Content", format!("{SCRIPT}Content-Range: bytes 0-6/7\r\n")),
        ("missing", "404 Not Found", SCRIPT.to_owned()),
        ("moved", "302 Found", format!("{SCRIPT}Location: /assets/x.js\r\n")),
        ("broken", "500 Internal Server Error", SCRIPT.to_owned()),
        ("denied", "401 Unauthorized", format!("{SCRIPT}WWW-Authenticate: Basic\r\n")),
    ] {
        let path = format!("/assets/{name}-0a1b2c3d.js");
        upstream.set_response(&format!("own:{path}"), status, &headers, "POISON");
        upstream.set_response(&path, "200 OK", "Content-Type: text/x-forwarded\r\n", "FORWARDED");
        for _ in 0..2 {
            let response = send_raw(gate.http, get(&path, &member.cookie_line())).await;
            assert_eq!((response.status(), response.body().as_str()), (200, "FORWARDED"), "{name}");
            assert_eq!(response.header("content-type").unwrap(), "text/x-forwarded", "{name}");
            assert!(!cache_control(&response).contains("immutable"), "{name}: {}", response.text());
        }
        assert_eq!(upstream.take().len(), 2, "{name}");
        assert_eq!(fetches(&upstream, &path), 1, "{name}: and NocoBase is not asked twice for each");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_responses_of_the_wrong_length_are_not_kept() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    let head = format!("HTTP/1.1 200 OK\r\n{SCRIPT}");
    for (name, response) in [
        ("short", format!("{head}Content-Length: 60\r\n\r\nPOISON")),
        ("unframed", format!("{head}\r\nPOISON")),
        ("chunks", format!("{head}Transfer-Encoding: chunked\r\n\r\n6\r\nPOISON\r\n")),
        ("halfchunk", format!("{head}Transfer-Encoding: chunked\r\n\r\n60\r\nPOISON")),
        ("twolengths", format!("{head}Content-Length: 6\r\nContent-Length: 7\r\n\r\nPOISON")),
        ("huge", format!("{head}Content-Length: 90000000\r\n\r\nPOISON")),
        ("nothing", String::new()),
        ("headless", "HTTP/1.1 200 OK\r\n".into()),
    ] {
        let path = format!("/assets/{name}-0a1b2c3d.js");
        {
            let mut recorded = upstream.recorded();
            recorded.responses.insert(format!("own:{path}"), response.into_bytes());
            recorded.closing.insert(format!("own:{path}"));
        }
        upstream.set_response(&path, "200 OK", "", "FORWARDED");
        let response = send_raw(gate.http, get(&path, &member.cookie_line())).await;
        assert_eq!((response.status(), response.body().as_str()), (200, "FORWARDED"), "{name}");
    }
    // A body without end.
    let path = "/assets/endless-0a1b2c3d.js";
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    {
        let mut recorded = upstream.recorded();
        let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        recorded.responses.insert(format!("own:{path}"), head.into_bytes());
        recorded.endless.insert(path.to_owned(), piece.into_bytes());
    }
    let before = gate.rss_kib();
    let mut line = tokio::net::TcpStream::connect(gate.http).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut line, get(path, &member.cookie_line()).as_bytes())
        .await
        .unwrap();
    eventually("it is forwarded", async || !upstream.recorded().requests.is_empty()).await;
    drop(line);
    assert!(gate.rss_kib() < before + 64 * 1024, "{before} {}", gate.rss_kib());
}

/// Web cache deception: an address that looks like a file of NocoBase's client but is not one.
#[tokio::test(flavor = "multi_thread")]
async fn r25_other_addresses_are_never_kept() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    for (target, status) in [
        ("/api/x.js", 200),
        ("/api/users:get/x-0a1b2c3d.css", 200),
        ("/files/main/x-0a1b2c3d.js", 200),
        ("/storage/uploads/x-0a1b2c3d.js", 200),
        ("/assets/x-0a1b2c3d.js;x.js", 200),
        ("/assets;x/x-0a1b2c3d.js", 200),
        ("/assets/x-0a1b2c3d.js?name=abc", 200),
        ("/assets/x-0a1b2c3d.js?hash=a&b=c", 200),
        ("/assets/x-0a1b2c3d.html", 200),
        ("/admin/x-0a1b2c3d.js", 200),
        ("/files/../assets/x-0a1b2c3d.js", 400),
        ("/assets/../api/x.js", 400),
        ("/assets/%2e%2e/api/x.js", 400),
        ("/assets/..%2fapi/x.js", 400),
        ("/assets/..;/api/x.js", 400),
        ("/assets//x.js", 400),
        ("/assets\\x.js", 400),
        ("/assets/%00.js", 400),
    ] {
        let path = target.split('?').next().unwrap();
        file(&upstream, path, SCRIPT, "KEPT");
        upstream.set_response(path, "200 OK", "", "FORWARDED");
        let before = upstream.recorded().own.len();
        for _ in 0..2 {
            let response = send_raw(gate.http, get(target, &member.cookie_line())).await;
            assert_eq!(response.status(), status, "{target}: {}", response.text());
            assert!(!response.text().contains("KEPT"), "{target}: {}", response.text());
        }
        assert_eq!(upstream.take().len(), if status == 200 { 2 } else { 0 }, "{target}");
        let own = upstream.recorded().own[before..].iter().any(|r| r.target().contains("x"));
        assert!(!own || upstream.recorded().own[before..].iter().all(|r| r.target().contains(":check")));
    }
    // A different spelling, and a range request.
    file(&upstream, "/assets/x-0a1b2c3d.js", SCRIPT, &script());
    assert_eq!(
        content(&send_raw(gate.http, get("/assets/%78-0a1b2c3d.js", &member.cookie_line())).await).len(),
        script().len()
    );
    upstream.set_response("/assets/x-0a1b2c3d.js", "206 Partial Content", "", "PART");
    let part = format!("{}Range: bytes=0-3\r\n", member.cookie_line());
    assert_eq!(send_raw(gate.http, get("/assets/x-0a1b2c3d.js", &part)).await.body(), "PART");
    let posted =
        request("POST", "/assets/x-0a1b2c3d.js", &format!("{}Content-Length: 0\r\n", member.lines()));
    assert_eq!(send_raw(gate.http, posted).await.body(), "PART");
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_nothing_is_kept_where_that_is_switched_off() {
    let (upstream, setup, gate) = gate_with(|s| s.set("cache.memory", "0")).await;
    let path = "/assets/index-0a1b2c3d.js";
    file(&upstream, path, SCRIPT, &script());
    for _ in 0..2 {
        send_raw(gate.http, get(path, &setup.visitor().cookie_line())).await;
    }
    assert_eq!((fetches(&upstream, path), upstream.take().len()), (0, 2));
}

/// Versions that do not exist evict nothing and cost a bounded amount of memory.
#[tokio::test(flavor = "multi_thread")]
async fn r25_memory_is_bounded() {
    let (upstream, setup, gate) = gate_with(|s| s.set("cache.memory", "1MiB")).await;
    let member = setup.visitor();
    let path = "/assets/large.js";
    let body = format!("{}{}", script(), "x".repeat(200_000));
    file(&upstream, path, SCRIPT, &body);
    for i in 0..40 {
        let response = send_raw(gate.http, get(&format!("{path}?v={i}"), &member.cookie_line())).await;
        assert_eq!(content(&response).len(), body.len());
    }
    eventually("what does not fit is dropped", async || {
        let metrics = send_raw(gate.ops, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.text();
        let value = |name: &str| -> u64 {
            metrics.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok()).unwrap()
        };
        let (misses, bytes) = (value("wecom_gate_cache_misses_total"), value("wecom_gate_cache_bytes"));
        // Each is fetched once more: only what is cached is bounded.
        send_raw(gate.http, get(&format!("{path}?v={misses}x"), &member.cookie_line())).await;
        misses >= 40 && bytes <= 1 << 20
    })
    .await;
}
