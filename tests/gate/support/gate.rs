//! The gate as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::{Config, PATIENCE};

/// A running gate; dropped, it is killed.
pub struct Gate {
    pub http: SocketAddr,
    pub ops: SocketAddr,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    config: tempfile::NamedTempFile,
}

impl Gate {
    /// Starts it, and waits until it listens.
    pub async fn start(config: &Config) -> Gate {
        Self::start_with(config, &[]).await
    }

    /// The same with these variables in its environment.
    pub async fn start_with(config: &Config, environment: &[(&str, &str)]) -> Gate {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_wecom-gate")), config, environment).await
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
        let lines = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            collect(child.stdout.take().unwrap(), lines.clone()),
            collect(child.stderr.take().unwrap(), lines.clone()),
        ];
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gate = Gate { http: nowhere, ops: nowhere, child, lines, readers, config: file };
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let address = |scheme| gate.listens(scheme);
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

    /// The address it says it listens on, in either format of the log.
    fn listens(&self, scheme: &str) -> Option<SocketAddr> {
        if let Some(said) = self.log_where("event", "listening").iter().find(|l| l["scheme"] == scheme) {
            return said["address"].as_str()?.parse().ok();
        }
        let (output, mark) = (self.output(), format!("scheme=\"{scheme}\""));
        let line = output.lines().find(|l| l.contains("listening") && l.contains(&mark))?;
        line.split("address=").nth(1)?.split_whitespace().next()?.parse().ok()
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

    /// Ends the process, and waits until all it wrote has been read.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }

    /// All it has written so far, logs and everything else.
    pub fn output(&self) -> String {
        self.lines.lock().join("\n")
    }

    /// Its log so far.
    pub fn log(&self) -> Vec<Value> {
        self.lines.lock().iter().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    /// Lines of its log in which this field has this value.
    pub fn log_where(&self, field: &str, value: &str) -> Vec<Value> {
        self.log().into_iter().filter(|l| l[field] == value).collect()
    }

    /// Waits for a log line that contains all of these; logs are written by a thread of their own.
    pub async fn wait_for_log(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.lines.lock().iter().find(|l| parts.iter().all(|p| l.contains(p))).cloned();
            if let Some(line) = found {
                return line;
            }
            assert!(Instant::now() < deadline, "no log line with {parts:?} in:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until at least this many log lines have this value in this field; all of them.
    pub async fn wait_for_lines(&self, field: &str, value: &str, count: usize) -> Vec<Value> {
        let enough = async || self.log_where(field, value).len() >= count;
        super::eventually(&format!("{count} log lines with {field} = {value}"), enough).await;
        self.log_where(field, value)
    }

    /// Its log with everything that was written before a response that the test has received: lines come in order, and
    /// the line of a request that is sent now is there. (The line of a request itself is written after its response.)
    pub async fn log_until_now(&self) -> Vec<Value> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = format!("/wecom-gate/marker-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        assert_ne!(super::raw::talk(self.http, super::raw::get(&path, "")).await.status(), 0);
        self.wait_for_lines("path", &path, 1).await;
        self.log()
    }

    /// Stops it gracefully; everything that it ever wrote.
    pub async fn everything_written(&mut self) -> String {
        self.end().await;
        self.stop();
        self.output()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(pipe: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            lines.lock().push(line);
        }
    })
}
