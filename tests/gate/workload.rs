//! A realistic mix of work. Short among the tests; `make release` runs it for longer, with an instrumented program.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::Stage;
use crate::support::raw::{
    HOST, Line, Process, Setup, Upstream, Visitor, WECOM, frame, gate_with, get, read_response, request,
    upgrade,
};

/// Sign-ins that one address may begin in a minute.
const MANY: i64 = 1_000_000;
/// What NocoBase's page sends with each of its API calls, besides cookie and token.
const PAGE: &str = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/129.0.6668.101 Safari/537.36 Language/zh wxwork/5.0.8 (MicroMessenger/6.2) WindowsWechat\r\n\
    Accept: application/json, text/plain, */*\r\nAccept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
    X-Locale: zh-CN\r\nX-Role: member\r\nX-Authenticator: basic\r\nX-Timezone: +08:00\r\n";
const DOCUMENT: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

/// Each kind of work runs for some multiples of this. Short, unless `WECOM_GATE_WORKLOAD_SECONDS` is larger.
fn unit() -> Duration {
    let seconds =
        std::env::var("WECOM_GATE_WORKLOAD_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(0.02);
    Duration::from_secs_f64(seconds)
}

/// Repeats this on this many tasks until the time is up.
#[expect(clippy::print_stdout, reason = "shows how far the work is")]
async fn repeat<F: Future<Output = ()> + Send>(
    what: &str,
    units: u32,
    at_once: usize,
    work: impl Fn(Instant) -> F,
) {
    let until = Instant::now() + unit() * units;
    let all = (0..at_once).map(|_| work(until));
    futures_util::future::join_all(all).await;
    println!("{what}: done");
}

/// One request after the other on one connection.
async fn keep_asking(mut line: Box<dyn Line>, bytes: String, status: u16, until: Instant) {
    loop {
        line.write_all(bytes.as_bytes()).await.unwrap();
        line.flush().await.unwrap();
        let response = read_response(&mut line).await;
        assert_eq!(response.status(), status, "{}", response.text());
        if Instant::now() >= until {
            return;
        }
    }
}

/// Sets the upstream's responses of all kinds.
fn furnish(upstream: &Upstream) {
    let line = r#"{"id":1,"name":"0123456789abcdef0123456789abcdef","ok":true},"#;
    for (name, size) in [("1k", 1024), ("64k", 64 << 10)] {
        let body = line.repeat(size / line.len());
        upstream.set_response(
            &format!("/api/{name}:list"),
            "200 OK",
            "Content-Type: application/json\r\n",
            &body,
        );
    }
    let script = "export const value = [1, 2, 3].map((n) => n * 2);\n".repeat(2000);
    let kind = "Content-Type: application/javascript; charset=utf-8\r\n";
    upstream.set_response("/assets/index-0a1b2c3d.js", "200 OK", kind, &script);
    upstream.set_response("/global.css", "200 OK", "Content-Type: text/css\r\n", "body { margin: 0 }");
    let page = format!(
        "<!DOCTYPE html><html><head><title>NocoBase</title></head><body>{}</body></html>",
        "<p>x</p>".repeat(300)
    );
    upstream.set_response("/admin", "200 OK", "Content-Type: text/html; charset=utf-8\r\n", &page);
}

/// Signed-in requests: small, large, compressed, uploads, files, pages, over plain HTTP and TLS.
async fn requests(setup: &Setup, gate: &Process, upstream: &Upstream, member: &Visitor) {
    let forget = tokio::spawn({
        let upstream = upstream.clone();
        async move {
            loop {
                upstream.take();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let signed_in = format!("{PAGE}{}", member.lines());
    let plain = format!("Accept-Encoding: gzip, deflate\r\n{signed_in}");
    let packed = format!("Accept-Encoding: gzip, deflate, br, zstd\r\n{signed_in}");
    let document = format!("User-Agent: {WECOM}\r\n{DOCUMENT}{}", member.cookie_line());
    let upload =
        request("POST", "/api/attachments:create", &format!("{signed_in}Content-Length: 1000000\r\n"));
    let upload = upload + &"x".repeat(1_000_000);
    for (what, units, tls, bytes, status) in [
        ("1 KiB", 8, false, get("/api/1k:list", &plain), 200),
        ("1 KiB over TLS", 3, true, get("/api/1k:list", &plain), 200),
        ("64 KiB", 2, false, get("/api/64k:list", &plain), 200),
        ("64 KiB, compressed", 2, false, get("/api/64k:list", &packed), 200),
        ("a cached file", 3, false, get("/assets/index-0a1b2c3d.js", &packed), 200),
        ("a cached file over TLS", 1, true, get("/assets/index-0a1b2c3d.js", &packed), 200),
        ("a file that is revalidated", 1, false, get("/global.css", &packed), 200),
        ("a page", 2, false, get("/admin", &document), 200),
        ("an upload", 2, false, upload, 200),
        ("who is signed in", 1, false, get("/wecom-gate/me", &member.cookie_line()), 200),
        ("forward-auth", 1, false, get("/wecom-gate/auth", &member.cookie_line()), 204),
        ("nobody", 1, false, get("/api/1k:list", PAGE), 401),
        ("anonymous page", 1, false, get("/admin", &format!("User-Agent: {WECOM}\r\n{DOCUMENT}")), 302),
    ] {
        repeat(what, units, 8, async |until| {
            keep_asking(setup.line(gate, tls).await, bytes.clone(), status, until).await;
        })
        .await;
    }
    repeat("new TLS connections", 1, 4, async |until| {
        loop {
            let mut line = setup.line(gate, true).await;
            line.write_all(get("/api/1k:list", &plain).as_bytes()).await.unwrap();
            assert_eq!(read_response(&mut line).await.status(), 200);
            if Instant::now() >= until {
                return;
            }
        }
    })
    .await;
    let headers: Vec<(String, String)> = signed_in
        .lines()
        .filter_map(|l| l.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    repeat("HTTP/2", 3, 2, async |until| {
        let connection = setup.h2(gate).await;
        loop {
            let asked = (0..8).map(|_| connection.ask("GET", "/api/1k:list", &headers, &[]));
            assert!(futures_util::future::join_all(asked).await.iter().all(|(status, _)| *status == 200));
            if Instant::now() >= until {
                return;
            }
        }
    })
    .await;
    repeat("WebSockets", 2, 8, async |until| {
        let mut line = setup.line(gate, false).await;
        line.write_all(
            upgrade("/ws", &format!("Origin: https://{HOST}\r\n{}", member.cookie_line())).as_bytes(),
        )
        .await
        .unwrap();
        assert_eq!(read_response(&mut line).await.status(), 101);
        let text = frame(r#"{"type":"message","payload":"an order is ready in the warehouse"}"#);
        let mut back = vec![0; text.len()];
        loop {
            line.write_all(&text).await.unwrap();
            line.read_exact(&mut back).await.unwrap();
            if Instant::now() >= until {
                break;
            }
        }
        upstream.recorded().tunnelled.clear();
    })
    .await;
    forget.abort();
}

/// Does every kind of work for some seconds, and stops the gate as an administrator does.
#[tokio::test(flavor = "multi_thread")]
async fn workload_of_a_company() {
    let (upstream, setup, mut gate) =
        gate_with(|s| s.https().set("log.access_log", false).set("limits.sign_ins_per_minute", MANY)).await;
    furnish(&upstream);
    let member = setup.visitor();
    requests(&setup, &gate, &upstream, &member).await;
    gate.end().await;

    let mut stage = Stage::start(|c| {
        c.set("limits.sign_ins_per_minute", MANY);
    })
    .await;
    let until = Instant::now() + unit() * 4;
    let mut members = 0;
    while members == 0 || Instant::now() < until {
        members += 1;
        let mut browser = stage.signed_in("lisi").await;
        assert_eq!(browser.api(reqwest::Method::GET, "/api/auth:check").await.status, 200);
    }
    println!("sign-ins: {members}");
    stage.gate.end().await;
}
