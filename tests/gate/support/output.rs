//! The output of a gate: its log, and everything else.
//!
//! A request's line is written after its response, by another thread, so no output can be read once and compared: a test waits
//! for what it expects, or reads what was written before the line of a request that it sends now.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::PATIENCE;
use super::raw::{get, send_raw};

/// Standard output and standard error of a process. `Display` shows what there is so far, for failure messages.
pub struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Output {
    /// Reads both pipes of this process.
    pub(super) fn of(child: &mut Child) -> Output {
        let lines = Arc::default();
        let readers = vec![
            collect(child.stdout.take().unwrap(), &lines),
            collect(child.stderr.take().unwrap(), &lines),
        ];
        Output { lines, readers }
    }

    fn find<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.lines.lock().iter().find_map(|line| find(line))
    }

    fn all(&self) -> Vec<Value> {
        self.lines.lock().iter().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    /// The address on which it listens, once the log contains it, in either format.
    pub(super) fn listens(&self, scheme: &str) -> Option<SocketAddr> {
        let mark = format!("scheme=\"{scheme}\"");
        self.find(|text| match serde_json::from_str::<Value>(text) {
            Ok(line) => {
                let found = line["event"] == "listening" && line["scheme"] == scheme;
                found.then(|| line["address"].as_str()?.parse().ok())?
            }
            Err(_) if text.contains("listening") && text.contains(&mark) => {
                text.split("address=").nth(1)?.split_whitespace().next()?.parse().ok()
            }
            Err(_) => None,
        })
    }

    /// Waits for a line that contains all of these.
    pub async fn line(&self, parts: &[&str]) -> String {
        let find = || self.find(|line| parts.iter().all(|p| line.contains(p)).then(|| line.to_owned()));
        self.wait(&format!("a line with {parts:?}"), find).await
    }

    /// Waits until at least this many log lines match; all of those.
    pub async fn lines(&self, what: &str, count: usize, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        assert!(count > 0, "nothing to wait for; see `until_now`");
        let find = || {
            let mut found = self.all();
            found.retain(&is);
            (found.len() >= count).then_some(found)
        };
        self.wait(&format!("{count} log lines, {what}"), find).await
    }

    async fn wait<T>(&self, what: &str, find: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = find() {
                return found;
            }
            assert!(Instant::now() < deadline, "never written: {what}, but:\n{self}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What was written before a response that the test has received: sends one more request, and waits for its line. (The line
    /// of a request itself is written after its response.) Needs the access log.
    pub async fn until_now(&self, http: SocketAddr) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = format!("/wecom-gate/marker-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        assert_ne!(send_raw(http, get(&path, "")).await.status(), 0);
        self.line(&["\"request\"", &format!("{path}\"")]).await;
        self.to_string()
    }

    /// Waits until the process, which has ended, has written everything; its whole output.
    pub(super) fn whole(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.to_string()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.lock().join("\n"))
    }
}

/// The lines that are JSON.
pub fn parsed(written: &str) -> Vec<Value> {
    written.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

fn collect(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            lines.lock().push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}
