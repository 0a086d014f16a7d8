//! Certificates that the gate orders itself (`listen.acme`), without a reachable authority. The tests with a real one are in
//! `pebble`.

mod pebble;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::support::eventually;
use crate::support::raw::{HOST, Process, Setup, gate_with, get, request, send_raw, tls};

/// Nothing listens there.
const NOBODY: &str = "https://127.0.0.1:1/dir";

/// TLS with `listen.acme` instead of files.
fn with_acme(setup: Setup, directory: &str, cache: &Path) -> Setup {
    let mut acme = toml::Table::new();
    acme.insert("directory".into(), directory.into());
    acme.insert("cache".into(), cache.to_str().unwrap().into());
    acme.insert("email".into(), "it@gate.test".into());
    setup.https().set("listen.cert", "").set("listen.key", "").set("listen.acme", acme)
}

/// The only folder in the cache.
fn folder(cache: &Path) -> PathBuf {
    let mut all = std::fs::read_dir(cache).unwrap();
    let folder = all.next().unwrap().unwrap().path();
    assert!(all.next().is_none());
    folder
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

async fn ops(gate: &Process, path: &str) -> String {
    send_raw(gate.ops, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await.body()
}

/// The certificate's problem in `/readyz`, if there is one.
async fn problem(gate: &Process) -> Option<String> {
    let ready: Value = serde_json::from_str(&ops(gate, "/readyz").await).unwrap();
    let all = ready["degraded"].as_array().unwrap();
    all.iter().find(|d| d["what"] == "acme").map(|d| d["why"].as_str().unwrap().to_owned())
}

/// Number of orders with this result.
async fn orders(gate: &Process, result: &str) -> u64 {
    let name = format!("wecom_gate_acme_orders_total{{result=\"{result}\"}} ");
    let metrics = ops(gate, "/metrics").await;
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// The certificate presented to a client that trusts these.
async fn shown(
    gate: &Process,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<CertificateDer<'static>> {
    let stream = tls(gate.https, &[trusted], HOST, None).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_renewed_stays_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("acme");
    // A certificate as stored by the gate, 80 of its 90 days old.
    let day = Duration::from_secs(86_400);
    let mut params = rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.not_before = (SystemTime::now() - 80 * day).into();
    params.not_after = (SystemTime::now() + 10 * day).into();
    let key = rcgen::KeyPair::generate().unwrap();
    let old = params.self_signed(&key).unwrap();
    let kept = cache.join("127.0.0.1-1-dir");
    std::fs::create_dir_all(&kept).unwrap();
    let file = kept.join("certificate.pem");
    std::fs::write(&file, old.pem() + &key.serialize_pem()).unwrap();

    let (_upstream, _setup, mut gate) = gate_with(|s| with_acme(s, NOBODY, &cache)).await;
    eventually("a failed order", async || orders(&gate, "failed").await == 1).await;
    gate.wait_for_log(&["\"WARN\"", "no new certificate", "listen.acme.directory", HOST]).await;
    assert_eq!(shown(&gate, old.der()).await.unwrap(), *old.der());
    let why = problem(&gate).await.unwrap();
    assert!(why.contains("directory") && !why.contains("self-signed"), "{why}");
    let metrics = ops(&gate, "/metrics").await;
    let ends = format!("wecom_gate_certificate_not_after_seconds{{file=\"{}\"}}", file.display());
    assert!(metrics.contains(&ends), "{metrics}");
    assert_eq!(mode(&kept), 0o700, "closed, although it was not");
    // It pauses before it retries: a reload alone does not cause an order.
    gate.signal("HUP");
    gate.wait_for_lines("message", "certificates reloaded", 1).await;
    let log = gate.everything_written().await;
    assert_eq!(log.matches("no new certificate").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_the_gate_serves_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("acme");
    let (_upstream, _setup, gate) = gate_with(|s| with_acme(s, NOBODY, &cache)).await;
    gate.wait_for_log(&["there is no certificate yet", "self-signed", HOST]).await;
    eventually("a failed order", async || orders(&gate, "failed").await == 1).await;
    assert!(problem(&gate).await.is_some());
    assert!(
        !ops(&gate, "/metrics").await.contains("certificate_not_after_seconds{"),
        "it has no certificate"
    );
    // The certificate in use is one that no client trusts.
    let stranger = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let error = shown(&gate, stranger.cert.der()).await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert_eq!(send_raw(gate.http, get("/api/public", "")).await.status(), 200);
    let only = folder(&cache);
    assert_eq!((mode(&only), mode(&cache)), (0o700, 0o700));
    assert_eq!(std::fs::read_dir(only).unwrap().count(), 0, "nothing of a failed order is left");
}

/// Without an order the path behaves as any other, for clients and for NocoBase.
#[tokio::test(flavor = "multi_thread")]
async fn r45_the_path_of_challenges_is_as_any_other_while_nothing_is_pending() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("acme");
    let (upstream, _setup, gate) = gate_with(|s| with_acme(s, NOBODY, &cache)).await;
    eventually("a failed order", async || orders(&gate, "failed").await == 1).await;
    let (_upstream, _setup, without) = gate_with(Setup::https).await;
    let long = format!("/.well-known/acme-challenge/{}", "a".repeat(7000));
    let challenge = "/.well-known/acme-challenge/";
    for (method, target, headers) in [
        ("GET", "/.well-known/acme-challenge/token", ""),
        ("HEAD", "/.well-known/acme-challenge/token", ""),
        ("POST", "/.well-known/acme-challenge/token", "Content-Length: 0\r\n"),
        ("GET", challenge, ""),
        ("GET", "/.well-known/acme-challenge/../../api/users:list", ""),
        ("GET", "/.well-known/acme-challenge/%2e%2e/%2e%2e/etc/passwd", ""),
        ("GET", "/.well-known/acme-challenge//token", ""),
        ("GET", "/.well-known/acme-challenge/a?x=1", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n"),
        ("GET", &long, ""),
    ] {
        let [response, usual] = [
            send_raw(gate.http, request(method, target, headers)).await,
            send_raw(without.http, request(method, target, headers)).await,
        ];
        assert_eq!(response.status(), usual.status(), "{method} {target}: {}", response.text());
        assert_ne!(response.status(), 200, "{method} {target}");
    }
    assert!(upstream.take().is_empty(), "nothing of it reaches NocoBase");
}

/// A gate with its own certificates has no challenges, and its other clients are not affected.
#[tokio::test(flavor = "multi_thread")]
async fn r45_a_handshake_for_a_challenge_fails_while_nothing_is_pending() {
    let (_upstream, setup, gate) = gate_with(Setup::https).await;
    let own = setup.certificate();
    let refused = tls(gate.https, &[&own], HOST, Some("acme-tls/1")).await.unwrap_err().to_string();
    assert!(refused.contains("alert"), "{refused}");
    for alpn in ["h2", "http/1.1"] {
        let stream = tls(gate.https, &[&own], HOST, Some(alpn)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
    }
}
