//! The gate as a process.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Setup, send_raw};
use crate::support::output::parsed;
use crate::support::{Output, PATIENCE};
use serde_json::Value;

impl Setup {
    pub async fn start(&self) -> Gate {
        let mut child = self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Output::of(&mut child);
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gate = Gate { child, http: unbound, https: unbound, ops: unbound, output };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let bound = |scheme| gate.output.listens(scheme);
            if let (Some(http), Some(ops)) = (bound("http"), bound("ops")) {
                let https = bound("https").unwrap_or(unbound);
                (gate.http, gate.https, gate.ops) = (http, https, ops);
                return gate;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the gate does not start:\n{}", gate.output());
    }
}

/// A gate that runs; dropped, it is killed.
pub struct Gate {
    child: Child,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub ops: SocketAddr,
    output: Output,
}

impl Gate {
    /// Sends a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(format!("-{name}")).arg(pid).status().unwrap().success());
    }

    /// What it writes.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Waits until at least this many log lines have this value in this field; all of them.
    pub async fn wait_for_lines(&self, field: &str, value: &str, count: usize) -> Vec<Value> {
        self.output.lines(&format!("{field} = {value}"), count, |l| l[field] == value).await
    }

    /// Everything that it wrote before a response that the test has received, see [`Output::until_now`].
    pub async fn written_until_now(&self) -> String {
        self.output.until_now(self.http).await
    }

    /// The log lines among these.
    pub async fn log_until_now(&self) -> Vec<Value> {
        parsed(&self.written_until_now().await)
    }

    /// It lives, serves, and no thread of it has panicked.
    pub async fn is_unharmed(&mut self, what: &str) {
        assert!(self.is_alive().await, "{what}: {}", self.output);
        assert!(!self.written_until_now().await.contains("panicked"), "{what}: {}", self.output);
    }

    /// The same, once and for all: afterwards it is gone. Needs no access log.
    pub async fn ends_unharmed(&mut self, what: &str) {
        assert!(self.is_alive().await, "{what}: {}", self.output);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let written = self.output.whole();
        assert!(!written.contains("panicked"), "{what}: {written}");
    }

    /// Its soft limit of open files.
    pub fn most_files(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|l| l.strip_prefix("Max open files")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sets it.
    pub fn limit_files(&self, most: u64) {
        let (pid, most) = (self.child.id().to_string(), format!("--nofile={most}:"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &most]).status().unwrap().success());
    }

    /// How many files it has open, connections included.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Resident memory, KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// CPU time used so far, of all threads, in hundredths of a second.
    pub fn cpu(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Asks it to end, and waits until it has.
    pub async fn end(&mut self) {
        self.signal("TERM");
        crate::support::eventually("the gate ends", async || self.child.try_wait().unwrap().is_some()).await;
    }

    /// It lives and serves.
    pub async fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
            && send_raw(self.ops, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.status() == 200
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
