//! The proxies: their example configurations with other addresses, and their processes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;

/// A running proxy; dropped, it is stopped.
pub(super) struct Proxy {
    pub(super) at: SocketAddr,
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
    pub(super) async fn start(name: &str, gate: &Process, nocobase: SocketAddr) -> Proxy {
        Proxy::start_at(free(), name, gate.http, gate.ops, nocobase).await
    }

    pub(super) async fn start_at(
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
            "traefik" => {
                let auth = free().to_string();
                let health = format!("port: {}, interval: 50ms, timeout: 10s", ops.port());
                let routes = write(
                    "traefik-wecom-gate.yml",
                    &[
                        ("nocobase.example.com", raw::HOST),
                        ("127.0.0.1:8079", &auth),
                        ("port: 9090, interval: 2s, timeout: 2s", &health),
                    ],
                );
                let conf = write(
                    "traefik.yml",
                    &[
                        ("\":80\"", &format!("\"{at}\"")),
                        ("127.0.0.1:8079", &auth),
                        ("/etc/traefik/traefik-wecom-gate.yml", &routes),
                    ],
                );
                let mut command = Command::new(std::env::var_os("WECOM_GATE_TRAEFIK").unwrap());
                command.arg(format!("--configFile={conf}"));
                command
            }
            _ => {
                let lua = write("haproxy-forward-auth.lua", &[]);
                let more = [
                    ("/etc/haproxy/haproxy-forward-auth.lua", lua.as_str()),
                    ("bind :80", &format!("bind {at}")),
                    ("check port 9090 inter 2s", &format!("check port {} inter 50ms", ops.port())),
                    // The default timeout is `inter`: on a busy machine many checks would exceed it.
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
            // Traefik listens before it knows its routes.
            if tokio::net::TcpStream::connect(at).await.is_ok()
                && (name != "traefik" || send_raw(at, raw::get("/wecom-gate/me", "")).await.status() == 401)
            {
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

fn output(dir: &Path) -> String {
    ["output", "log"].map(|file| std::fs::read_to_string(dir.join(file)).unwrap_or_default()).concat()
}
