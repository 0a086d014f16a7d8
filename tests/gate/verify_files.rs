//! WeCom's domain verification files: exactly the configured names, before all other rules.

use tokio::io::AsyncWriteExt as _;

use crate::support::raw::{gate_with, get, read_response, request, send_raw};

const NAME: &str = "WW_verify_7rG3kjVbXHngiald.txt";

#[tokio::test(flavor = "multi_thread")]
async fn wecom_finds_its_file_over_http_and_https() {
    // The origin is https: WeCom uses http as well, where the gate listens for it.
    let change = |s: crate::support::raw::Setup| s.https().set("wecom.verify_files", vec![NAME]);
    let (upstream, setup, gate) = gate_with(change).await;
    let path = format!("/{NAME}");
    let mut tls = setup.tls(&gate, "http/1.1").await;
    tls.write_all(get(&path, "").as_bytes()).await.unwrap();
    let over_tls = read_response(&mut tls).await;
    let mut responses = vec![("https", over_tls)];
    for (what, bytes) in [
        ("http", get(&path, "")),
        ("a cookie that is none", get(&path, "Cookie: wecom_gate=x; __Host-wecom_gate=x\r\n")),
        ("a query", get(&format!("{path}?t=1"), "")),
        ("the domain without its port", format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\n\r\n")),
        (
            "WeCom's client",
            get(&path, &format!("Accept: text/html\r\nUser-Agent: {}\r\n", crate::support::raw::WECOM)),
        ),
    ] {
        responses.push((what, send_raw(gate.http, bytes).await));
    }
    for (what, response) in responses {
        assert_eq!((response.status(), response.body().as_str()), (200, "7rG3kjVbXHngiald"), "{what}");
        assert_eq!(response.header("content-type").as_deref(), Some("text/plain"), "{what}");
        assert!(response.cookies().is_empty(), "{what}");
    }
    let head = send_raw(gate.http, request("HEAD", &path, "Connection: close\r\n")).await;
    assert_eq!(
        (head.status(), head.header("content-length").as_deref()),
        (200, Some("16")),
        "{}",
        head.text()
    );
    assert!(!head.text().contains("7rG3kjVbXHngiald"), "{}", head.text());
    assert_eq!(send_raw(gate.http, request("POST", &path, "Content-Length: 0\r\n")).await.status(), 405);
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_file_is_served() {
    let (upstream, _setup, gate) = gate_with(|s| s.set("wecom.verify_files", vec![NAME])).await;
    for path in [
        "/WW_verify_other.txt",
        "/WW_verify_.txt",
        "/ww_verify_7rG3kjVbXHngiald.txt",
        "/WW_verify_7rG3kjVbXHngiald.TXT",
        "/WW_verify_7rG3kjVbXHngiald.txt/",
        "/WW_verify_7rG3kjVbXHngiald.txt.bak",
        "/x/WW_verify_7rG3kjVbXHngiald.txt",
        "//WW_verify_7rG3kjVbXHngiald.txt",
        "/wecom-gate/WW_verify_7rG3kjVbXHngiald.txt",
        "/WW_verify_7rG3kjVbXHngiald.txt%00",
        "/WW_verify_../WW_verify_7rG3kjVbXHngiald.txt",
    ] {
        let response = send_raw(gate.http, get(path, "")).await;
        assert!((400..500).contains(&response.status()), "{path}: {}", response.text());
        assert!(!response.body().starts_with("7rG3kjVbXHngiald"), "{path}: {}", response.text());
    }
    assert!(upstream.take().is_empty());
}
