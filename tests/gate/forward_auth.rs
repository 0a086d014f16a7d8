//! The examples in `conf/` for those who keep their own proxy, run as they are by the real nginx, Caddy and HAProxy; only
//! addresses are replaced.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use wecom_gate::nocobase::{Minter, UserId};

use crate::support::eventually;
use crate::support::raw::{self, Gate, Request, SECRET as NOCOBASE_SECRET, Setup, Upstream, send_raw};

/// What the examples have in its place.
const SECRET: &str = "change-this-secret";
const PROXIES: [&str; 3] = ["nginx", "caddy", "haproxy"];

/// A proxy that runs; dropped, it is ended.
struct Proxy {
    at: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    async fn start(name: &str, gate: &Gate, nocobase: SocketAddr) -> Proxy {
        Proxy::start_at(free(), name, gate.http, gate.ops, nocobase).await
    }

    async fn start_at(
        at: SocketAddr,
        name: &str,
        gate: SocketAddr,
        ops: SocketAddr,
        nocobase: SocketAddr,
    ) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, more: &[(&str, &str)]| {
            let mut text =
                std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(file))
                    .unwrap();
            let addresses = [("127.0.0.1:8080", gate.to_string()), ("127.0.0.1:13000", nocobase.to_string())];
            let addresses = addresses.iter().map(|(from, to)| (*from, to.as_str()));
            for (from, to) in addresses.chain(more.iter().copied()) {
                text = text.replace(from, to);
            }
            let path = dir.path().join(file);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let here = dir.path().to_str().unwrap();
        let mut command = match name {
            "nginx" | "nginx in front" | "nginx behind" => {
                let file = match name {
                    "nginx" => "nginx-auth-request.conf",
                    "nginx in front" => "nginx-in-front.conf",
                    _ => "nginx-behind.conf",
                };
                let listen = format!("listen {at};");
                let files = [("/opt/nocobase/node_modules/@nocobase/app/dist/client", here)];
                let conf =
                    write(file, &[("listen 80;", &listen), ("listen 127.0.0.1:8090;", &listen), files[0]]);
                std::fs::create_dir(dir.path().join("assets")).unwrap();
                std::fs::write(dir.path().join("assets/index-1.js"), "from the disk").unwrap();
                let whole = format!(
                    "daemon off; master_process off; pid {here}/pid; error_log {here}/log;\nevents {{}}\nhttp {{\n\
                     access_log off; include /etc/nginx/mime.types; client_body_temp_path {here}/b; proxy_temp_path {here}/p;\n\
                     fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n\
                     include {conf};\n}}\n"
                );
                std::fs::write(dir.path().join("nginx.conf"), whole).unwrap();
                let mut command = Command::new("/usr/sbin/nginx");
                command.args(["-p", here, "-e", &format!("{here}/log"), "-c", &format!("{here}/nginx.conf")]);
                command
            }
            "caddy" => {
                let site = format!("http://gate.test:{} {{\n\tbind 127.0.0.1", at.port());
                let conf = write("Caddyfile", &[("nocobase.example.com {", &site)]);
                let mut command = Command::new("/usr/bin/caddy");
                command.args(["run", "--config", &conf, "--adapter", "caddyfile"]);
                command.env("HOME", here).env("XDG_DATA_HOME", here).env("XDG_CONFIG_HOME", here);
                command
            }
            _ => {
                let lua = write("haproxy-forward-auth.lua", &[]);
                let more = [
                    ("/etc/haproxy/haproxy-forward-auth.lua", lua.as_str()),
                    ("bind :80", &format!("bind {at}")),
                    ("check port 9090 inter 2s", &format!("check port {} inter 50ms", ops.port())),
                    // Without it a check that takes longer than `inter` has failed: on a busy machine many do.
                    ("option httpchk", "timeout check 10s\n    option httpchk"),
                ];
                let mut command = Command::new("/usr/sbin/haproxy");
                command.args(["-db", "-f", &write("haproxy.cfg", &more)]);
                command
            }
        };
        let log = std::fs::File::create(dir.path().join("output")).unwrap();
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}; try `make packages`"));
        for _ in 0..1500 {
            if tokio::net::TcpStream::connect(at).await.is_ok() {
                return Proxy { at, child, _dir: dir };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{name}: {status}: {}", output(dir.path()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _ = child.kill();
        panic!("{name} does not listen: {}", output(dir.path()));
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn output(dir: &Path) -> String {
    ["output", "log"].map(|file| std::fs::read_to_string(dir.join(file)).unwrap_or_default()).concat()
}

async fn stage(change: impl FnOnce(Setup) -> Setup) -> (Upstream, Setup, Gate) {
    raw::gate_with(|setup| {
        change(
            setup
                .set("access.trusted_proxies", vec!["127.0.0.1"])
                .set("access.forward_auth_secret", SECRET)
                .set("wecom.verify_files", vec!["WW_verify_7rG3kjVbXHngiald.txt"]),
        )
    })
    .await
}

fn api_key() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    Minter::new(NOCOBASE_SECRET.as_bytes()).service(UserId::new(3).unwrap(), now).unwrap().as_str().to_owned()
}

/// The upstream tells requests of clients from the gate's own calls by their id.
fn request(method: &str, target: &str, headers: &str) -> String {
    raw::request(method, target, &format!("X-Request-Id: of-a-test\r\n{headers}"))
}

fn get(target: &str, headers: &str) -> String {
    request("GET", target, headers)
}

/// The one request that arrived.
fn only(upstream: &Upstream, what: &str) -> Request {
    let mut all = upstream.take();
    assert_eq!(all.len(), 1, "{what}: {all:?}");
    all.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_work_through_other_proxies() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    let others = format!("Cookie: theme=dark; {}; a=1\r\n", member.cookie);
    for name in PROXIES {
        let proxy = Proxy::start(name, &gate, upstream.address).await;
        let call = format!("{others}Authorization: Bearer {}\r\n", member.phantom);

        let response = send_raw(proxy.at, get("/api/users:list?page=2", &call)).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        assert!(!response.text().contains("ey"), "{name}: a token was sent: {}", response.text());
        let seen = only(&upstream, name);
        assert_eq!(seen.target(), "/api/users:list?page=2", "{name}");
        assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{name}: {}", seen.head);
        assert_eq!(seen.all("cookie"), ["theme=dark; a=1"], "{name}: {}", seen.head);
        assert_eq!(seen.all("x-wecom-user"), ["zhangsan"], "{name}: {}", seen.head);
        assert_eq!(seen.all("x-wecom-gate-secret"), Vec::<&str>::new(), "{name}: {}", seen.head);
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{name}: {}", seen.head);
        assert!(!seen.head.contains(&member.phantom), "{name}: {}", seen.head);

        let body = "x".repeat(100_000);
        let head = format!("{call}Origin: http://gate.test\r\nContent-Length: {}\r\n", body.len());
        let response = send_raw(proxy.at, request("POST", "/api/orders:create", &head) + &body).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        let seen = only(&upstream, name);
        assert_eq!(
            (seen.line(), seen.body.len()),
            ("POST /api/orders:create HTTP/1.1", body.len()),
            "{name}"
        );
        assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{name}: {}", seen.head);

        // The cookie alone is no credential for NocoBase, here as in front (CSRF).
        let response = send_raw(proxy.at, get("/api/users:list", &others)).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        let seen = only(&upstream, name);
        assert!(seen.header("authorization").unwrap_or_default().is_empty(), "{name}: {}", seen.head);

        // Programs.
        let key = api_key();
        let response = send_raw(proxy.at, get("/api/x", &format!("Authorization: Bearer {key}\r\n"))).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        assert_eq!(
            only(&upstream, name).header("authorization"),
            Some(format!("Bearer {key}").as_str()),
            "{name}"
        );

        // What NocoBase says about tokens stays behind the proxy.
        upstream.set_response(
            "/api/renews",
            "200 OK",
            "Set-Cookie: nb_auth_token_main=eyReal\r\nX-New-Token: eyReal\r\n",
            "{}",
        );
        let response = send_raw(proxy.at, get("/api/renews", &call)).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        assert!(!response.text().contains("eyReal"), "{name}: {}", response.text());
        assert_eq!(only(&upstream, name).target(), "/api/renews");

        // Through the gate: the WebSocket, signing in, WeCom's file.
        let tunnel = format!("{others}Origin: http://gate.test\r\n");
        let response = send_raw(proxy.at, raw::upgrade("/ws", &tunnel)).await;
        assert_eq!(response.status(), 101, "{name}: {}", response.text());
        assert!(!only(&upstream, name).head.contains("wecom_gate="), "{name}");
        let page = format!("Accept: text/html\r\nUser-Agent: {}\r\n", raw::WECOM);
        let response = send_raw(proxy.at, get("/admin", &page)).await;
        assert!(
            response.header("location").unwrap().contains("oauth2/authorize"),
            "{name}: {}",
            response.text()
        );
        let response = send_raw(proxy.at, get("/WW_verify_7rG3kjVbXHngiald.txt", "")).await;
        assert_eq!((response.status(), response.body().as_str()), (200, "7rG3kjVbXHngiald"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_whatever_they_send() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    // R3: neither what the client says about the path nor what the proxy passes on of it changes anything.
    let lies = "X-Original-URI: /api/public\r\nX-Forwarded-Uri: /api/public\r\nX-Original-URL: /api/public\r\n\
                X-Forwarded-Method: OPTIONS\r\nX-Original-Method: OPTIONS\r\n";
    for name in PROXIES {
        let proxy = Proxy::start(name, &gate, upstream.address).await;
        for headers in [
            String::new(),
            lies.to_owned(),
            format!("X-WeCom-Gate-Secret: {SECRET}\r\nX-WeCom-User: boss\r\nX-Forwarded-User: 1\r\n"),
            format!("Authorization: Bearer {}\r\n", member.phantom),
            format!("Authorization: Bearer {}x\r\n", api_key()),
            format!("{}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", member.lines()),
        ] {
            let response = send_raw(proxy.at, get("/api/secret", &headers)).await;
            assert_eq!(response.status(), 401, "{name}, {headers}: {}", response.text());
            assert_eq!(response.header("x-wecom-gate-login").as_deref(), Some("/wecom-gate/login"), "{name}");
            assert!(upstream.take().is_empty(), "{name}, {headers}");
        }
        // The response that is for the proxy only.
        for path in ["/wecom-gate/auth", "/wecom-gate/auth?x=1", "/.wecom-gate-auth", "/%77ecom-gate/auth"] {
            let headers = format!("{}X-WeCom-Gate-Secret: {SECRET}\r\n", member.lines());
            let response = send_raw(proxy.at, get(path, &headers)).await;
            assert!(!response.text().contains("Bearer"), "{name}, {path}: {}", response.text());
            assert!(response.header("authorization").is_none(), "{name}, {path}: {}", response.text());
        }
        upstream.take();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_preflights_pass_through_other_proxies_anonymously() {
    for (preflights, status) in [(true, 200), (false, 401)] {
        let (upstream, setup, gate) = stage(|s| s.set("access.preflights", preflights)).await;
        for name in PROXIES {
            let proxy = Proxy::start(name, &gate, upstream.address).await;
            let headers = "Origin: https://other.test\r\nAccess-Control-Request-Method: POST\r\n\
                           Access-Control-Request-Headers: authorization\r\n";
            let response = send_raw(proxy.at, request("OPTIONS", "/api/orders:list", headers)).await;
            assert_eq!(response.status(), status, "{name}: {}", response.text());
            let seen = upstream.take();
            assert_eq!(seen.len(), usize::from(preflights), "{name}");
            for seen in seen {
                assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None), "{name}");
            }
            // A method that is only named changes nothing, and a program is no browser.
            for (method, headers) in [
                ("POST", headers.to_owned() + "X-Forwarded-Method: OPTIONS\r\n"),
                ("GET", headers.to_owned() + "X-HTTP-Method-Override: OPTIONS\r\n"),
                ("OPTIONS", "Origin: https://other.test\r\n".to_owned()),
                ("OPTIONS", "Access-Control-Request-Method: POST\r\n".to_owned()),
            ] {
                let response = send_raw(proxy.at, request(method, "/api/orders:list", &headers)).await;
                assert_eq!(response.status(), 401, "{name} {method} {headers}: {}", response.text());
                assert!(upstream.take().is_empty(), "{name} {method} {headers}");
            }
        }
        let _ = setup;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_clients_are_stripped_by_other_proxies() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    let lies: String = [
        "X-WeCom-User",
        "x-wecom-user",
        "X_WeCom_User",
        "x.wecom.user",
        "X-WeCom-Corp",
        "X-WeCom-Entry",
        "X-WeCom-Name",
        "X-Forwarded-User",
        "X_Forwarded_User",
        "Forwarded",
        "X-Real-IP",
        "X-WeCom-Gate-Secret",
        "X-WeCom-Gate-Cookie",
        "X-Forwarded-For",
    ]
    .map(|header| format!("{header}: spoofed\r\n{header}: spoofed\r\n"))
    .concat();
    for name in PROXIES {
        let proxy = Proxy::start(name, &gate, upstream.address).await;
        for (credentials, users) in [
            (member.lines(), vec!["zhangsan"]),
            (member.cookie_line(), vec!["zhangsan"]),
            (format!("Authorization: Bearer {}\r\n", api_key()), vec![]),
        ] {
            let response = send_raw(proxy.at, get("/api/x", &format!("{lies}{credentials}"))).await;
            assert_eq!(response.status(), 200, "{name}: {}", response.text());
            let seen = only(&upstream, name);
            assert!(!seen.head.contains("spoofed"), "{name}: {}", seen.head);
            let said: Vec<&str> = seen.all("x-wecom-user").into_iter().filter(|v| !v.is_empty()).collect();
            assert_eq!(said, users, "{name}: {}", seen.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_proxy_gets_the_token() {
    let ask = |setup: &Setup, secret: &str| {
        get("/wecom-gate/auth", &format!("{}{secret}", setup.visitor().lines()))
    };
    let right = format!("X-WeCom-Gate-Secret: {SECRET}\r\n");
    let (_upstream, setup, gate) = stage(|s| s).await;
    let response = send_raw(gate.http, ask(&setup, &right)).await;
    assert!(response.header("authorization").unwrap().starts_with("Bearer ey"), "{}", response.text());
    for wrong in [
        String::new(),
        "X-WeCom-Gate-Secret: \r\n".to_owned(),
        format!("X-WeCom-Gate-Secret: {SECRET}x\r\n"),
        format!("{right}{right}"),
        format!("X_WeCom_Gate_Secret: {SECRET}\r\n"),
    ] {
        let response = send_raw(gate.http, ask(&setup, &wrong)).await;
        assert_eq!(response.status(), 204, "{wrong}: {}", response.text());
        assert!(response.header("authorization").is_none(), "{wrong}: {}", response.text());
        assert_eq!(response.header("x-wecom-user").as_deref(), Some("zhangsan"), "{wrong}");
    }
    // A peer that is no trusted proxy, whatever it knows; and a gate that has no secret.
    let (_upstream, setup, gate) = stage(|s| s.set("access.trusted_proxies", vec!["10.0.0.1"])).await;
    let response = send_raw(gate.http, ask(&setup, &right)).await;
    assert!(response.header("authorization").is_none(), "{}", response.text());
    let (_upstream, setup, gate) =
        raw::gate_with(|s| s.set("access.trusted_proxies", vec!["127.0.0.1"])).await;
    let response = send_raw(gate.http, ask(&setup, "X-WeCom-Gate-Secret: \r\n")).await;
    assert!(response.header("authorization").is_none(), "{}", response.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_in_front_passes_everything_through_the_gate() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    let proxy = Proxy::start("nginx in front", &gate, upstream.address).await;
    let lines = format!("{}X-Forwarded-For: 203.0.113.9\r\n", member.lines());
    let response = send_raw(proxy.at, raw::get("/api/users:list?page=2", &lines)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let seen = upstream.take();
    let seen = seen.iter().find(|r| r.target() == "/api/users:list?page=2").expect("it reaches NocoBase");
    assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{}", seen.head);
    assert_eq!(send_raw(proxy.at, raw::get("/api/users:list", "")).await.status(), 401);
    let page = format!("User-Agent: {}\r\nAccept: text/html\r\n", raw::WECOM);
    let login = send_raw(proxy.at, raw::get("/admin", &page)).await;
    assert_eq!(login.status(), 302, "{}", login.text());
    let file = send_raw(proxy.at, raw::get("/WW_verify_7rG3kjVbXHngiald.txt", "")).await;
    assert_eq!((file.status(), file.body().as_str()), (200, "7rG3kjVbXHngiald"));
    let tunnel = send_raw(proxy.at, raw::upgrade("/ws-public", "")).await;
    assert_eq!(tunnel.status(), 101, "{}", tunnel.text());
    // The client's word about its address does not count; nginx's does.
    let lines = gate.wait_for_lines("event", "request", 4).await;
    assert!(lines.iter().all(|l| l["client"] == "127.0.0.1"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_behind_serves_files_and_passes_on_the_rest() {
    let at = free();
    let (upstream, setup, gate) =
        stage(|s| s.set("upstream.nodes", vec![at.to_string()]).set("nocobase.identity_headers", true)).await;
    let member = setup.visitor();
    let proxy = Proxy::start_at(at, "nginx behind", gate.http, gate.ops, upstream.address).await;
    let lines = format!("{}X-Forwarded-For: 203.0.113.9\r\nX-WeCom-User: boss\r\n", member.lines());

    let response = send_raw(gate.http, get("/api/users:list?page=2", &lines)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let seen = upstream.take();
    let seen = seen.iter().find(|r| r.target() == "/api/users:list?page=2").expect("it reaches NocoBase");
    assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{}", seen.head);
    assert_eq!(seen.all("x-wecom-user"), ["zhangsan"], "{}", seen.head);
    assert_eq!(seen.all("x-forwarded-for"), ["203.0.113.9"], "the gate trusts this test: {}", seen.head);
    assert_eq!(seen.all("host"), ["gate.test"], "{}", seen.head);

    let script = send_raw(gate.http, get("/assets/index-1.js", &lines)).await;
    assert_eq!((script.status(), script.body().as_str()), (200, "from the disk"), "{}", script.text());
    assert_eq!(script.header("content-type").as_deref(), Some("application/javascript"));
    assert!(
        upstream.take().iter().all(|r| !r.target().starts_with("/assets")),
        "it was not NocoBase's answer"
    );

    let tunnel = send_raw(
        gate.http,
        raw::upgrade("/ws", &format!("{}Origin: http://gate.test\r\n", member.cookie_line())),
    );
    let tunnel = tunnel.await;
    assert_eq!(tunnel.status(), 101, "{}", tunnel.text());
    assert_eq!(send_raw(gate.http, get("/api/users:list", "")).await.status(), 401);

    // NocoBase is away, nginx is not: pages wait, programs get Retry-After.
    upstream.take();
    drop(proxy);
    let _proxy = Proxy::start_at(at, "nginx behind", gate.http, gate.ops, free()).await;
    let response =
        send_raw(gate.http, request("POST", "/api/orders:create", &format!("{lines}Content-Length: 0\r\n")))
            .await;
    assert_eq!(
        (response.status(), response.header("retry-after").as_deref()),
        (503, Some("5")),
        "{}",
        response.text()
    );
    let page = format!("{lines}Accept: text/html\r\nUser-Agent: {}\r\n", raw::WECOM);
    let response = send_raw(gate.http, get("/admin", &page)).await;
    assert_eq!(response.status(), 503, "{}", response.text());
    assert!(response.body().contains("http-equiv=\"refresh\""), "{}", response.text());
}

/// Passes connections on to `ops`, and counts them.
async fn counted(ops: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let counter = counter.clone();
            tokio::spawn(async move {
                if let Ok(mut to) = tokio::net::TcpStream::connect(ops).await {
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    (at, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nocobase_balancers_go_on_serving_the_gates_own_pages() {
    let nobody = free();
    let setup = Setup::new(nobody).set("access.trusted_proxies", vec!["127.0.0.1"]);
    let gate = setup.start().await;
    let member = setup.visitor();
    eventually("NocoBase is away", async || {
        send_raw(gate.ops, raw::get("/readyz", "Connection: close\r\n")).await.status() == 503
    })
    .await;
    let (ops, checks) = counted(gate.ops).await;
    let balancers = ["haproxy", "nginx in front"];
    let mut proxies = Vec::new();
    for name in balancers {
        proxies.push(Proxy::start_at(free(), name, gate.http, ops, nobody).await);
    }
    // More than HAProxy needs to take a server away.
    eventually("HAProxy has checked the gate", async || checks.load(Ordering::SeqCst) >= 6).await;
    for (name, proxy) in balancers.iter().zip(&proxies) {
        let person = format!("Accept: text/html\r\nUser-Agent: {}\r\n", raw::WECOM);
        let response = send_raw(proxy.at, get("/admin", &person)).await;
        assert_eq!(response.status(), 302, "{name}: to WeCom: {}", response.text());
        let response = send_raw(proxy.at, get("/admin", &format!("{person}{}", member.cookie_line()))).await;
        assert_eq!(response.status(), 502, "{name}: {}", response.text());
        assert!(response.text().contains("wecom-gate"), "{name}: not the gate's page: {}", response.text());
        let response = send_raw(proxy.at, get("/wecom-gate/login?rd=/admin", &person)).await;
        assert!(matches!(response.status(), 200 | 302), "{name}: {}", response.text());
    }
    drop(gate);
    eventually("HAProxy takes away a gate that is gone", async || {
        send_raw(proxies[0].at, get("/admin", "")).await.status() == 503
    })
    .await;
}
