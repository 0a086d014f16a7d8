//! R7, R23: whatever fails while a session is read or created, access is denied.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wecom_sim::Fault;

use crate::support::raw::{HOST, Setup, Upstream, WECOM, gate, get, send_raw, upgrade};
use crate::support::{Stage, eventually};

/// Pseudo-random bytes, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length);
    for _ in 0..length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let byte = state.to_le_bytes()[3];
        // No line end and no NUL: the request would be refused before its cookies are read.
        bytes.push(if matches!(byte, b'\r' | b'\n' | 0) { b'x' } else { byte });
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_no_cookie_bytes_pass() {
    let (upstream, setup, mut gate) = gate().await;
    let member = setup.visitor();
    let (name, value) = member.cookie.split_once('=').unwrap();
    let mut cookies: Vec<Vec<u8>> = Vec::new();
    // One character changed, removed, added; doubled.
    for at in (0..value.len()).step_by(9) {
        let mut changed = value.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        cookies.push(changed);
        cookies.push(value.as_bytes()[..at].to_vec());
    }
    cookies.push(format!("{value}A").into_bytes());
    cookies.push(format!("{value}{value}").into_bytes());
    cookies.push(format!("{value}=").into_bytes());
    cookies.push(value.to_ascii_uppercase().into_bytes());
    cookies.push(b"null".to_vec());
    cookies.push(b"{\"user_id\":1}".to_vec());
    cookies.push(member.phantom.clone().into_bytes());
    cookies.extend((1..60).map(|seed| noise(seed, usize::try_from(seed * 7).unwrap())));
    for cookie in &cookies {
        for target in ["/api/users:list", "/files/1.png", "/ws"] {
            let head = format!(
                "GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\nCookie: {name}=",
                member.phantom
            );
            let bytes = [head.as_bytes(), cookie, b"\r\n\r\n"].concat();
            let status = send_raw(gate.http, bytes).await.status();
            assert!((400..500).contains(&status), "{status} {target} {:?}", String::from_utf8_lossy(cookie));
        }
    }
    assert!(upstream.take().is_empty());
    gate.is_unharmed("after all of these").await;
    // The unchanged cookie works.
    assert_eq!(send_raw(gate.http, get("/api/users:list", &member.lines())).await.status(), 200);
    assert_eq!(send_raw(gate.http, get("/files/1.png", &member.cookie_line())).await.status(), 200);
    assert_eq!(upstream.take().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_a_session_that_cannot_be_confirmed_is_refused() {
    // NocoBase is unreachable, responds nonsense, with another user, or that the session has ended.
    let nowhere = Setup::new("127.0.0.2:9".parse().unwrap());
    let gate = nowhere.start().await;
    let member = nowhere.visitor();
    for bytes in [
        get("/api/users:list", &member.lines()),
        upgrade("/ws", &format!("{}Origin: http://gate.test\r\n", member.cookie_line())),
        get("/admin", &format!("{}Accept: text/html\r\nUser-Agent: {WECOM}\r\n", member.cookie_line())),
        get("/wecom-gate/auth", &member.cookie_line()),
        get("/wecom-gate/me", &member.cookie_line()),
    ] {
        let status = send_raw(gate.http, &bytes).await.status();
        assert!((502..=504).contains(&status), "{status}: {bytes}");
    }
    for (response, expected) in [
        ("200 OK|<html>", 500..=504),
        ("200 OK|{}", 500..=504),
        (r#"200 OK|{"data":{"id":8}}"#, 500..=504),
        (r#"200 OK|{"data":{"id":"7x"}}"#, 500..=504),
        ("500 Internal Server Error|{}", 500..=504),
        (r#"401 Unauthorized|{"errors":[{"code":"BLOCKED_TOKEN"}]}"#, 401..=401),
    ] {
        let upstream = Upstream::start().await;
        let (status, body) = response.split_once('|').unwrap();
        upstream.set_response("own:/api/auth:check", status, "Content-Type: application/json\r\n", body);
        let setup = Setup::new(upstream.address);
        let gate = setup.start().await;
        let got = send_raw(gate.http, get("/api/users:list", &setup.visitor().lines())).await.status();
        assert!(expected.contains(&got), "{response}: {got}");
        assert!(upstream.take().is_empty(), "{response}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_a_browser_that_disconnects_leaves_nothing_incomplete() {
    for path in ["/cgi-bin/auth/getuserinfo", "/cgi-bin/user/get", "/cgi-bin/gettoken"] {
        let stage = Stage::start(|_| {}).await;
        stage.bound("zhangsan");
        let mut browser = stage.phone("zhangsan");
        let callback = browser.up_to_callback("/admin").await;
        stage.wecom().add_fault(Fault::latency(path, 500));
        let cookies: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let headers = format!("User-Agent: {WECOM}\r\nCookie: {}\r\n", cookies.join("; "));
        let mut stream = TcpStream::connect(stage.gate.http).await.unwrap();
        stream.write_all(get(&callback, &headers).as_bytes()).await.unwrap();
        eventually("WeCom is asked", async || stage.wecom().calls(path) == 1).await;
        drop(stream);
        // The sign-in continues; its result is complete.
        eventually("the sign-in is done", async || stage.nocobase.data().tokens.len() == 1).await;
        stage.gate.wait_for_log(&["signed in", "zhangsan"]).await;
        stage.wecom().clear_faults();
        // The same browser sends the same callback again and is signed in: one session, one code used.
        let done = browser.visit(&callback).await;
        assert!(done.sets("wecom_gate"), "{path}: {} {}", done.status, done.body);
        assert_eq!(stage.nocobase.data().tokens.len(), 1, "{path}");
        assert_eq!(stage.wecom().calls("/cgi-bin/auth/getuserinfo"), 1, "{path}");
        assert_eq!(browser.open("/admin").await.status, 200);
        assert!(!stage.gate.written_until_now().await.contains("panicked"));
    }
}
