//! Old TLS, weak ciphers and downgrades: a handshake uses TLS 1.2 or 1.3 with forward secrecy, or fails; and where the origin is
//! https, every response has HSTS.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::config::OTHER_KEY;
use crate::support::raw::{HOST, Process, Setup, WECOM, gate_with, get, read_response, request};

/// Cipher suites of TLS 1.2 with forward secrecy and AEAD, for ECDSA and RSA certificates, as numbered in hello messages.
const MODERN: [u16; 6] = [0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8];
/// Without forward secrecy, CBC, 3DES, RC4, export, anonymous, NULL.
const WEAK: [u16; 12] =
    [0x009c, 0x009d, 0x002f, 0x0035, 0xc009, 0xc00a, 0xc013, 0xc014, 0x000a, 0x0005, 0x0003, 0x0001];

/// The gate's response to a ClientHello of this version with these suites and without TLS 1.3: the type of its first record (22:
/// handshake; 21: alert), and the alert, or the version of its ServerHello.
async fn hello(gate: &Process, version: u16, suites: &[u16]) -> (u8, u16) {
    let extension = |kind: u16, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap();
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
    };
    let host = u16::try_from(HOST.len()).unwrap();
    let name = [&(host + 3).to_be_bytes()[..], &[0], &host.to_be_bytes(), HOST.as_bytes()].concat();
    let extensions = [
        extension(0, &name),
        // Groups: x25519, secp256r1. Point format. Signatures: ECDSA and RSA with SHA-256, and the old SHA-1.
        extension(10, &[0, 4, 0, 29, 0, 23]),
        extension(11, &[1, 0]),
        extension(13, &[0, 8, 4, 3, 4, 1, 2, 3, 2, 1]),
        // Extended master secret.
        extension(23, &[]),
    ]
    .concat();
    let suites: Vec<u8> = suites.iter().flat_map(|s| s.to_be_bytes()).collect();
    let body = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &[0],
        &u16::try_from(suites.len()).unwrap().to_be_bytes(),
        &suites,
        &[1, 0],
        &u16::try_from(extensions.len()).unwrap().to_be_bytes(),
        &extensions,
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    let record = [&[22, 3, 1][..], &u16::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    let mut stream = TcpStream::connect(gate.https).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut response = Vec::new();
    while response.len() < 11 {
        match tokio::time::timeout(Duration::from_secs(5), stream.read_buf(&mut response)).await {
            Ok(Ok(n)) if n > 0 => {}
            _ => break,
        }
    }
    match response.first() {
        Some(21) => (21, u16::from(response[6])),
        Some(kind) => (*kind, u16::from_be_bytes([response[9], response[10]])),
        None => (0, 0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_old_tls_and_weak_ciphers_are_refused() {
    let (_upstream, setup, gate) = gate_with(|s| s.https()).await;
    // SSL 3.0, TLS 1.0, TLS 1.1: protocol_version.
    for version in [0x0300, 0x0301, 0x0302] {
        assert_eq!(hello(&gate, version, &MODERN).await, (21, 70), "{version:#06x}");
    }
    assert_eq!(hello(&gate, 0x0303, &MODERN).await, (22, 0x0303));
    // handshake_failure, each suite alone, so that each is tested.
    for suite in WEAK {
        assert_eq!(hello(&gate, 0x0303, &[suite]).await, (21, 40), "{suite:#06x}");
    }
    // TLS 1.3 works with clients that support it.
    let line = setup.tls(&gate, "http/1.1").await;
    let (_, connection) = line.get_ref();
    assert_eq!(connection.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
}

/// Scanners and old clients make mistakes all day: no line in the log is about them.
#[tokio::test(flavor = "multi_thread")]
async fn tls_mistakes_of_clients_are_no_errors_in_the_log() {
    let (_upstream, setup, mut gate) = gate_with(|s| s.https()).await;
    assert_eq!(hello(&gate, 0x0301, &MODERN).await, (21, 70));
    assert_eq!(hello(&gate, 0x0303, &[WEAK[0]]).await, (21, 40));
    for bytes in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n", &[0xff; 3000]] {
        let mut stream = TcpStream::connect(gate.https).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    // A request without mistakes is served, and logged.
    let response = setup.send_raw_over(&gate, true, get("/wecom-gate/me", "")).await;
    assert_eq!(response.status(), 401, "{}", response.text());
    let written = gate.everything_written().await;
    assert!(written.contains("\"event\":\"request\""), "{written}");
    // The gate's own lines name their cause in `event`; Pingora's name its modules, and no path of the machine that built it.
    for part in ["andshake", "pingora_core", "rustls", ".rs\""] {
        assert!(!written.contains(part), "{part}: {written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_with_https_every_response_has_hsts() {
    let (_upstream, setup, gate) = gate_with(|s| s.https()).await;
    let member = setup.visitor();
    let page = format!("User-Agent: {WECOM}\r\nAccept: text/html\r\n");
    for (what, bytes, status) in [
        ("to WeCom", get("/admin", &page), 302),
        ("NocoBase's", get("/api/public", ""), 200),
        ("a member's page", get("/admin", &member.cookie_line()), 200),
        ("no session", get("/api/x", ""), 401),
        ("no such page", get("/wecom-gate/none", &page), 404),
        ("me", get("/wecom-gate/me", &member.cookie_line()), 200),
        ("forward-auth", get("/wecom-gate/auth", &member.cookie_line()), 204),
        ("script", get("/wecom-gate/gate.js", ""), 200),
        ("sign-in page", get("/wecom-gate/sign-in", &page), 200),
        ("sign-out", request("POST", "/wecom-gate/logout", "Content-Length: 0\r\n"), 303),
        ("bad path", get("/a/../b", &page), 400),
        ("other host", get("/admin", &page).replace(HOST, "other.test"), 421),
    ] {
        for tls in [true, false] {
            let response = setup.send_raw_over(&gate, tls, &bytes).await;
            assert_eq!(response.status(), status, "{what}: {}", response.text());
            // Over plain HTTP anyone could have sent it (RFC 6797, 7.2).
            let expected: &[&str] = if tls { &["max-age=31536000"] } else { &[] };
            assert_eq!(response.all("strict-transport-security"), expected, "{what}");
        }
    }
    // An http origin must not lock browsers out of itself.
    let (_upstream, _setup, gate) = gate_with(|s| s).await;
    for bytes in [get("/admin", &page), get("/api/public", ""), get("/wecom-gate/me", "")] {
        let response = crate::support::raw::send_raw(gate.http, bytes).await;
        assert!(response.header("strict-transport-security").is_none(), "{}", response.text());
    }
}

/// A returning client resumes its session, with TLS 1.2 and 1.3, also on another node, and however many other clients have
/// connected meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn r38_tls_sessions_are_resumed_on_every_node() {
    let (_upstream, first, one) = gate_with(|s| s.https()).await;
    let (_upstream, second, other) = gate_with(|s| s.https()).await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(first.certificate()).unwrap();
        roots.add(second.certificate()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let mut kinds = Vec::new();
        for to in [one.https, one.https, other.https] {
            let tcp = tokio::net::TcpStream::connect(to).await.unwrap();
            let name = rustls::pki_types::ServerName::try_from("gate.test").unwrap();
            let mut stream = connector.connect(name, tcp).await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind());
            // The session tickets arrive with the response.
            stream.write_all(get("/api/public", "").as_bytes()).await.unwrap();
            assert_eq!(read_response(&mut stream).await.status(), 200);
        }
        let (full, resumed) = (Some(rustls::HandshakeKind::Full), Some(rustls::HandshakeKind::Resumed));
        assert_eq!(kinds, [full, resumed, resumed], "{version:?}");
    }
}

/// A TLS 1.3 client that keeps its tickets.
fn client(setup: &Setup) -> tokio_rustls::TlsConnector {
    client_of(setup, &rustls::version::TLS13, "http/1.1")
}

/// The same with this TLS version and this ALPN protocol.
fn client_of(
    setup: &Setup,
    version: &'static rustls::SupportedProtocolVersion,
    alpn: &str,
) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(setup.certificate()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// Connects and sends a request, because tickets arrive with the response; was the session resumed?
async fn resumes(client: &tokio_rustls::TlsConnector, to: std::net::SocketAddr) -> bool {
    let tcp = tokio::net::TcpStream::connect(to).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let mut stream = client.connect(name, tcp).await.unwrap();
    let kind = stream.get_ref().1.handshake_kind();
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let address = format!("https://{HOST}/api/public");
        let request = http::Request::get(address).body(()).unwrap();
        assert_eq!(client.send_request(request, true).unwrap().0.await.unwrap().status(), 200);
    } else {
        stream.write_all(get("/api/public", "").as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status(), 200);
    }
    kind == Some(rustls::HandshakeKind::Resumed)
}

/// Another listener of the same gate, more clients than a session cache would hold, a reload without changes, a renewed
/// certificate, a restart: the session is resumed after each of them, with every TLS version and protocol.
#[tokio::test(flavor = "multi_thread")]
async fn r38_tls_sessions_outlive_what_happens_between_two_connections() {
    let two = vec!["127.0.0.1:0", "127.0.0.1:0"];
    let (_upstream, setup, gate) = gate_with(|s| s.https().set("listen.https", two)).await;
    let lines = gate.wait_for_lines("scheme", "https", 2).await;
    let listeners: Vec<std::net::SocketAddr> =
        lines.iter().map(|line| line["address"].as_str().unwrap().parse().unwrap()).collect();
    assert_ne!(listeners[0], listeners[1]);
    let clients: Vec<_> = VERSIONS
        .iter()
        .flat_map(|version| ["http/1.1", "h2"].map(|alpn| (version, alpn, client_of(&setup, version, alpn))))
        .collect();
    let mut first = true;
    let mut resumed = async |what: &str, to: std::net::SocketAddr| {
        for (version, alpn, client) in &clients {
            assert_eq!(resumes(client, to).await, !first, "{what}: {version:?} {alpn}");
        }
        first = false;
    };
    resumed("the first connection", listeners[0]).await;
    resumed("another listener", listeners[1]).await;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..270 {
        let (stranger, to) = (client_of(&setup, VERSIONS[number % 2], "http/1.1"), listeners[number % 2]);
        crowd.spawn(async move { resumes(&stranger, to).await });
        if number % 30 == 29 {
            while crowd.join_next().await.is_some_and(|one| !one.unwrap()) {}
            assert!(crowd.is_empty(), "a stranger resumes a session");
        }
    }
    resumed("270 other clients", listeners[0]).await;
    gate.signal("HUP");
    gate.wait_for_lines("message", "configuration reloaded", 1).await;
    resumed("a reload", listeners[0]).await;
    setup.renew_certificate();
    gate.signal("HUP");
    gate.wait_for_lines("message", "configuration reloaded", 2).await;
    resumed("a renewed certificate", listeners[1]).await;
    drop(gate);
    let again = setup.start().await;
    resumed("a restart", again.https).await;
}

/// A ticket sealed with a removed key is not accepted any more; one sealed with a key that is being replaced still is.
#[tokio::test(flavor = "multi_thread")]
async fn r14_tickets_follow_session_keys_at_a_reload() {
    let (_upstream, setup, gate) = gate_with(|s| s.https()).await;
    let new = || VERSIONS.map(|version| client_of(&setup, version, "http/1.1"));
    let (early, both, late) = (new(), new(), new());
    for client in early.iter().chain(&both) {
        assert!(!resumes(client, gate.https).await);
    }
    let old = setup.get("session.keys").as_array().unwrap()[0].as_str().unwrap().to_owned();
    let setup = setup.rewrite("session.keys", vec![OTHER_KEY, &old]);
    gate.signal("HUP");
    gate.wait_for_lines("message", "configuration reloaded", 1).await;
    for (both, late) in both.iter().zip(&late) {
        assert!(resumes(both, gate.https).await, "with the key of before");
        assert!(!resumes(late, gate.https).await);
    }
    let _setup = setup.rewrite("session.keys", vec![OTHER_KEY]);
    gate.signal("HUP");
    gate.wait_for_lines("message", "configuration reloaded", 2).await;
    for (early, late) in early.iter().zip(&late) {
        assert!(!resumes(early, gate.https).await, "its key is gone");
        assert!(resumes(late, gate.https).await, "with the key of now");
    }
}

/// What a resumed session saves the gate: CPU time of full and of resumed handshakes, one after the other on one machine.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a machine with nothing else to do: --ignored tls_cost --nocapture"]
async fn tls_cost_of_full_and_resumed_handshakes() {
    const HANDSHAKES: u64 = 1000;
    for rsa in [false, true] {
        let change = |s: Setup| if rsa { s.https().rsa() } else { s.https() };
        let (_upstream, setup, gate) =
            gate_with(|s| change(s).set("log.level", "info").set("log.access_log", false)).await;
        let mut spent = Vec::new();
        for again in [false, true] {
            let known = client(&setup);
            resumes(&known, gate.https).await;
            let before = gate.cpu();
            for _ in 0..HANDSHAKES {
                let fresh = client(&setup);
                assert_eq!(resumes(if again { &known } else { &fresh }, gate.https).await, again);
            }
            // Hundredths of a second to microseconds for each.
            spent.push((gate.cpu() - before) * 10_000 / HANDSHAKES);
        }
        let kind = if rsa { "RSA 2048" } else { "ECDSA P-256" };
        println!(
            "{kind}, TLS 1.3, a connection with one request: {spent:?} us of the gate's CPU, full and resumed"
        );
    }
}
