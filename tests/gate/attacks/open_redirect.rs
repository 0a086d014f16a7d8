//! R20: every redirect after a sign-in stays on our own origin.

use crate::support::Stage;
use crate::support::raw::{gate, get, send_raw};

const TARGETS: &[&str] = &[
    "//evil.test",
    "///evil.test",
    "////evil.test",
    "/\\evil.test",
    "\\/evil.test",
    "\\\\evil.test",
    "/\\/evil.test",
    "/\t/evil.test",
    "/\tevil.test",
    "\t//evil.test",
    "/\n/evil.test",
    "/\r\n/evil.test",
    " //evil.test",
    "/ /evil.test",
    "/%09/evil.test",
    "/%5cevil.test",
    "/%5c%5cevil.test",
    "/%2f/evil.test",
    "/%2fevil.test",
    "%2f%2fevil.test",
    "/.//evil.test",
    "/..//evil.test",
    "/./\\evil.test",
    "/%2e/%2fevil.test",
    "https://evil.test",
    "http://evil.test",
    "http:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "evil.test",
    "http://gate.test@evil.test",
    "http://gate.test.evil.test",
    "//gate.test@evil.test",
    "@evil.test",
    "/@evil.test//",
    "//evil.test/%2e%2e",
    "/\u{0}/evil.test",
    "/\u{2028}//evil.test",
    "\u{3000}//evil.test",
    "/\u{ff0f}evil.test\\",
    "//\u{ff45}vil.test",
    "?//evil.test",
    "#//evil.test",
    "/redirect?x\r\nSet-Cookie: a=b",
    "/%0d%0aSet-Cookie:%20a=b",
    "/a\\..\\\\evil.test",
    "/;@evil.test//",
    "//[::1]",
    "//2130706433",
    "http://2130706433",
    "/wecom-gate/login?rd=//evil.test",
    "/wecom-gate/logout",
    "/wecom-gate/../%2f/evil.test",
];

/// A browser that gets this stays on the origin: it begins with a single slash and contains nothing that browsers drop or convert
/// into a second one.
fn stays(location: &str) -> bool {
    let bytes = location.as_bytes();
    bytes.first() == Some(&b'/')
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b'\\')
        && url::Url::parse("http://gate.test/wecom-gate/login").unwrap().join(location).unwrap().host_str()
            == Some("gate.test")
}

fn encoded(target: &str) -> String {
    url::form_urlencoded::byte_serialize(target.as_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_login_redirects_nowhere_else() {
    let (_upstream, setup, gate) = gate().await;
    let cookie = setup.visitor().cookie_line();
    for target in TARGETS {
        // As it is, and encoded once more, in case something decodes twice.
        for rd in [encoded(target), encoded(&encoded(target))] {
            let response = send_raw(gate.http, get(&format!("/wecom-gate/login?rd={rd}"), &cookie)).await;
            assert_eq!(response.status(), 302, "{target:?}: {}", response.text());
            let location = response.header("location").unwrap();
            assert!(stays(&location), "{target:?} leads to {location:?}");
            assert!(response.all("set-cookie").iter().all(|c| !c.starts_with("a=b")), "{target:?}");
        }
    }
    // Repeated: neither the first nor the last may get through.
    for rd in ["rd=/a&rd=//evil.test", "rd=//evil.test&rd=/a", "rd[]=//evil.test", "RD=//evil.test"] {
        let response = send_raw(gate.http, get(&format!("/wecom-gate/login?{rd}"), &cookie)).await;
        assert!(stays(&response.header("location").unwrap()), "{rd}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_neither_does_the_page_without_its_token_nor_the_sign_in_page() {
    let (_upstream, setup, gate) = gate().await;
    let cookie = setup.visitor().cookie_line();
    for (path, status) in [
        ("/admin?token=x", 302),
        ("/?token=x", 302),
        ("/admin?next=//evil.test&token=x", 302),
        ("/;//evil.test?token=x", 400),
    ] {
        let page = format!("{cookie}Accept: text/html\r\nUser-Agent: Mozilla/5.0 Chrome/126\r\n");
        let response = send_raw(gate.http, get(path, &page)).await;
        assert_eq!(response.status(), status, "{path}: {}", response.text());
        let location = response.header("location");
        assert_eq!(location.is_some(), status == 302, "{path}: {}", response.text());
        assert!(location.is_none_or(|location| stays(&location)), "{path}: {}", response.text());
    }
    for target in TARGETS {
        let page = "Accept: text/html\r\nUser-Agent: Mozilla/5.0 Chrome/126\r\n";
        let response =
            send_raw(gate.http, get(&format!("/wecom-gate/sign-in?rd={}", encoded(target)), page)).await;
        assert_eq!(response.status(), 200, "{target:?}: {}", response.text());
        let body = response.body();
        let links: Vec<&str> =
            body.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(links.iter().any(|href| href.starts_with("/wecom-gate/login")), "{target:?}: {links:?}");
        for href in links {
            assert!(stays(href) || href == "data:,", "{target:?}: {href}");
        }
        assert!(!body.contains("javascript:"), "{target:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_nor_does_a_whole_sign_in() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    for target in TARGETS.iter().step_by(4).chain(&[
        "//evil.test",
        "/\\evil.test",
        "/\t/evil.test",
        "/%09/evil.test",
        "/%5cevil.test",
    ]) {
        let mut browser = stage.phone("zhangsan");
        let start = browser.visit(&format!("/wecom-gate/login?via=wecom&rd={}", encoded(target))).await;
        let back = browser.visit_elsewhere(start.location()).await;
        let callback = crate::support::browser::on_gate(back.location()).unwrap().to_owned();
        let done = browser.visit(&callback).await;
        assert_eq!(done.status, 302, "{target:?}: {}", done.body);
        assert!(stays(done.location()), "{target:?} leads to {}", done.location());
    }
}
