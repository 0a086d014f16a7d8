//! R15: each sign-in creates a new session; a planted one is never adopted.

use crate::support::raw::{WECOM, gate, get, request, send_raw, upgrade};
use crate::support::{Stage, browser::on_gate, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_planted_cookie_is_not_adopted() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let stranger = stage.signed_in("lisi").await;
    let planted = stranger.cookie("wecom_gate").unwrap().to_owned();
    for value in ["planted", &planted[..planted.len() - 1], ""] {
        let mut browser = stage.phone("zhangsan");
        browser.cookies.insert("wecom_gate".into(), value.into());
        let page = browser.open("/admin").await;
        assert_eq!(page.status, 200, "{}", page.body);
        let cookie = browser.cookie("wecom_gate").unwrap();
        assert!(cookie != value && cookie != planted);
        let me = browser.fetch(http::Method::GET, "/wecom-gate/me");
        assert_eq!(browser.send(me).await.json()["userid"], "zhangsan");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_new_sign_in_ends_the_session_before() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan");
    // Two flows, started in parallel.
    let first = browser.up_to_callback("/admin").await;
    let second = browser.up_to_callback("/m").await;
    assert!(browser.visit(&first).await.sets("wecom_gate"));
    let before = browser.clone();
    let done = browser.visit(&second).await;
    assert!(done.sets("wecom_gate"), "{}", done.body);
    assert_eq!(on_gate(done.location()), Some("/m"));
    assert_ne!(before.cookie("wecom_gate"), browser.cookie("wecom_gate"));
    let tokens: Vec<_> = stage.nocobase.data().tokens.iter().map(|t| t["jti"].clone()).collect();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
    let me = |b: &crate::support::Browser| b.fetch(http::Method::GET, "/wecom-gate/me");
    assert_eq!(before.clone().send(me(&before)).await.status, 401);
    assert_eq!(browser.clone().send(me(&browser)).await.status, 200);
    // On other nodes too, as soon as NocoBase has recorded it.
    let node = stage.second_node().await;
    eventually("the other node refuses the old session", async || {
        let mut replayed = before.clone();
        replayed.go_to(&node);
        let request = me(&replayed);
        let response = replayed.send(request).await;
        response.status == 401
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_copy_beside_the_real_cookie_changes_nothing() {
    let (_upstream, setup, gate) = gate().await;
    let (member, other) = (setup.visitor(), setup.visitor());
    let name = member.cookie.split('=').next().unwrap();
    for cookies in [
        format!("{name}=planted; {}", member.cookie),
        format!("{}; {name}=planted", member.cookie),
        format!("{name}=; {name}=x; {}", member.cookie),
    ] {
        let lines = format!("Cookie: {cookies}\r\nAuthorization: Bearer {}\r\n", member.phantom);
        assert_eq!(send_raw(gate.http, get("/api/x", &lines)).await.status(), 200, "{cookies}");
        // The page of one session does not work with the cookie of another.
        let lines = format!("Cookie: {cookies}\r\nAuthorization: Bearer {}\r\n", other.phantom);
        assert_eq!(send_raw(gate.http, get("/api/x", &lines)).await.status(), 401, "{cookies}");
    }
}

/// Over plain http another host of the domain can plant a cookie of its own session. It does not make the browser act as another
/// user, whatever its position in the header.
#[tokio::test(flavor = "multi_thread")]
async fn r42_two_live_sessions_in_one_request_count_as_none() {
    let (upstream, setup, gate) = gate().await;
    let (member, planted) = (setup.visitor(), setup.visitor());
    let name = member.cookie.split('=').next().unwrap();
    for cookies in [
        format!("{}; {}", planted.cookie, member.cookie),
        format!("{}; {}", member.cookie, planted.cookie),
        format!("{}; x=1\r\nCookie: {}", planted.cookie, member.cookie),
        format!("{name}=junk; {}; {}", planted.cookie, member.cookie),
        // More of them than the gate reads.
        format!("{}; {name}=a; {name}=b; {}", planted.cookie, member.cookie),
        format!("{}; {name}=a; {name}=b; {name}=c", member.cookie),
    ] {
        for phantom in [&member.phantom, &planted.phantom] {
            let lines = format!("Cookie: {cookies}\r\nAuthorization: Bearer {phantom}\r\n");
            let response = send_raw(gate.http, get("/api/x", &lines)).await;
            assert_eq!(response.status(), 401, "{cookies}");
            // Deleting the browser's own cookie would leave the planted one alone.
            assert!(response.all("set-cookie").is_empty(), "{}", response.text());
        }
        let lines = format!("Cookie: {cookies}\r\n");
        for target in ["/files/main/x/y/1.png", "/wecom-gate/me", "/wecom-gate/auth"] {
            assert_eq!(send_raw(gate.http, get(target, &lines)).await.status(), 401, "{target} {cookies}");
        }
        let tunnel = upgrade("/ws", &format!("{lines}Origin: http://gate.test\r\n"));
        assert_eq!(send_raw(gate.http, tunnel).await.status(), 401, "{cookies}");
        let page = format!("{lines}Accept: text/html\r\nUser-Agent: {WECOM}\r\n");
        let response = send_raw(gate.http, get("/admin", &page)).await;
        assert!(response.status() != 200 && !response.text().contains("data-token"), "{}", response.text());
    }
    assert!(upstream.take().is_empty());
    // The same session twice, as after a renewal, counts as one.
    let lines = format!(
        "Cookie: {}; {}\r\nAuthorization: Bearer {}\r\n",
        member.cookie, member.cookie, member.phantom
    );
    assert_eq!(send_raw(gate.http, get("/api/x", &lines)).await.status(), 200);
    // A session that has ended does not count.
    assert_eq!(
        send_raw(
            gate.http,
            request("POST", "/api/auth:signOut", &format!("{}Content-Length: 0\r\n", planted.lines()))
        )
        .await
        .status(),
        200
    );
    let lines = format!(
        "Cookie: {}; {}\r\nAuthorization: Bearer {}\r\n",
        planted.cookie, member.cookie, member.phantom
    );
    assert_eq!(send_raw(gate.http, get("/api/x", &lines)).await.status(), 200);
}

/// Signing out with both ends both, so that the planted one does not stay behind.
#[tokio::test(flavor = "multi_thread")]
async fn r42_signing_out_ends_a_planted_session_too() {
    let (_upstream, setup, gate) = gate().await;
    let (member, planted) = (setup.visitor(), setup.visitor());
    let lines = format!(
        "Cookie: {}; {}\r\nOrigin: http://gate.test\r\nContent-Length: 0\r\n",
        planted.cookie, member.cookie
    );
    assert_eq!(send_raw(gate.http, request("POST", "/wecom-gate/logout", &lines)).await.status(), 303);
    for visitor in [&member, &planted] {
        assert_eq!(send_raw(gate.http, get("/api/x", &visitor.lines())).await.status(), 401);
    }
}

/// So does signing in again, to which a browser with both is redirected.
#[tokio::test(flavor = "multi_thread")]
async fn r42_signing_in_ends_both_sessions() {
    let stage = Stage::start(|_| {}).await;
    let (member, planted) = (stage.signed_in("zhangsan").await, stage.signed_in("lisi").await);
    let old = [member.clone(), planted.clone()];
    // The cookie jar of the tests keeps one cookie per name, as browsers do; an extra header brings the other.
    let mut both = member.clone();
    let name = "wecom_gate";
    let line = format!("{name}={}", planted.cookie(name).unwrap());
    both.extra.insert("cookie", line.parse().unwrap());
    let callback = both.up_to_callback("/admin").await;
    let done = both.visit(&callback).await;
    assert!(done.sets(name), "{} {}", done.status, done.body);
    for mut session in old {
        let request = session.fetch(http::Method::GET, "/wecom-gate/me");
        assert_eq!(session.send(request).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r42_two_tabs_of_one_browser_keep_working() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan");
    let (first, second) = (browser.up_to_callback("/admin").await, browser.up_to_callback("/m").await);
    for callback in [first, second] {
        let done = browser.visit(&callback).await;
        let page = browser.follow(done).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let mut other_tab = browser.clone();
        for tab in [&mut browser, &mut other_tab] {
            assert_eq!(tab.api(http::Method::GET, "/api/orders:list").await.status, 200);
        }
    }
}
