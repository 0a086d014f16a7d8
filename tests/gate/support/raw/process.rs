//! The gate as a process, in front of a recording upstream.

use std::process::Command;

use super::{Setup, send_raw};
use crate::support::Process;

impl Setup {
    pub async fn start(&self) -> Process {
        Process::start(self.command()).await
    }
}

impl Process {
    /// It runs, serves, and no thread of it has panicked.
    pub async fn is_unharmed(&mut self, what: &str) {
        assert!(self.is_alive().await, "{what}: {}", self.output());
        assert!(!self.written_until_now().await.contains("panicked"), "{what}: {}", self.output());
    }

    /// The same at the end of a test: it is stopped afterwards. Needs no access log.
    pub async fn ends_unharmed(&mut self, what: &str) {
        assert!(self.is_alive().await, "{what}: {}", self.output());
        let written = self.stop();
        assert!(!written.contains("panicked"), "{what}: {written}");
    }

    /// Its soft limit of open files.
    pub fn most_files(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.pid())).unwrap();
        let line = limits.lines().find_map(|l| l.strip_prefix("Max open files")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sets that limit.
    pub fn limit_files(&self, most: u64) {
        let (pid, most) = (self.pid().to_string(), format!("--nofile={most}:"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &most]).status().unwrap().success());
    }

    /// How many files it has open, connections included.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// CPU time used so far by all threads, in hundredths of a second.
    pub fn cpu(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// It runs and serves.
    pub async fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
            && send_raw(self.ops, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.status() == 200
    }
}
