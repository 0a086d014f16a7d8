//! The gate as a process of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::output::parsed;
use super::{Config, Output};

/// A running gate; dropped, it is killed.
pub struct Gate {
    pub http: SocketAddr,
    pub ops: SocketAddr,
    child: Child,
    output: Output,
    config: tempfile::NamedTempFile,
}

impl Gate {
    /// Starts it, and waits until it listens.
    pub async fn start(config: &Config) -> Gate {
        Self::start_with(config, &[]).await
    }

    /// The same with these variables in its environment.
    pub async fn start_with(config: &Config, environment: &[(&str, &str)]) -> Gate {
        Self::start_program(&super::program(), config, environment).await
    }

    /// Starts it by this name of it.
    pub async fn start_program(program: &Path, config: &Config, environment: &[(&str, &str)]) -> Gate {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(config.text().as_bytes()).unwrap();
        let mut command = Command::new(program);
        command.args(["run", "--conf"]).arg(file.path()).env_clear().stdin(Stdio::null());
        command.envs(environment.iter().copied());
        Self::launch(command, file).await
    }

    /// Starts it as systemd does when it holds the public socket itself.
    pub async fn start_on(config: &Config, socket: &std::net::TcpListener) -> Gate {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(config.text().as_bytes()).unwrap();
        let mut command = Command::new("/bin/sh");
        let take = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" run --conf \"$1\"";
        command.args(["-c", take, env!("CARGO_BIN_EXE_wecom-gate")]).arg(file.path()).env_clear();
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap())));
        Self::launch(command, file).await
    }

    async fn launch(mut command: Command, file: tempfile::NamedTempFile) -> Gate {
        super::few_roots(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Output::of(&mut child);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gate = Gate { http: nowhere, ops: nowhere, child, output, config: file };
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let address = |scheme| gate.output.listens(scheme);
            if let (Some(http), Some(ops)) = (address("http"), address("ops")) {
                (gate.http, gate.ops) = (http, ops);
                return gate;
            }
            if let Some(status) = gate.child.try_wait().unwrap() {
                panic!("the gate ended with {status}:\n{}", gate.output());
            }
            assert!(Instant::now() < until, "the gate does not listen:\n{}", gate.output());
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
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Writes another configuration file in place of the one it was started with.
    pub fn rewrite(&self, text: &str) {
        std::fs::write(self.config.path(), text).unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub async fn end(&mut self) {
        self.signal("TERM");
        self.ended().await;
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) {
        let until = Instant::now() + Duration::from_secs(40);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not end:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills the process, unless it has ended; everything that it ever wrote.
    pub fn stop(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.output.whole()
    }

    /// What it writes.
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

    /// Everything that it wrote before a response that the test has received, see [`Output::until_now`].
    pub async fn written_until_now(&self) -> String {
        self.output.until_now(self.http).await
    }

    /// The log lines among these.
    pub async fn log_until_now(&self) -> Vec<Value> {
        parsed(&self.written_until_now().await)
    }

    /// Stops it gracefully; everything that it ever wrote.
    pub async fn everything_written(&mut self) -> String {
        self.end().await;
        self.stop()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
