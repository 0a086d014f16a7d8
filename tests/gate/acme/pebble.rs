//! The real Pebble, Let's Encrypt's authority for tests: `make acme` builds it and runs these.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::{folder, mode, orders, problem, shown, with_acme};
use crate::support::raw::{HOST, Process, Setup, get, send_raw};
use crate::support::{Redis, eventually, raw};

const NEEDS: &str = "needs Pebble: make acme";

/// The test's own authority and its name server; dropped, they are stopped.
struct Pebble {
    programs: Vec<Child>,
    dir: tempfile::TempDir,
    directory: String,
    roots: String,
    /// Where it connects for challenges.
    http: SocketAddr,
    tls: SocketAddr,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.end();
    }
}

fn program(name: &str) -> Command {
    let folder = std::env::var_os("WECOM_GATE_PEBBLE").expect(NEEDS);
    let mut command = Command::new(PathBuf::from(folder).join(name));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Pebble {
    /// Its certificates are valid for this many seconds.
    async fn start(seconds: u64) -> Pebble {
        let dir = tempfile::tempdir().unwrap();
        let [listen, management, dns, dns_management, http, tls] =
            std::array::from_fn(|_| nocobase_standin::free());
        let own =
            rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".into()]).unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("own.pem"), own.cert.pem()).unwrap();
        std::fs::write(path("own.key"), own.signing_key.serialize_pem()).unwrap();
        let conf = json!({ "pebble": {
            "listenAddress": listen.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": path("own.pem"),
            "privateKey": path("own.key"),
            "httpPort": http.port(),
            "tlsPort": tls.port(),
            "retryAfter": { "authz": 1, "order": 1 },
            "keyAlgorithm": "ecdsa",
            "profiles": { "default": { "description": "the only one", "validityPeriod": seconds } },
        }});
        std::fs::write(path("conf.json"), conf.to_string()).unwrap();
        let mut names = program("pebble-challtestsrv");
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", ""]);
        names.args(["-dnsserver", &dns.to_string(), "-management", &dns_management.to_string()]);
        let mut authority = program("pebble");
        authority.arg("-config").arg(path("conf.json")).args(["-dnsserver", &dns.to_string()]);
        authority.env("PEBBLE_VA_NOSLEEP", "1");
        let programs = vec![names.spawn().expect(NEEDS), authority.spawn().expect(NEEDS)];
        for address in [listen, management, dns_management] {
            eventually("Pebble listens", async || tokio::net::TcpStream::connect(address).await.is_ok())
                .await;
        }
        let (directory, roots) = (format!("https://{listen}/dir"), format!("https://{management}/roots/0"));
        Pebble { programs, dir, directory, roots, http, tls }
    }

    fn end(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }

    /// The root of its certificates.
    async fn root(&self) -> CertificateDer<'static> {
        // For reqwest. An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = std::fs::read(self.dir.path().join("own.pem")).unwrap();
        let own = reqwest::Certificate::from_pem(&own).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([own]).build().unwrap();
        let pem = client.get(&self.roots).send().await.unwrap().bytes().await.unwrap();
        CertificateDer::from_pem_slice(&pem).unwrap()
    }

    /// Suggests a renewal of this certificate in this period.
    async fn suggest(&self, certificate: &str, start: &str, end: &str) {
        let own = std::fs::read(self.dir.path().join("own.pem")).unwrap();
        let own = reqwest::Certificate::from_pem(&own).unwrap();
        let client =
            reqwest::Client::builder().no_proxy().user_agent("a test").tls_certs_only([own]).build().unwrap();
        let window = json!({ "suggestedWindow": { "start": start, "end": end } }).to_string();
        let body = json!({ "certificate": certificate, "ariResponse": window }).to_string();
        let address = self.roots.replace("roots/0", "set-renewal-info/");
        let response = client.post(address).body(body).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }

    /// A gate that orders from this authority.
    fn setup(&self, setup: Setup, cache: &Path) -> Setup {
        let own = self.dir.path().join("own.pem");
        let setup = setup.environment("SSL_CERT_FILE", own.to_str().unwrap());
        with_acme(setup, &self.directory, cache).set("listen.http", vec![self.http.to_string()])
    }

    async fn gate(&self, cache: &Path) -> (raw::Upstream, Setup, Process) {
        raw::gate_with(|setup| self.setup(setup, cache)).await
    }
}

async fn becomes_trusted(gate: &Process, root: &CertificateDer<'static>) -> CertificateDer<'static> {
    let began = Instant::now();
    loop {
        match shown(gate, root).await {
            Ok(certificate) => return certificate,
            Err(error) if began.elapsed() > Duration::from_secs(60) => panic!("{error}:\n{}", gate.output()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pebble: make acme"]
async fn from_nothing_to_a_certificate_that_a_restart_keeps() {
    let pebble = Pebble::start(90 * 86_400).await;
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("var/acme");
    let (upstream, setup, mut gate) = pebble.gate(&cache).await;
    let root = pebble.root().await;
    let first = becomes_trusted(&gate, &root).await;
    eventually("no problem is left", async || problem(&gate).await.is_none()).await;
    assert_eq!((orders(&gate, "ok").await, orders(&gate, "failed").await), (1, 0));
    gate.wait_for_log(&["a new certificate has come", HOST]).await;
    let only = folder(&cache);
    assert_eq!(mode(&only), 0o700);
    for name in ["account.json", "certificate.pem"] {
        assert_eq!(mode(&only.join(name)), 0o600, "{name}");
    }
    assert_eq!(std::fs::read_dir(&only).unwrap().count(), 2);
    let text = std::fs::read_to_string(only.join("certificate.pem")).unwrap();
    assert!(text.matches("BEGIN CERTIFICATE").count() >= 2, "with its chain");
    // The authority has sent its request, none of which reached NocoBase; the path does not respond any more.
    let asked = gate.wait_for_log(&["/.well-known/acme-challenge/", "\"status\":200"]).await;
    let line: serde_json::Value = serde_json::from_str(&asked).unwrap();
    let path = line["path"].as_str().unwrap();
    assert_ne!(send_raw(gate.http, get(path, "")).await.status(), 200, "r45: the order is over");
    assert!(upstream.take().iter().all(|r| !r.target().contains("well-known")));
    let log = gate.everything_written().await;
    assert!(!log.contains("PRIVATE KEY") && !log.contains("key_pkcs8"), "{log}");

    let again = setup.start().await;
    assert_eq!(shown(&again, &root).await.unwrap(), first, "from the file, at once");
    assert_eq!((orders(&again, "ok").await, problem(&again).await), (0, None));
    drop(again);

    // The authority has to revoke it, and suggests another one.
    pebble.suggest(&text, "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z").await;
    let third = setup.start().await;
    eventually("another one", async || shown(&third, &root).await.is_ok_and(|now| now != first)).await;
    assert_eq!((orders(&third, "ok").await, problem(&third).await), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pebble: make acme"]
async fn by_tls_alone() {
    let pebble = Pebble::start(3600).await;
    let dir = tempfile::tempdir().unwrap();
    let tls = pebble.tls.to_string();
    let change = |setup| {
        let setup = pebble.setup(setup, dir.path()).set("listen.https", vec![tls]);
        setup.set("listen.http", Vec::<String>::new())
    };
    let (_upstream, _setup, gate) = raw::gate_with(change).await;
    becomes_trusted(&gate, &pebble.root().await).await;
    assert_eq!((orders(&gate, "ok").await, orders(&gate, "failed").await), (1, 0));
    // The order has ended: a client that connects like an authority gets no handshake.
    let refused = raw::tls(gate.https, &[&pebble.root().await], HOST, Some("acme-tls/1")).await;
    assert!(refused.is_err());
}

/// Forwards connections to this address to these in turn, once they are known.
async fn take_turns(listen: SocketAddr, mut to: tokio::sync::watch::Receiver<Vec<SocketAddr>>) {
    let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
    for n in 0.. {
        let (mut from, _) = listener.accept().await.unwrap();
        let all = to.wait_for(|all| !all.is_empty()).await.unwrap().clone();
        let mut node = tokio::net::TcpStream::connect(all[n % all.len()]).await.unwrap();
        tokio::spawn(async move {
            let _ = tokio::io::copy_bidirectional(&mut from, &mut node).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pebble: make acme"]
async fn one_of_several_nodes_orders_any_answers_and_all_get_it() {
    let (pebble, redis) = (Pebble::start(3600).await, Redis::start());
    let (nodes, known) = tokio::sync::watch::channel(Vec::new());
    tokio::spawn(take_turns(pebble.http, known));
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let node = async |dir: &tempfile::TempDir| {
        let change = |setup| {
            let setup = pebble.setup(setup, dir.path()).set("session.redis", redis.url());
            setup.set("listen.http", vec!["127.0.0.1:0"])
        };
        raw::gate_with(change).await
    };
    let (_upstream, _setup, one) = node(&dirs[0]).await;
    let (_other_upstream, _other_setup, other) = node(&dirs[1]).await;
    nodes.send(vec![one.http, other.http]).unwrap();
    let root = pebble.root().await;
    let shown = [becomes_trusted(&one, &root).await, becomes_trusted(&other, &root).await];
    assert_eq!(shown[0], shown[1]);
    let mut asked = 0;
    let mut ordered = 0;
    for gate in [&one, &other] {
        eventually("no problem is left", async || problem(gate).await.is_none()).await;
        assert_eq!(orders(gate, "failed").await, 0);
        ordered += orders(gate, "ok").await;
        let log = gate.log_until_now().await;
        let challenge = |l: &&serde_json::Value| {
            l["path"].as_str().is_some_and(|path| path.starts_with("/.well-known/acme-challenge/"))
        };
        let answers: Vec<_> = log.iter().filter(challenge).map(|l| l["status"].clone()).collect();
        assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
        asked += usize::from(!answers.is_empty());
    }
    assert_eq!((ordered, asked), (1, 2), "one ordered, and both were asked");
    for dir in &dirs {
        assert_eq!(mode(&folder(dir.path()).join("certificate.pem")), 0o600);
    }
    assert_eq!(redis.keys("acme:certificate").len(), 1);
    assert_eq!(redis.keys("acme:challenge").len() + redis.keys("acme:ordering").len(), 0, "all is over");
    let dump = redis.dump();
    assert!(!dump.contains("BEGIN") && !dump.contains("PRIVATE"), "sealed");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pebble: make acme"]
async fn renewed_in_time_and_kept_when_that_fails() {
    let mut pebble = Pebble::start(12).await;
    let dir = tempfile::tempdir().unwrap();
    let (_upstream, _setup, gate) = pebble.gate(dir.path()).await;
    let root = pebble.root().await;
    let first = becomes_trusted(&gate, &root).await;
    // It is renewed when a third of its 12 seconds is left.
    eventually("another one", async || {
        shown(&gate, &root).await.is_ok_and(|certificate| certificate != first)
    })
    .await;
    assert_eq!(orders(&gate, "failed").await, 0);
    let ok = orders(&gate, "ok").await;
    assert!(ok >= 2, "{ok}");
    pebble.end();
    eventually("a failed order", async || orders(&gate, "failed").await > 0).await;
    assert!(problem(&gate).await.unwrap().contains("directory"));
    gate.wait_for_log(&["\"WARN\"", "the one in use stays"]).await;
    // Expired or not, the last certificate stays in use.
    let metrics = super::ops(&gate, "/metrics").await;
    assert!(metrics.contains("certificate_not_after_seconds{"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Pebble: make acme"]
async fn a_name_that_leads_elsewhere_is_explained() {
    let pebble = Pebble::start(3600).await;
    let dir = tempfile::tempdir().unwrap();
    // The gate does not listen where the authority connects.
    let change = |setup| pebble.setup(setup, dir.path()).set("listen.http", vec!["127.0.0.1:0"]);
    let (_upstream, _setup, gate) = raw::gate_with(change).await;
    eventually("a failed order", async || orders(&gate, "failed").await == 1).await;
    let why = problem(&gate).await.unwrap();
    assert!(why.starts_with(HOST) && why.contains("refused") && why.contains("port 80"), "{why}");
    assert!(folder(dir.path()).join("account.json").exists(), "the account is kept");
}
