//! The gate's binary, and both of its sides as raw sockets: a client that sends bytes as they are, and an upstream
//! that keeps what arrived and in which order.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use bytes::Bytes;
use http::HeaderMap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use secrecy::SecretSlice;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use wecom_gate::session::{Keyring, Limits, Member, Names, Session, SessionCookies};

/// Host of the gate's origin.
pub const HOST: &str = "gate.test";
/// NocoBase's secret.
pub const SECRET: &str = "raw-upstream-secret-of-nocobase";
/// Corp id of the simulator's first company.
pub const CORP: &str = "ww0123456789abcdef";
/// Secret of the simulator's app 1000002.
pub const APP_SECRET: &str = "SimAppSecret1000002-AAAAAAAAAAAAAAAAAAAAAAA";
/// A WeCom client.
pub const WECOM: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0 Safari/537.36 wxwork/4.1.28 (MicroMessenger/6.2) WindowsWechat MailPlugin_Electron WeMail embeddisk wwmver/3.26.28.608";
/// The answer to an upgrade.
pub const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn key_bytes() -> [u8; 64] {
    std::array::from_fn(|i| u8::try_from(i).unwrap().wrapping_mul(7) ^ 0x5a)
}

// ---------------------------------------------------------------------------------------------------- upstream

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub connection: usize,
    pub head: String,
    /// Decoded.
    pub body: Vec<u8>,
}

impl Request {
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap()
    }
    /// Names as sent, values without blanks around them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.split("\r\n").skip(1).filter_map(|l| l.split_once(':')).map(|(n, v)| (n, v.trim()))
    }
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

#[derive(Default)]
pub struct Recorded {
    /// Of clients; the gate's own calls are in `own`.
    pub requests: Vec<Request>,
    pub own: Vec<Request>,
    /// Bytes where a request should have begun.
    pub garbage: Vec<Vec<u8>>,
    /// What a path is answered with, instead of a small 200; `own:` before it: the gate's own calls.
    pub answers: HashMap<String, Vec<u8>>,
    /// `auth:check` says that the session has ended.
    pub ended: bool,
    /// Bytes that arrived in tunnels.
    pub tunnelled: Vec<u8>,
    connections: usize,
}

/// An upstream that records.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    recorded: Arc<Mutex<Recorded>>,
}

impl Upstream {
    pub async fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Upstream { address, recorded: Arc::default() };
        let recorded = upstream.recorded.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let id = {
                    let mut r = recorded.lock().unwrap();
                    r.connections += 1;
                    r.connections
                };
                tokio::spawn(serve(stream, id, recorded.clone()));
            }
        });
        upstream
    }

    pub fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap()
    }

    /// What clients' requests have come so far; forgets them.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.recorded().requests)
    }

    pub fn answer(&self, path: &str, status: &str, headers: &str, body: &str) {
        let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        self.recorded().answers.insert(path.to_owned(), answer.into_bytes());
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(n) if n > 0)
}

fn find(buffer: &[u8], what: &[u8]) -> Option<usize> {
    buffer.windows(what.len()).position(|w| w == what)
}

async fn serve(mut stream: TcpStream, connection: usize, recorded: Arc<Mutex<Recorded>>) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !fill(&mut stream, &mut buffer).await {
                if !buffer.is_empty() {
                    recorded.lock().unwrap().garbage.push(buffer);
                }
                return;
            }
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head[..end - 4]).into_owned();
        let mut request = Request { connection, head, body: Vec::new() };
        let parts: Vec<&str> = request.line().split(' ').collect();
        if parts.len() != 3 || parts[2] != "HTTP/1.1" || !parts[0].bytes().all(|b| b.is_ascii_uppercase()) {
            recorded.lock().unwrap().garbage.push(request.head.into_bytes());
            return;
        }
        let path = request.target().split('?').next().unwrap().to_owned();
        if request.header("upgrade").is_some() && !recorded.lock().unwrap().answers.contains_key(&path) {
            recorded.lock().unwrap().requests.push(request);
            return tunnel(stream, buffer, recorded).await;
        }
        let Some(body) = body(&mut stream, &mut buffer, &request).await else {
            recorded.lock().unwrap().garbage.push(request.head.into_bytes());
            return;
        };
        request.body = body;
        let answer = {
            let mut r = recorded.lock().unwrap();
            let own = request.header("x-request-id").is_none();
            let answer = if own && let Some(answer) = r.answers.get(&format!("own:{path}")) {
                answer.clone()
            } else if own && path == "/api/auth:check" {
                if r.ended {
                    json(
                        "401 Unauthorized",
                        r#"{"errors":[{"message":"Your session has expired.","code":"BLOCKED_TOKEN"}]}"#,
                    )
                } else {
                    json("200 OK", r#"{"data":{"id":7}}"#)
                }
            } else if own {
                json("200 OK", "{}")
            } else {
                r.answers.get(&path).cloned().unwrap_or_else(|| json("200 OK", r#"{"data":"upstream"}"#))
            };
            if own {
                r.own.push(request)
            } else {
                r.requests.push(request)
            }
            answer
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn json(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn body(stream: &mut TcpStream, buffer: &mut Vec<u8>, request: &Request) -> Option<Vec<u8>> {
    if request.all("transfer-encoding").is_empty() {
        let lengths = request.all("content-length");
        let length: usize = if lengths.is_empty() { 0 } else { lengths[0].parse().ok()? };
        while buffer.len() < length {
            if !fill(stream, buffer).await {
                return None;
            }
        }
        return Some(buffer.drain(..length).collect());
    }
    let mut body = Vec::new();
    loop {
        let line = loop {
            match find(buffer, b"\r\n") {
                Some(at) => break at,
                None if fill(stream, buffer).await => {}
                None => return None,
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..line]).ok()?, 16).ok()?;
        while buffer.len() < line + 2 + size + 2 {
            if !fill(stream, buffer).await {
                return None;
            }
        }
        let chunk: Vec<u8> = buffer.drain(..line + 2 + size + 2).collect();
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[line + 2..line + 2 + size]);
    }
}

/// Says 101 at once and sends everything back.
async fn tunnel(mut stream: TcpStream, early: Vec<u8>, recorded: Arc<Mutex<Recorded>>) {
    if stream.write_all(SWITCH).await.is_err() {
        return;
    }
    let mut piece = early;
    loop {
        if !piece.is_empty() {
            recorded.lock().unwrap().tunnelled.extend_from_slice(&piece);
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
        piece.clear();
        if !fill(&mut stream, &mut piece).await {
            return;
        }
    }
}

// ------------------------------------------------------------------------------------------------------ client

/// An answer as it came.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub raw: Vec<u8>,
    /// The gate closed the connection.
    pub closed: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
    fn head(&self) -> String {
        let end = find(&self.raw, b"\r\n\r\n").unwrap_or(self.raw.len());
        String::from_utf8_lossy(&self.raw[..end]).into_owned()
    }
    /// 0 without an answer.
    pub fn status(&self) -> u16 {
        self.head().split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }
    pub fn all(&self, name: &str) -> Vec<String> {
        let head = self.head();
        let lines = head.split("\r\n").skip(1).filter_map(|l| l.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).collect()
    }
    pub fn header(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }
    pub fn body(&self) -> String {
        let at = find(&self.raw, b"\r\n\r\n").map_or(self.raw.len(), |a| a + 4);
        String::from_utf8_lossy(&self.raw[at..]).into_owned()
    }
    /// How many answers these bytes hold.
    pub fn count(&self) -> usize {
        self.raw.windows(9).filter(|w| *w == b"HTTP/1.1 " || *w == b"HTTP/1.0 ").count()
    }
    /// Name and value of the cookies that it sets.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let lines = self.all("set-cookie");
        let pairs = lines.iter().map(|l| l.split(';').next().unwrap().split_once('=').unwrap());
        pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }
    /// One answer is there, whole.
    fn complete(&self) -> bool {
        let Some(end) = find(&self.raw, b"\r\n\r\n") else { return false };
        if matches!(self.status(), 101 | 204 | 304) {
            return true;
        }
        match self.header("content-length").and_then(|l| l.parse::<usize>().ok()) {
            Some(length) => self.raw.len() >= end + 4 + length,
            None => self.raw.ends_with(b"0\r\n\r\n"),
        }
    }
}

/// Reads one whole answer, or until the connection is closed.
pub async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> Answer {
    read_while(stream, Duration::from_secs(8), |a| !a.complete()).await
}

/// Reads until the connection is closed or says nothing for a while.
pub async fn read_all<S: AsyncRead + Unpin>(stream: &mut S) -> Answer {
    let mut answer = read_answer(stream).await;
    if !answer.closed {
        let more = read_while(stream, Duration::from_millis(300), |_| true).await;
        answer.raw.extend_from_slice(&more.raw);
        answer.closed = more.closed;
    }
    answer
}

async fn read_while<S: AsyncRead + Unpin>(
    stream: &mut S,
    quiet: Duration,
    go_on: impl Fn(&Answer) -> bool,
) -> Answer {
    let mut answer = Answer::default();
    while go_on(&answer) {
        match tokio::time::timeout(quiet, stream.read_buf(&mut answer.raw)).await {
            Ok(Ok(n)) if n > 0 => {}
            Ok(_) => {
                answer.closed = true;
                break;
            }
            Err(_) => break,
        }
    }
    answer
}

/// Sends bytes on a connection of their own; the one answer to them.
pub async fn talk(to: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // The gate may answer and close before it has read everything.
    let _ = stream.write_all(bytes.as_ref()).await;
    read_answer(&mut stream).await
}

/// The same, and whatever else comes on this connection.
pub async fn talk_on(to: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let _ = stream.write_all(bytes.as_ref()).await;
    read_all(&mut stream).await
}

/// A request for the gate, with its `Host`. Header lines end with CRLF.
pub fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n")
}

pub fn get(target: &str, headers: &str) -> String {
    request("GET", target, headers)
}

/// An upgrade to a WebSocket.
pub fn upgrade(target: &str, headers: &str) -> String {
    get(
        target,
        &format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}"
        ),
    )
}

/// A text frame as a client sends it.
pub fn frame(text: &str) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![0x81];
    match text.len() {
        n @ 0..126 => frame.push(0x80 | u8::try_from(n).unwrap()),
        n => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    frame
}

// -------------------------------------------------------------------------------------------------------- gate

/// How the gate is configured.
pub struct Setup {
    toml: toml::Table,
    dir: tempfile::TempDir,
    https: bool,
}

/// A signed-in browser.
pub struct Visitor {
    /// `name=value`.
    pub cookie: String,
    pub phantom: String,
    pub session: Session,
}

impl Visitor {
    /// Header line with the cookie.
    pub fn cookie_line(&self) -> String {
        format!("Cookie: {}\r\n", self.cookie)
    }
    /// Header lines of the page's own API calls.
    pub fn lines(&self) -> String {
        format!("Cookie: {}\r\nAuthorization: Bearer {}\r\n", self.cookie, self.phantom)
    }
}

impl Setup {
    /// Plain HTTP, no WeCom in reach.
    pub fn new(upstream: SocketAddr) -> Setup {
        let key = base64::engine::general_purpose::STANDARD.encode(key_bytes());
        let toml = format!(
            r#"
origin = "http://{HOST}"
[listen]
http = ["127.0.0.1:0"]
ops = "127.0.0.1:0"
[upstream]
nodes = ["{upstream}"]
[nocobase]
jwt_secret = "{SECRET}"
service_user = 1
[[wecom]]
corp_id = "{CORP}"
agent_id = "1000002"
secret = "{APP_SECRET}"
api_base = "http://127.0.0.1:9"
authorize_url = "http://127.0.0.1:9/connect/oauth2/authorize"
web_login_url = "http://127.0.0.1:9/wwlogin/sso/login"
[access]
public = ["GET /api/public", "POST /api/public", "OPTIONS /api/public", "GET /ws-public", "GET /ws-refused"]
[session]
keys = ["{key}"]
[log]
level = "debug"
[limits]
"#
        );
        Setup { toml: toml.parse().unwrap(), dir: tempfile::tempdir().unwrap(), https: false }
    }

    /// `section.key`, or `wecom.key` of the one entry.
    pub fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Setup {
        let (section, key) = key.split_once('.').unwrap();
        let section = self.toml.get_mut(section).unwrap();
        let table = match section {
            toml::Value::Array(entries) => entries[0].as_table_mut().unwrap(),
            section => section.as_table_mut().unwrap(),
        };
        table.insert(key.to_owned(), value.into());
        self
    }

    /// What `section.key` is set to.
    pub fn get(&self, key: &str) -> toml::Value {
        let (section, key) = key.split_once('.').unwrap();
        self.toml[section][key].clone()
    }

    /// TLS too, and an `https` origin.
    pub fn https(mut self) -> Setup {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        self.toml.insert("origin".into(), format!("https://{HOST}").into());
        self.https = true;
        self.set("listen.https", vec!["127.0.0.1:0"]).set("listen.cert", cert).set("listen.key", key)
    }

    /// Signs in against this simulator.
    pub fn wecom(self, sim: &str) -> Setup {
        self.set("wecom.api_base", sim)
            .set("wecom.authorize_url", format!("{sim}/connect/oauth2/authorize"))
            .set("wecom.web_login_url", format!("{sim}/wwlogin/sso/login"))
    }

    pub async fn start(&self) -> Gate {
        let conf = self.dir.path().join("gate.toml");
        std::fs::write(&conf, self.toml.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wecom-gate"))
            .args(["run", "--conf"])
            .arg(&conf)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output: Arc<Mutex<String>> = Arc::default();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let pipes: [Box<dyn std::io::Read + Send>; 2] = [Box::new(stdout), Box::new(stderr)];
        for pipe in pipes {
            let output = output.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    let mut all = output.lock().unwrap();
                    all.push_str(&String::from_utf8_lossy(&line));
                    all.push('\n');
                }
            });
        }
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gate = Gate { child, http: unbound, https: unbound, ops: unbound, output };
        for _ in 0..500 {
            let bound = |scheme| gate.listening(scheme);
            if let (Some(http), Some(ops)) = (bound("http"), bound("ops")) {
                let https = bound("https").unwrap_or(unbound);
                (gate.http, gate.https, gate.ops) = (http, https, ops);
                return gate;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the gate does not start:\n{}", gate.output());
    }

    fn cookies(&self) -> SessionCookies {
        let ring = Keyring::new(&[SecretSlice::from(key_bytes().to_vec())]).unwrap();
        let limits =
            Limits { idle: Duration::from_secs(12 * 3600), absolute: Duration::from_secs(7 * 24 * 3600) };
        let company = wecom_gate::session::record::Company { entry: "wecom".into(), corp_id: CORP.into() };
        SessionCookies::new(Arc::new(ring), Names::new(self.https), limits, vec![company])
    }

    /// A TLS connection to the gate that speaks this protocol.
    pub async fn tls(&self, gate: &Gate, alpn: &str) -> TlsStream<TcpStream> {
        let pem = std::fs::read(self.dir.path().join("cert.pem")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let tcp = TcpStream::connect(gate.https).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    /// An HTTP/2 connection to the gate.
    pub async fn h2(&self, gate: &Gate) -> H2 {
        let (client, connection) = h2::client::handshake(self.tls(gate, "h2").await).await.unwrap();
        tokio::spawn(connection);
        H2(client)
    }

    /// Somebody who has signed in on another node that shares the keys.
    pub fn visitor(&self) -> Visitor {
        self.visitor_seen_ago(Duration::ZERO)
    }

    /// The same, some time ago.
    pub fn visitor_seen_ago(&self, ago: Duration) -> Visitor {
        let member = Member {
            entry: "wecom".into(),
            corp_id: CORP.into(),
            userid: "zhangsan".into(),
            name: "张三".into(),
            user_id: 7,
            locale: None,
        };
        let now = (SystemTime::now() - ago).into();
        let session = Session::begin(member, now).unwrap();
        let line = self.cookies().write(&session, now).unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        Visitor { cookie, phantom: session.phantom.text(), session }
    }
}

/// One HTTP/2 connection.
#[derive(Clone)]
pub struct H2(h2::client::SendRequest<Bytes>);

impl H2 {
    /// Sends a request whose body is these DATA frames, the last of which ends the stream; no frame: no body. The
    /// status is 0 when the stream is reset.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        frames: &[&[u8]],
    ) -> (u16, HeaderMap) {
        let mut request = http::Request::builder().method(method).uri(format!("https://{HOST}{path}"));
        for (name, value) in headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let failed = (0, HeaderMap::new());
        let Ok(mut client) = self.0.clone().ready().await else { return failed };
        let Ok((response, mut body)) = client.send_request(request.body(()).unwrap(), frames.is_empty())
        else {
            return failed;
        };
        for (i, frame) in frames.iter().enumerate() {
            // Apart in time, so that they are read one by one.
            tokio::time::sleep(Duration::from_millis(30)).await;
            if body.send_data(Bytes::copy_from_slice(frame), i + 1 == frames.len()).is_err() {
                break;
            }
        }
        match tokio::time::timeout(Duration::from_secs(10), response).await {
            Ok(Ok(response)) => (response.status().as_u16(), response.headers().clone()),
            _ => failed,
        }
    }
}

/// A gate that runs; dropped, it is killed.
pub struct Gate {
    child: Child,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub ops: SocketAddr,
    output: Arc<Mutex<String>>,
}

impl Gate {
    /// Everything that it wrote so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// It lives and serves.
    pub async fn is_well(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
            && talk(self.ops, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.status() == 200
    }

    fn listening(&self, scheme: &str) -> Option<SocketAddr> {
        self.output().lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["event"] == "listening" && line["scheme"] == scheme)
                .then(|| line["address"].as_str()?.parse().ok())?
        })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gate in front of a recording upstream.
pub async fn gate() -> (Upstream, Setup, Gate) {
    gate_with(|s| s).await
}

pub async fn gate_with(change: impl FnOnce(Setup) -> Setup) -> (Upstream, Setup, Gate) {
    let upstream = Upstream::start().await;
    let setup = change(Setup::new(upstream.address));
    let gate = setup.start().await;
    (upstream, setup, gate)
}
