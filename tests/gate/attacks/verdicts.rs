//! R18: the result for one request is never used for another, on whatever connection.

use tokio::io::AsyncWriteExt as _;

use crate::support::Stage;
use crate::support::raw::{gate_with, get, read_response};

#[tokio::test(flavor = "multi_thread")]
async fn r18_requests_on_one_connection_do_not_share_an_identity() {
    let (upstream, setup, gate) = gate_with(|s| s.https().set("nocobase.identity_headers", true)).await;
    let member = setup.visitor();
    for tls in [false, true] {
        let mut line = setup.line(&gate, tls).await;
        for (what, headers, status) in [
            ("member", member.lines(), 200),
            ("nobody", String::new(), 401),
            ("member again", member.lines(), 200),
            ("phantom without cookie", format!("Authorization: Bearer {}\r\n", member.phantom), 401),
            (
                "cookie and another's phantom",
                format!("{}Authorization: Bearer {}\r\n", member.cookie_line(), setup.visitor().phantom),
                401,
            ),
        ] {
            line.write_all(get("/api/users:list", &headers).as_bytes()).await.unwrap();
            line.flush().await.unwrap();
            let response = read_response(&mut line).await;
            assert_eq!(response.status(), status, "{what}: {}", response.text());
            assert_eq!(upstream.take().len(), usize::from(status == 200), "{what}");
        }
        // Public for both, and anonymous for the second.
        for (headers, names) in [(member.lines(), 1), (String::new(), 0)] {
            line.write_all(get("/api/public", &headers).as_bytes()).await.unwrap();
            line.flush().await.unwrap();
            assert_eq!(read_response(&mut line).await.status(), 200);
            let seen = upstream.take();
            assert_eq!(seen[0].all("x-wecom-user").len(), names, "{}", seen[0].head);
            assert!(seen[0].all("authorization").is_empty() || !headers.is_empty(), "{}", seen[0].head);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_streams_of_one_connection_know_nothing_of_each_other() {
    let (upstream, setup, gate) = gate_with(|s| s.https().set("nocobase.identity_headers", true)).await;
    let member = setup.visitor();
    let h2 = setup.h2(&gate).await;
    let as_member = [
        ("cookie".to_owned(), member.cookie.clone()),
        ("authorization".to_owned(), format!("Bearer {}", member.phantom)),
    ];
    let mut streams = Vec::new();
    for i in 0..60 {
        let (h2, headers) = (h2.clone(), if i % 2 == 0 { as_member.to_vec() } else { Vec::new() });
        streams.push(tokio::spawn(async move {
            (i, h2.ask("GET", &format!("/api/users:list?{i}"), &headers, &[]).await.0)
        }));
    }
    for stream in streams {
        let (i, status) = stream.await.unwrap();
        assert_eq!(status, if i % 2 == 0 { 200 } else { 401 }, "{i}");
    }
    assert_eq!(upstream.take().len(), 30);
}

/// NocoBase is asked about each session separately: another valid session of the same member proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn r18_nocobases_response_about_one_session_counts_for_no_other() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let (first, second) = (setup.visitor(), setup.visitor());
    let ask = async |lines: String| {
        crate::support::raw::send_raw(gate.http, get("/api/users:list", &lines)).await.status()
    };
    assert_eq!(ask(first.lines()).await, 200);
    upstream.recorded().ended = true;
    assert_eq!(ask(second.lines()).await, 401, "another session, about which NocoBase has not been asked");
    upstream.recorded().ended = false;
    assert_eq!(ask(second.lines()).await, 401, "an end is an end");
    assert_eq!(ask(first.lines()).await, 200, "and of that one only");
}

/// The outcome of a repeated callback is given to the same browser only.
#[tokio::test(flavor = "multi_thread")]
async fn r18_an_outcome_goes_only_to_the_browser_that_signed_in() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan");
    let callback = browser.up_to_callback("/admin").await;
    let before = browser.clone();
    assert!(browser.visit(&callback).await.sets("wecom_gate"));
    // The same browser twice: one sign-in.
    assert!(before.clone().visit(&callback).await.sets("wecom_gate"));
    // Other browsers with the same address: with nothing, with a flow of their own, and with this flow's name but another seal.
    let mut nobody = stage.phone("lisi");
    assert!(!nobody.visit(&callback).await.sets("wecom_gate"));
    let mut other = stage.phone("lisi");
    other.up_to_callback("/admin").await;
    assert!(!other.clone().visit(&callback).await.sets("wecom_gate"));
    let own = other
        .cookies
        .iter()
        .find(|(n, _)| n.starts_with("wecom_gate_flow_"))
        .map(|(_, v)| v.clone())
        .unwrap();
    let name = before.cookies.keys().find(|n| n.starts_with("wecom_gate_flow_")).unwrap().clone();
    other.cookies.insert(name, own);
    assert!(!other.visit(&callback).await.sets("wecom_gate"));
    // Another code for the same flow.
    let mut changed = before.clone();
    let code = callback.split(['?', '&']).find(|p| p.starts_with("code=")).unwrap();
    let response = changed.visit(&callback.replace(code, "code=INVENTED")).await;
    assert!(!response.sets("wecom_gate"), "{} {}", response.status, response.body);
    assert_eq!(stage.nocobase.data().tokens.len(), 1, "one session in all");
}
