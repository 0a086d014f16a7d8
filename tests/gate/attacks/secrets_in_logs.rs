//! R27: no secret is in anything that the gate writes, when everything works and when nothing does.

use http::Method;
use wecom_sim::{Fault, FaultKind};

use crate::support::raw::send_raw;
use crate::support::{APP_SECRET, Stage, config};

fn parameter<'a>(address: &'a str, name: &str) -> &'a str {
    address.split(['?', '&', '#']).find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_nothing_secret_is_written_as_json() {
    nothing_secret_is_written("json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_nothing_secret_is_written_for_people() {
    nothing_secret_is_written("pretty").await;
}

async fn nothing_secret_is_written(format: &str) {
    let mut stage = Stage::start(|c| {
        c.set("log.level", "trace")
            .set("log.format", format)
            .set("nocobase.auto_create_user", true)
            .set("nocobase.identity_headers", true);
    })
    .await;
    let mut secrets: Vec<(&str, String)> = vec![
        ("app secret", APP_SECRET.into()),
        ("NocoBase's secret", nocobase_standin::SECRET.into()),
        ("session key", config::KEY.into()),
        ("token", "eyJ".into()),
        ("phone number", "13800000001".into()),
        ("mail address", "zhangsan@".into()),
    ];
    // A new member: consent, phone number, a user that is created.
    let mut browser = stage.phone("zhangsan");
    let page = browser.open("/admin?secret-query=CANARY-QUERY").await;
    // What browsers and programs receive from the gate, header sections included; WeCom's own pages contain the phone number.
    let mut responses = Vec::new();
    secrets.push(("query", "CANARY-QUERY".into()));
    for hop in &page.hops {
        if hop.contains("/wecom-gate/callback?") {
            secrets.push(("code", parameter(hop, "code").into()));
            secrets.push(("state", parameter(hop, "state").into()));
        }
    }
    let mut browser = stage.signed_in("lisi").await;
    let back = { stage.phone("WangWu").up_to_callback("/m").await };
    secrets.push(("unused code", parameter(&back, "code").into()));
    secrets.push(("session cookie", browser.cookie("wecom_gate").unwrap().into()));
    secrets.push(("phantom", browser.phantom()));
    assert_eq!(browser.api(Method::GET, "/api/users:list?token=CANARY-TOKEN-IN-QUERY").await.status, 200);
    secrets.push(("token in a query", "CANARY-TOKEN-IN-QUERY".into()));

    // Failures of WeCom, of NocoBase, and in what clients send.
    for fault in [
        Fault::errcode("/cgi-bin/auth/getuserinfo", 40029, 1),
        Fault::errcode("/cgi-bin/auth/getuserinfo", 60020, 1),
        Fault::errcode("/cgi-bin/user/get", 60111, 1),
        Fault::new("/cgi-bin/auth/getuserinfo", FaultKind::Html).times(1),
        Fault::new("/cgi-bin/auth/getuserinfo", FaultKind::Drop).times(3),
        Fault::new("/cgi-bin/user/get", FaultKind::Truncated).times(3),
    ] {
        stage.wecom().add_fault(fault);
        let mut unlucky = stage.phone("lisi");
        let callback = unlucky.up_to_callback("/m").await;
        secrets.push(("code of a failure", parameter(&callback, "code").into()));
        let page = unlucky.visit(&callback).await;
        responses.extend(page.at.starts_with('/').then(|| format!("{:?}{}", page.headers, page.body)));
        stage.wecom().clear_faults();
    }
    stage.wecom().forget_tokens();
    stage.wecom().add_fault(Fault::errcode("/cgi-bin/gettoken", 40001, 2));
    let page = stage.phone("WangWu").open("/m").await;
    responses.extend(page.at.starts_with('/').then(|| format!("{:?}{}", page.headers, page.body)));
    let degraded = send_raw(stage.gate.ops, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.text();
    assert!(degraded.contains("wecom_token"), "{degraded}");
    stage.wecom().clear_faults();
    stage.nocobase.fail("/api/users:list", 500, r#"{"errors":[{"message":"CANARY-UPSTREAM-BODY"}]}"#, 1);
    secrets.push(("body", "CANARY-UPSTREAM-BODY".into()));
    let page = stage.phone("WangWu").open("/m").await;
    responses.extend(page.at.starts_with('/').then(|| format!("{:?}{}", page.headers, page.body)));
    for headers in [
        "Authorization: Bearer CANARY-BEARER\r\n",
        "Cookie: wecom_gate=CANARY-COOKIE; other=CANARY-OTHER\r\n",
        "X-Forwarded-User: CANARY-HEADER\r\nConnection: x-forwarded-user\r\n",
    ] {
        for target in [
            "/api/x?password=CANARY-PASSWORD",
            "/wecom-gate/callback?code=CANARY-CODE&state=CANARYSTATE",
            "/wecom-gate/me",
        ] {
            responses.push(send_raw(stage.gate.http, crate::support::raw::get(target, headers)).await.text());
        }
    }
    secrets.push(("whatever a client sent", "CANARY".into()));

    let metrics = send_raw(stage.gate.ops, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.text();
    let ready = send_raw(stage.gate.ops, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.text();
    let version = send_raw(stage.gate.ops, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n").await.text();
    let ops = [metrics, ready, degraded, version].concat();
    let output = stage.gate.everything_written().await;
    // Every source has content, so the search below is meaningful.
    assert!(responses.len() >= 9 && responses.iter().all(|a| a.len() > 40), "{responses:?}");
    assert!(ops.contains("wecom_gate_requests_total") && ops.contains("degraded"), "{ops}");
    assert!(
        stage
            .nocobase
            .data()
            .requests
            .iter()
            .any(|s| s.header("authorization").is_some_and(|a| a.contains("eyJ0eXAi")))
    );
    assert!(output.contains("signed in") && output.contains("refused"), "{output}");
    assert_eq!(output.lines().any(|l| l.starts_with('{')), format == "json");
    for (what, secret) in &secrets {
        assert!(secret.len() >= 3, "{what}");
        let line = output.lines().find(|l| l.contains(secret.as_str()));
        assert!(line.is_none(), "{what} ({secret}) is in the logs: {}", line.unwrap());
        assert!(!ops.contains(secret.as_str()), "{what} is on the ops listener");
        // A page may link back to the address that its user requested: their own query is not secret to them, nor are their
        // session's cookie and phantom.
        if !matches!(
            *what,
            "query" | "token in a query" | "whatever a client sent" | "session cookie" | "phantom"
        ) {
            let response = responses.iter().find(|a| a.contains(secret.as_str()));
            assert!(response.is_none(), "{what} ({secret}) is shown: {}", response.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_responses_show_no_secret_and_escape_all_input() {
    let stage = Stage::start(|_| {}).await;
    let mut browser = stage.signed_in("zhangsan").await;
    let cookie = browser.cookie("wecom_gate").unwrap().to_owned();
    let mut pages = 0;
    for path in [
        "/wecom-gate/me",
        "/wecom-gate/auth",
        "/wecom-gate/logout",
        "/wecom-gate/sign-in",
        "/wecom-gate/gate.js",
        "/wecom-gate/nope",
        "/wecom-gate/callback?code=<script>alert(1)</script>&state=<script>",
        "/wecom-gate/sign-in?rd=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/wecom-gate/login?with=%3Cscript%3E",
        "/a/..%2f%3Cscript%3Ealert(1)%3C/script%3E",
    ] {
        let response = browser.visit(path).await;
        let all = format!("{:?}{}", response.headers, response.body);
        assert!(!response.body.contains("<script>alert"), "{path}: {}", response.body);
        for secret in ["eyJ", APP_SECRET, nocobase_standin::SECRET, cookie.as_str()] {
            assert!(!all.contains(secret), "{path} shows {secret}");
        }
        if response.header("content-type").is_some_and(|t| t.starts_with("text/html")) {
            let csp = response.header("content-security-policy").unwrap_or_default();
            assert!(csp.contains("default-src 'none'") && !csp.contains("unsafe"), "{path}: {csp}");
            pages += 1;
        }
    }
    assert!(pages >= 4, "{pages} of the gate's pages were seen");
}
