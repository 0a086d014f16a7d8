//! What lies between the gate and WeCom: answers that are not WeCom's, lost connections, proxies, other addresses.

use super::*;

#[tokio::test]
async fn answers_that_are_not_wecoms() {
    use Failure::{WeComBadAnswer, WeComRateLimited, WeComUnreachable};
    type Make = fn() -> Say;
    let table: &[(&str, Make, Failure)] = &[
        ("html", || ok("<!DOCTYPE html><html><body>502</body></html>"), WeComBadAnswer),
        ("empty", || ok(""), WeComBadAnswer),
        ("truncated", || ok(r#"{"errcode":0,"userid":"Zhang"#), WeComBadAnswer),
        ("array", || ok("[]"), WeComBadAnswer),
        ("array of fields", || ok(r#"["ZhangSan","ZhangSan"]"#), WeComBadAnswer),
        ("null", || ok("null"), WeComBadAnswer),
        ("deep", || ok("[".repeat(100_000)), WeComBadAnswer),
        ("too large", || ok(format!(r#"{{"userid":"{}"}}"#, "x".repeat(1024 * 1024))), WeComBadAnswer),
        ("404 html", || status(404, "<html>"), WeComBadAnswer),
        ("404 that looks like a success", || status(404, ZHANGSAN), WeComBadAnswer),
        ("redirect", || status(302, "").location("https://evil.example/"), WeComBadAnswer),
        ("500", || status(500, ZHANGSAN), WeComUnreachable),
        ("502 html", || status(502, "<html>"), WeComUnreachable),
        ("429", || status(429, ""), WeComRateLimited),
        ("slow", || ok(ZHANGSAN).after(Duration::from_secs(20)), WeComUnreachable),
    ];
    for (what, say, want) in table {
        let say = *say;
        let server = Server::api(move |_| say()).await;
        let error = server.client().identify("c").await.unwrap_err();
        assert_eq!((error.failure(), error.errcode()), (*want, None), "{what}");
        assert_eq!(server.count(USERINFO), 1, "{what}");

        let server = Server::all(move |_| say()).await;
        let error = server.client().identify("c").await.unwrap_err();
        // A userid and no token: still not what gettoken promises.
        assert_eq!((error.call(), error.failure()), (Call::GetToken, *want), "{what} from gettoken");
    }
    let server = Server::api(|_| status(400, r#"{"errcode":40029,"errmsg":"invalid code"}"#)).await;
    assert_eq!(
        failure(server.client().identify("c").await),
        Failure::CodeRejected,
        "a code of WeCom's counts"
    );
    let server = Server::all(|_| ok(r#"{"errcode":0,"access_token":"","expires_in":7200}"#)).await;
    assert_eq!(failure(server.client().identify("c").await), Failure::WeComBadAnswer, "an empty token");
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = client(&entry(&base)).identify("c").await.unwrap_err();
    assert_eq!((error.failure(), error.class()), (Failure::WeComUnreachable, Class::Transport));
}

/// A connection that breaks after the code was sent: the code may be spent, so it is not sent again.
#[tokio::test]
async fn a_code_is_not_sent_again_once_it_was_on_the_wire() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let codes = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&codes);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut buffer = [0u8; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    let head = String::from_utf8_lossy(&buffer[..n]).into_owned();
                    if head.contains("getuserinfo") {
                        count.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    let body = r#"{"access_token":"t","expires_in":7200}"#;
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let error = client(&entry(&base)).identify("c").await.unwrap_err();
    assert_eq!(error.failure(), Failure::WeComUnreachable);
    assert_eq!(codes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_outbound_proxy_is_used_when_set() {
    let proxy = Server::api(|_| ok(ZHANGSAN)).await;
    let mut entry = entry(&Url::parse("http://qyapi.invalid/base/").unwrap());
    assert_eq!(failure(client(&entry).identify("c").await), Failure::WeComUnreachable, "without proxy");
    entry.http_proxy = Some(proxy.url.clone());
    client(&entry).identify("c").await.unwrap();
    let seen = proxy.seen();
    assert_eq!(seen.len(), 2);
    for one in seen {
        assert_eq!(one.uri.host(), Some("qyapi.invalid"), "{one:?}");
        assert!(one.uri.path().starts_with("/base/cgi-bin/"), "{one:?}");
    }
}

#[tokio::test]
async fn private_deployments_have_other_paths() {
    let server =
        Server::api(|_| ok(r#"{"errcode":0,"UserId":"ZhangSan","user_ticket":"T","expires_in":7200}"#)).await;
    let mut entry = entry(&server.url);
    entry.userinfo_path = "/cgi-bin/user/getuserinfo".into();
    entry.userdetail_path = "/cgi-bin/user/getuserdetail".into();
    let client = client(&entry);
    let identity = client.identify("c").await.unwrap();
    client.details(&identity.userid, &identity.ticket.unwrap()).await.unwrap();
    assert_eq!(server.count("/cgi-bin/user/getuserinfo"), 1);
    assert_eq!(server.count("/cgi-bin/user/getuserdetail"), 1);
}

/// What may be repeated is, once: a reset or a 5xx of something in between ends no sign-in. A code is not.
#[tokio::test]
async fn a_broken_connection_is_tried_once_more() {
    let failing = |path: &'static str, first: fn() -> Say, times: usize| {
        Server::all(move |seen| match seen.uri.path() {
            p if p.ends_with(path) && seen.before < times => first(),
            p if p.ends_with("/gettoken") => token(seen),
            p if p.ends_with("/user/get") => ok(r#"{"errcode":0,"userid":"ZhangSan","name":"Z","status":1}"#),
            _ => ok(ZHANGSAN),
        })
    };
    type Make = fn() -> Say;
    let breaks: [Make; 5] = [
        || status(500, ""),
        || status(502, "<html>"),
        || status(503, ""),
        || ok(""),
        || ok(r#"{"errcode":0,"us"#),
    ];
    for first in breaks {
        for path in ["/gettoken", "/user/get"] {
            let server = failing(path, first, 1).await;
            server.client().member("ZhangSan").await.unwrap();
            assert_eq!(server.count(&format!("/cgi-bin{path}")), 2, "{path}");
        }
        let server = failing("/user/get", first, usize::MAX).await;
        let error = server.client().member("ZhangSan").await.unwrap_err();
        assert!(error.is_broken_midway(), "{error}");
        assert_eq!(server.count("/cgi-bin/user/get"), 2, "and not a third time");
        let server = failing("getuserinfo", first, 1).await;
        let error = server.client().identify("c").await.unwrap_err();
        assert!(error.is_broken_midway(), "{error}");
        assert_eq!(server.count(USERINFO), 1, "a code can be used once");
    }
    // What is no broken connection is not repeated.
    let others: [Make; 3] =
        [|| ok("<html>"), || status(429, ""), || ok(ZHANGSAN).after(Duration::from_secs(20))];
    for first in others {
        let server = failing("/user/get", first, 1).await;
        assert!(!server.client().member("ZhangSan").await.unwrap_err().is_broken_midway());
        assert_eq!(server.count("/cgi-bin/user/get"), 1);
    }
}
