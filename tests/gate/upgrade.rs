//! SIGUSR2: another program takes over while clients keep sending requests.

use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use h2::client::SendRequest;
use http::Method;
use nocobase_standin::free;
use rustls::pki_types::CertificateDer;

use crate::numbers::numbers;
use crate::support::load::Load;
use crate::support::output::parsed;
use crate::support::raw::{get, send_raw, tls};
use crate::support::{Gate, HOST, Stage, becomes, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_wecom-gate");

/// A gate started through a path that can be changed to another program. Dropped, whatever runs by then is killed.
struct Replaceable {
    stage: Stage,
    dir: tempfile::TempDir,
    https: SocketAddr,
    certificate: CertificateDer<'static>,
    heirs: Vec<u32>,
}

impl Replaceable {
    async fn start(environment: &[(&str, &str)]) -> Replaceable {
        let mut stage = Stage::start(|c| _ = c.set("access.public", vec!["GET /big/64"])).await;
        let dir = tempfile::tempdir().unwrap();
        symlink(PROGRAM, dir.path().join("wecom-gate")).unwrap();
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let https = free();
        stage.config.set("listen.https", vec![https.to_string()]);
        stage.config.set("listen.cert", cert.to_str().unwrap()).set("listen.key", key.to_str().unwrap());
        stage.config.set("listen.http", vec![free().to_string()]).set("listen.ops", free().to_string());
        stage.gate = Gate::start_program(&dir.path().join("wecom-gate"), &stage.config, environment).await;
        Replaceable { stage, dir, https, certificate: made.cert.der().clone(), heirs: Vec::new() }
    }

    /// From now on the path leads to this program.
    fn install(&self, program: &Path) {
        let new = self.dir.path().join("new");
        symlink(program, &new).unwrap();
        std::fs::rename(new, self.dir.path().join("wecom-gate")).unwrap();
    }

    /// A browser's HTTP/2 connection.
    async fn h2(https: SocketAddr, certificate: &CertificateDer<'static>) -> SendRequest<bytes::Bytes> {
        let tls = tls(https, &[certificate], HOST, Some("h2")).await.unwrap();
        let (client, connection) = h2::client::handshake(tls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    fn script(&self, text: &str) -> PathBuf {
        let (written, path) = (self.dir.path().join("script.sh"), self.dir.path().join("script"));
        std::fs::write(&written, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&written, std::fs::Permissions::from_mode(0o755)).unwrap();
        copy_program(&written, &path);
        path
    }

    /// Process ids of the successors, once there are this many.
    async fn taken(&self, count: usize) -> Vec<u32> {
        let lines = self.stage.gate.output().lines("another took over", count, has_taken_over).await;
        lines.iter().filter_map(|l| l["pid"].as_u64()).map(|pid| pid.try_into().unwrap()).collect()
    }

    fn current(&self) -> u32 {
        self.heirs.last().copied().unwrap_or_else(|| self.stage.gate.pid())
    }

    async fn upgrade(&mut self) {
        let old = self.current();
        signal("USR2", old);
        self.heirs = self.taken(self.heirs.len() + 1).await;
        if old == self.stage.gate.pid() {
            self.stage.gate.ended().await;
        } else {
            eventually("it ends", async || !Path::new(&format!("/proc/{old}")).exists()).await;
        }
    }
}

impl Drop for Replaceable {
    fn drop(&mut self) {
        for pid in &self.heirs {
            let _ = Command::new("kill")
                .arg("-KILL")
                .arg(pid.to_string())
                .stderr(std::process::Stdio::null())
                .status();
        }
    }
}

/// Is this the log line of a successor that has taken over?
fn has_taken_over(line: &serde_json::Value) -> bool {
    line["event"] == "upgrade" && line["pid"].is_u64()
}

/// Copies a program in another process: a child that another test starts meanwhile would inherit a file that this process has
/// open for writing, and such a file cannot be executed (`ETXTBSY`).
fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-L").arg(from).arg(to).status().unwrap().success());
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_while_a_new_program_takes_over() {
    let mut gate = Replaceable::start(&[]).await;
    let mut phone = gate.stage.signed_in("zhangsan").await;
    let load = Load::on(gate.stage.gate.http);
    let copy = gate.dir.path().join("version-two");
    copy_program(Path::new(PROGRAM), &copy);
    gate.install(&copy);
    for _ in 0..3 {
        load.continues().await;
        gate.upgrade().await;
        load.continues().await;
    }
    assert_eq!(gate.heirs.len(), 3);
    let runs = std::fs::read_link(format!("/proc/{}/exe", gate.current())).unwrap();
    assert_eq!(runs, copy.canonicalize().unwrap());
    // The operator's listener was handed over too, and no one was signed out.
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    becomes("it is ready", 1.0, async || numbers(&gate.stage).await["wecom_gate_ready"]).await;
    println!("{} requests over 3 upgrades", load.end().await);
    // The last one stops normally, and then nothing listens.
    signal("TERM", gate.current());
    eventually("it ends", async || !Path::new(&format!("/proc/{}", gate.current())).exists()).await;
    assert!(std::net::TcpStream::connect(gate.stage.gate.http).is_err());
}

/// A client may repeat what the server reports as not processed (RFC 9113, 8.7); nothing else may fail.
#[tokio::test(flavor = "multi_thread")]
async fn http2_connections_move_over_without_losing_a_request() {
    let mut gate = Replaceable::start(&[]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (stop, https, certificate) = (stop.clone(), gate.https, gate.certificate.clone());
            tokio::spawn(async move {
                let (mut done, mut connections) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let mut client = Replaceable::h2(https, &certificate).await;
                    connections += 1;
                    while !stop.load(Ordering::Relaxed) {
                        let Ok(ready) = client.ready().await else { break };
                        client = ready;
                        let uri = format!("https://{HOST}/big/64");
                        let Ok((response, _)) =
                            client.send_request(http::Request::get(uri).body(()).unwrap(), true)
                        else {
                            break;
                        };
                        match response.await {
                            Ok(response) => assert_eq!(response.status(), 200),
                            Err(e) if e.is_go_away() && e.reason() == Some(h2::Reason::NO_ERROR) => break,
                            Err(e) => panic!("lost: {e}"),
                        }
                        done += 1;
                    }
                }
                (done, connections)
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.upgrade().await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let (done, connections) = client.await.expect("no request fails");
        println!("{done} requests on {connections} connections over 3 upgrades");
        assert!(done > 20 && (4..=7).contains(&connections), "{done} {connections}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_serve_changes_nothing() {
    let gate = Replaceable::start(&[]).await;
    let (load, http) = (Load::on(gate.stage.gate.http), gate.stage.gate.http);
    // Ends at once; is not a program; reads an invalid configuration.
    gate.install(&gate.script("exit 3"));
    signal("USR2", gate.current());
    gate.stage.gate.wait_for_log(&["\"upgrade\"", "\"ERROR\"", "exit status: 3"]).await;
    gate.install(Path::new("/nonexistent"));
    signal("USR2", gate.current());
    gate.stage.gate.wait_for_log(&["\"upgrade\"", "\"ERROR\"", "does not start"]).await;
    gate.install(Path::new(PROGRAM));
    gate.stage.gate.rewrite("origin = 1");
    signal("USR2", gate.current());
    gate.stage.gate.wait_for_log(&["\"upgrade\"", "\"ERROR\"", "exit status: 78"]).await;
    load.continues().await;
    let log = gate.stage.gate.log_until_now().await;
    assert!(log.iter().all(|line| !has_taken_over(line)), "{log:?}");
    becomes("three failures are counted", (3.0, 1.0), async || {
        let seen = numbers(&gate.stage).await;
        let failed = seen[r#"wecom_gate_reloads_total{result="failed",what="program"}"#];
        (failed, seen[r#"wecom_gate_degraded{what="reload_program"}"#])
    })
    .await;
    assert_eq!(send_raw(http, get("/big/64", "")).await.status(), 200);
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_stopped_during_an_upgrade_leaves_no_successor() {
    let mut gate = Replaceable::start(&[]).await;
    let late = format!("sleep 1; echo late; exec '{PROGRAM}' \"$@\"");
    gate.install(&gate.script(&late));
    signal("USR2", gate.current());
    gate.stage.gate.wait_for_log(&["\"upgrade\""]).await;
    gate.stage.gate.end().await;
    gate.stage.gate.wait_for_log(&["no longer waits"]).await;
    eventually("nobody listens", async || std::net::TcpStream::connect(gate.stage.gate.http).is_err()).await;
    let log = parsed(&gate.stage.gate.stop());
    assert!(log.iter().all(|line| !has_taken_over(line)), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_gets_the_new_main_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut gate = Replaceable::start(&[("NOTIFY_SOCKET", path.to_str().unwrap())]).await;
    gate.upgrade().await;
    let mut said = Vec::new();
    for _ in 0..3 {
        let mut room = [0; 256];
        let n = socket.recv(&mut room).unwrap();
        said.push(String::from_utf8(room[..n].to_vec()).unwrap());
    }
    // The old process announces the new one, and the new one itself, in any order; neither reports that the service stops.
    said[1..].sort();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(socket.recv(&mut [0; 256]).is_err());
    let main = format!("MAINPID={}\n", gate.current());
    assert_eq!(said, ["READY=1\n", &main, "READY=1\n"]);
}
