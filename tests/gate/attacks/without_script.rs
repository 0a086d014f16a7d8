//! Pages of NocoBase into which the gate's script cannot be inserted.

use crate::support::raw::{gate, get, request, send_raw};

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_cannot_get_the_script_are_reported_once_for_each_reason() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    let page = format!(
        "{}Accept: text/html\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\n",
        member.cookie_line()
    );
    let html = "Content-Type: text/html; charset=utf-8\r\n";
    let reports = async || gate.written_until_now().await.matches("page_without_script").count();
    // These are not reported: they got the script, or are not pages.
    for (status, headers, body) in [
        ("200 OK", html, "<html><head></head></html>"),
        ("200 OK", "Content-Type: text/html\r\nContent-Encoding: identity\r\n", "<head>"),
        ("200 OK", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "{}"),
        ("404 Not Found", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", "x"),
        ("200 OK", html, ""),
    ] {
        upstream.set_response("/admin", status, headers, body);
        send_raw(gate.http, get("/admin", &page)).await;
        send_raw(gate.http, request("HEAD", "/admin", &page)).await;
    }
    assert_eq!(reports().await, 0);
    for (at, (headers, body, reason)) in [
        ("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", "x", "compressed"),
        ("Content-Type: text/html; charset=UTF-16\r\n", "x", "charset"),
        (html, "<p>no head at all", "no <head>"),
    ]
    .into_iter()
    .enumerate()
    {
        for _ in 0..3 {
            upstream.set_response("/admin", "200 OK", headers, body);
            assert_eq!(send_raw(gate.http, get("/admin", &page)).await.status(), 200);
            let lines = gate.wait_for_lines("event", "page_without_script", at + 1).await;
            assert!(lines[at]["reason"].as_str().unwrap().contains(reason), "{}", lines[at]);
            assert_eq!(
                (lines[at]["level"].as_str(), lines[at]["path"].as_str()),
                (Some("WARN"), Some("/admin"))
            );
        }
    }
    for (headers, body) in [
        ("Content-Type: text/html\r\nContent-Encoding: br\r\n", "x"),
        ("Content-Type: text/html; charset=utf-16le\r\n", "x"),
        ("Content-Type: text/html\r\nContent-Encoding: deflate\r\n", "x"),
        ("Content-Type: text/html\r\nContent-Encoding: zstd, gzip\r\n", "x"),
        ("Content-Type: TEXT/HTML; Charset=\"UTF-32\"\r\n", "x"),
        (html, "<htm><!-- <head> in a comment -->"),
        (html, &*" ".repeat(70_000)),
    ] {
        upstream.set_response("/admin", "200 OK", headers, body);
        send_raw(gate.http, get("/admin", &page)).await;
    }
    assert_eq!(reports().await, 3);
}
