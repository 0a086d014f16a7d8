//! Certificates by server name, their renewal while the gate serves, and the redirect from plain HTTP to TLS.

use std::path::Path;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::raw::{HOST, Process, Setup, gate_with, get, read_response, request, send_raw, tls};

const VERIFY: &str = "WW_verify_7rG3kjVbXHngiald.txt";

/// Writes a certificate and its key into this folder; the certificate.
fn write_pair(dir: &Path, host: &str) -> CertificateDer<'static> {
    std::fs::create_dir_all(dir).unwrap();
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// A connection that trusts these certificates, to this server name.
async fn connect(
    gate: &Process,
    trusted: &[&CertificateDer<'static>],
    name: &'static str,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls(gate.https, trusted, name, None).await
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn degraded(gate: &Process) -> String {
    send_raw(gate.ops, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.body()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_chooses_the_certificate_and_new_files_are_taken_up() {
    let files = tempfile::tempdir().unwrap();
    let (old, new) = (files.path().join("1"), files.path().join("2"));
    let second = write_pair(&old, "second.test");
    // As with certbot and Kubernetes, the configuration names symbolic links.
    let live = files.path().join("live");
    std::os::unix::fs::symlink(&old, &live).unwrap();
    let mut table = toml::Table::new();
    for name in ["cert", "key"] {
        let path = live.join(format!("{name}.pem"));
        table.insert(name.into(), path.to_str().unwrap().into());
    }
    let change = |s: Setup| s.https().set("listen.certificates", vec![toml::Value::Table(table)]);
    let (_upstream, setup, gate) = gate_with(change).await;
    let first = std::fs::read(Path::new(setup.get("listen.cert").as_str().unwrap())).unwrap();
    let first = CertificateDer::from_pem_slice(&first).unwrap();
    let mut open = connect(&gate, &[&second], "second.test").await.unwrap();
    assert_eq!(shown(&open), second);
    assert_eq!(shown(&connect(&gate, &[&first], HOST).await.unwrap()), first);
    // No certificate matches: the first one is presented, and the client refuses it.
    assert!(connect(&gate, &[&first, &second], "third.test").await.is_err());

    let swap = |to: &Path| {
        std::os::unix::fs::symlink(to, files.path().join("next")).unwrap();
        std::fs::rename(files.path().join("next"), &live).unwrap();
    };
    let renewed = write_pair(&new, "second.test");
    swap(&new);
    let began = Instant::now();
    while connect(&gate, &[&renewed], "second.test").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "never taken up:\n{}", gate.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Open connections continue.
    for _ in 0..2 {
        open.write_all(get("/api/public", "").as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut open).await.status(), 200);
    }

    // A key that does not match: the certificate in use stays, and the operator is informed.
    let broken = files.path().join("3");
    write_pair(&broken, "second.test");
    std::fs::copy(old.join("key.pem"), broken.join("key.pem")).unwrap();
    swap(&broken);
    let began = Instant::now();
    while !degraded(&gate).await.contains("reload_certificate") {
        assert!(began.elapsed() < Duration::from_secs(30), "not reported:\n{}", gate.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    gate.output().line(&["listen.certificates[0].key: "]).await;
    assert_eq!(shown(&connect(&gate, &[&renewed], "second.test").await.unwrap()), renewed);
    assert_eq!(shown(&connect(&gate, &[&first], HOST).await.unwrap()), first);
    swap(&new);
    let began = Instant::now();
    while degraded(&gate).await.contains("reload_certificate") {
        assert!(began.elapsed() < Duration::from_secs(30), "still degraded:\n{}", gate.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The signal reads them at once, changed or not, so `systemctl reload` takes effect immediately.
#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_the_certificates_too() {
    let (_upstream, _setup, gate) = gate_with(Setup::https).await;
    for n in 1..=2 {
        gate.signal("HUP");
        gate.wait_for_lines("message", "certificates reloaded", n).await;
    }
    let log = gate.log_until_now().await;
    assert_eq!(log.iter().filter(|l| l["message"] == "certificates reloaded").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_redirected_to_the_origin() {
    let change = |s: Setup| {
        s.https()
            .set("listen.redirect_http", true)
            .set("wecom.verify_files", vec![VERIFY])
            .set("access.trusted_proxies", vec!["127.0.0.1"])
    };
    let (upstream, setup, gate) = gate_with(change).await;
    let other = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    for (what, bytes, place) in [
        ("a page", get("/admin/x?a=1&b=%20", ""), "/admin/x?a=1&b=%20"),
        ("a body", request("POST", "/api/public", "Content-Length: 2\r\n") + "{}", "/api/public"),
        ("the gate's own", get("/wecom-gate/login", ""), "/wecom-gate/login"),
        ("another host", other("/x"), "/x"),
        ("another host in the target", other("http://evil.test/x?y"), "/x?y"),
        ("proxy, plain", get("/x", "X-Forwarded-Proto: http\r\n"), "/x"),
        ("proxy, nonsense", get("/x", "X-Forwarded-Proto: https, http\r\n"), "/x"),
    ] {
        let response = send_raw(gate.http, bytes).await;
        assert_eq!(response.status(), 308, "{what}: {}", response.text());
        assert_eq!(response.header("location"), Some(format!("https://{HOST}{place}")), "{what}");
        assert!(response.cookies().is_empty());
    }
    // Two leading slashes would mean another host in a relative redirect.
    let doubled = send_raw(gate.http, get("//evil.test/x", "")).await;
    let place = doubled.header("location").unwrap_or_else(|| format!("https://{HOST}/"));
    assert!(place.starts_with(&format!("https://{HOST}/")), "{}", doubled.text());
    assert!(upstream.take().is_empty(), "nothing of it reaches NocoBase");

    let file = send_raw(gate.http, get(&format!("/{VERIFY}"), "")).await;
    assert_eq!((file.status(), file.body().as_str()), (200, "7rG3kjVbXHngiald"));
    let proxied = send_raw(gate.http, get("/api/public", "X-Forwarded-Proto: https\r\n")).await;
    assert_eq!(proxied.status(), 200, "{}", proxied.text());
    assert_eq!(setup.send_raw_over(&gate, true, get("/api/public", "")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_may_say_that_it_was_tls() {
    let change = |s: Setup| s.https().set("listen.redirect_http", true);
    let (_upstream, _setup, gate) = gate_with(change).await;
    let response = send_raw(gate.http, get("/api/public", "X-Forwarded-Proto: https\r\n")).await;
    assert_eq!(response.status(), 308, "{}", response.text());
}
