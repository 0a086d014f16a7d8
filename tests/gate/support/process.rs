//! A gate as a process: where it listens, and its output.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::output::parsed;
use super::{Output, PATIENCE};

/// A running gate; dropped, it is killed.
pub struct Process {
    /// Port 0 where it has none.
    pub http: SocketAddr,
    /// Port 0 without HTTPS.
    pub https: SocketAddr,
    pub ops: SocketAddr,
    pub(super) child: Child,
    pub(super) output: Output,
}

impl Process {
    /// Starts it, and waits until it listens.
    pub(super) async fn start(mut command: Command) -> Process {
        super::few_roots(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Output::of(&mut child);
        let unbound = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Process { http: unbound, https: unbound, ops: unbound, child, output };
        let until = Instant::now() + PATIENCE;
        loop {
            let address = |scheme| process.output.listens(scheme);
            // The operator's is the last of them.
            if let Some(ops) = address("ops") {
                process.http = address("http").unwrap_or(unbound);
                process.https = address("https").unwrap_or(unbound);
                process.ops = ops;
                return process;
            }
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("the gate ended with {status}:\n{}", process.output);
            }
            assert!(Instant::now() < until, "the gate does not listen:\n{}", process.output);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Sends a signal, such as `TERM` or `HUP`.
    pub fn signal(&self, name: &str) {
        send_signal(self.pid(), name);
    }

    /// Its output.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Waits for a log line that contains all of these.
    pub async fn wait_for_log(&self, parts: &[&str]) -> String {
        self.output.line(parts).await
    }

    /// Waits until at least this many log lines have this value in this field; all of them.
    pub async fn wait_for_lines(&self, field: &str, value: &str, count: usize) -> Vec<Value> {
        self.output.lines(&format!("{field} = {value}"), count, |l| l[field] == value).await
    }

    /// Its output before a response that the test has received, see [`Output::until_now`].
    pub async fn written_until_now(&self) -> String {
        self.output.until_now(self.http).await
    }

    /// The log lines of that output.
    pub async fn log_until_now(&self) -> Vec<Value> {
        parsed(&self.written_until_now().await)
    }

    /// Sends SIGTERM, and waits until it has ended.
    pub async fn end(&mut self) {
        self.signal("TERM");
        self.ended().await;
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) {
        let until = Instant::now() + Duration::from_secs(40);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not end:\n{}", self.output);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops it gracefully; its whole output.
    pub async fn everything_written(&mut self) -> String {
        self.end().await;
        self.stop()
    }

    /// Kills it, unless it has ended; its whole output.
    pub fn stop(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.output.whole()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal. After `STOP` it waits until every thread has stopped: until then a process accepts connections.
pub fn send_signal(pid: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
    assert!(sent.success());
    let until = Instant::now() + Duration::from_secs(30);
    while name == "STOP" && !stands_still(pid) {
        assert!(Instant::now() < until, "process {pid} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stands_still(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    // A thread that has ended meanwhile has no state.
    threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok()).all(
        |stat| {
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            matches!(state, Some('T' | 'Z' | 'X'))
        },
    )
}
