//! The test's own Redis: the real server, which can be stopped, paused and restarted.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue};

use super::process::send_signal;

/// A running Redis; dropped, it is killed.
pub struct Redis {
    pub address: SocketAddr,
    arguments: Vec<String>,
    child: Option<Child>,
    _dir: tempfile::TempDir,
}

impl Redis {
    /// Starts it.
    pub fn start() -> Redis {
        Self::start_with(&[])
    }

    /// The same with these options, such as `--requirepass x`.
    pub fn start_with(options: &[&str]) -> Redis {
        Self::start_on("--port", options)
    }

    /// One that accepts TLS only, with this certificate and key.
    pub fn start_tls(cert: &str, key: &str) -> Redis {
        let files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
        let options = [&["--port", "0", "--tls-auth-clients", "no"], &files[..]].concat();
        Self::start_on("--tls-port", &options)
    }

    fn start_on(port_option: &str, options: &[&str]) -> Redis {
        let address = nocobase_standin::free();
        let dir = tempfile::tempdir().unwrap();
        let port = address.port().to_string();
        let folder = dir.path().to_str().unwrap();
        let fixed =
            ["--bind", "127.0.0.1", port_option, &port, "--save", "", "--appendonly", "no", "--dir", folder];
        let arguments = fixed.iter().chain(options).map(|a| (*a).to_owned()).collect();
        let mut redis = Redis { address, arguments, child: None, _dir: dir };
        redis.up();
        redis
    }

    /// Starts it again at the same address, empty.
    pub fn up(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("the Debian package redis-server"));
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Pauses the process with its connections (`STOP`), or continues it (`CONT`).
    pub fn signal(&self, name: &str) {
        send_signal(self.child.as_ref().unwrap().id(), name);
    }

    /// The value for `session.redis`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// A connection for several commands.
    pub fn connection(&self) -> Connection {
        Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// One command, words separated by spaces.
    pub fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        self.ask_parts(&command.split(' ').collect::<Vec<_>>())
    }

    /// One command.
    pub fn ask_parts<T: FromRedisValue>(&self, parts: &[&str]) -> T {
        redis::cmd(parts[0]).arg(&parts[1..]).query(&mut self.connection()).unwrap()
    }

    /// Names of all keys that contain this.
    pub fn keys(&self, part: &str) -> Vec<String> {
        self.ask(&format!("KEYS *{part}*"))
    }

    /// Is this word readable in it? Not counting what is sealed: letters in any order come up there by themselves.
    pub fn shows(&self, word: &str) -> bool {
        const SHORTEST_SEALED: usize = 40;
        let is_sealed = |run: &&str| run.len() >= SHORTEST_SEALED && run.starts_with('A');
        let dump = self.dump();
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let sealed: Vec<&str> = dump.split(|c| !is_base64(c)).filter(is_sealed).collect();
        sealed.iter().fold(dump.clone(), |rest, run| rest.replace(run, "sealed")).contains(word)
    }

    /// Everything readable in it.
    pub fn dump(&self) -> String {
        let mut all = String::new();
        for key in self.keys("") {
            let kind: String = self.ask_parts(&["TYPE", &key]);
            let value: redis::Value = match kind.as_str() {
                "stream" => self.ask_parts(&["XRANGE", &key, "-", "+"]),
                "list" => self.ask_parts(&["LRANGE", &key, "0", "-1"]),
                _ => self.ask_parts(&["GET", &key]),
            };
            all.push_str(&format!("{key} {value:?}\n"));
        }
        all
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.down();
    }
}
