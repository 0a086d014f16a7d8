//! The test environment: the real binary, the WeCom simulator, a stand-in for NocoBase, and browsers.

pub mod browser;
pub mod config;
pub mod gate;
pub mod load;
pub mod output;
pub mod process;
pub mod raw;
pub mod redis;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::json;
use wecom_gate::error::Failure;
use wecom_sim::{Handle, Options, Running, Settings, Simulator};

pub use browser::{Browser, Response};
pub use config::Config;
pub use gate::Gate;
pub use nocobase_standin::NocoBase;
pub use output::Output;
pub use process::Process;
pub use redis::Redis;

/// Host of the gate's origin. It does not resolve: the tests' browsers send it as `Host`.
pub const HOST: &str = "gate.test";
/// The company, and its app, in the simulator's data.
pub const CORP: &str = "ww0123456789abcdef";
pub const AGENT: u64 = 1_000_002;
pub const APP_SECRET: &str = "SimAppSecret1000002-AAAAAAAAAAAAAAAAAAAAAAA";
/// Id of the gate's service user in NocoBase.
pub const SERVICE_USER: u64 = 1;

/// The simulator, and a free address for its app's gate that no other test uses.
pub async fn simulator_of_a_free_port() -> (Running, SocketAddr) {
    let free = SocketAddr::from(([127, 0, 0, 2], nocobase_standin::free().port()));
    let origin = Some(format!("http://{free}").parse().unwrap());
    (Simulator::start(Options { app_origin: origin, ..Options::default() }).await.unwrap(), free)
}

/// Everything that a test needs. Dropped, it is stopped.
pub struct Stage {
    pub gate: Gate,
    pub sim: Running,
    pub nocobase: NocoBase,
    pub config: Config,
}

impl Stage {
    /// Starts simulator, stand-in and gate, with a changed configuration.
    pub async fn start(change: impl FnOnce(&mut Config)) -> Stage {
        Self::with(Settings::default(), change).await
    }

    /// The same with other settings of the simulator.
    pub async fn with(settings: Settings, change: impl FnOnce(&mut Config)) -> Stage {
        let origin = format!("http://{HOST}").parse().unwrap();
        let options = Options { settings, app_origin: Some(origin), ..Options::default() };
        let sim = Simulator::start(options).await.unwrap();
        let nocobase = NocoBase::start().await;
        nocobase.user_with_id(SERVICE_USER, json!({ "username": "gate", "nickname": "service" }));
        let mut config = Config::new(&sim, nocobase.address);
        change(&mut config);
        let gate = Gate::start(&config).await;
        Stage { gate, sim, nocobase, config }
    }

    /// The simulator's controls.
    pub fn wecom(&self) -> &Handle {
        &self.sim.handle
    }

    /// Restarts the gate: same configuration and keys, empty memory.
    pub async fn restart(&mut self) {
        self.gate.stop();
        self.gate = Gate::start(&self.config).await;
    }

    /// The same with a changed configuration.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.restart().await;
    }

    /// Another node of the gate: same configuration and keys, nothing else shared.
    pub async fn second_node(&self) -> Gate {
        Gate::start(&self.config).await
    }

    /// A NocoBase user who is bound to this member.
    pub fn bound(&self, userid: &str) -> u64 {
        let id = self.nocobase.user(json!({ "nickname": userid }));
        self.nocobase.bind(userid, id);
        id
    }

    /// The page is this refusal: status, title, and a line in the log.
    pub async fn refused(&self, page: &Response, failure: Failure, title: &str) {
        let response = failure.response();
        assert_eq!(page.status, response.status, "{failure}: {}", page.body);
        assert!(page.body.contains(title), "{failure}, not {title:?}: {}", page.body);
        assert!(!page.sets("wecom_gate"), "{failure}: and yet a session");
        let retry = response.retry_after.map(|s| s.to_string());
        assert_eq!(page.header("retry-after"), retry.as_deref(), "{failure}");
        self.gate.wait_for_log(&["\"refused\"", &format!("\"{}\"", response.label)]).await;
    }

    /// WeCom on this member's phone.
    pub fn phone(&self, userid: &str) -> Browser {
        Browser::new(&self.gate, browser::WECOM_PHONE).member(userid)
    }

    /// WeCom on this member's phone, signed in, with the page `/admin` open. The member is bound first.
    pub async fn signed_in(&self, userid: &str) -> Browser {
        if !self.nocobase.data().bindings.iter().any(|b| b["uuid"] == userid) {
            self.bound(userid);
        }
        let mut browser = self.phone(userid);
        let page = browser.open("/admin").await;
        assert_eq!(
            (page.status, page.at.as_str()),
            (200, "/admin"),
            "{userid} is not signed in: {}",
            page.body
        );
        browser
    }
}

/// The program: the one built with the tests, or that of `WECOM_GATE_BIN`.
pub fn program() -> PathBuf {
    std::env::var_os("WECOM_GATE_BIN").map_or_else(|| env!("CARGO_BIN_EXE_wecom-gate").into(), PathBuf::from)
}

/// Lets a gate trust one certificate authority instead of the system's: reading those is most of the start time of a debug build,
/// and no test contacts a server that they certify. What a test sets itself stays.
pub fn few_roots(command: &mut Command) {
    static ROOT: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| {
        let root = rcgen::generate_simple_self_signed(vec!["root.test".to_owned()]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), root.cert.pem()).unwrap();
        file
    });
    if command.get_envs().any(|(name, _)| name.to_string_lossy().starts_with("SSL_CERT_")) {
        return;
    }
    command.env("SSL_CERT_FILE", ROOT.path());
}

/// How long a test waits for something that happens in the background before it fails. No test waits this long when everything
/// works: it is for a slow, busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until the condition holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    becomes(what, true, async || holds().await).await;
}

/// Polls until the value is the expected one. Logs, metrics and counters are written after the response has been sent, so a test
/// never reads them only once.
pub async fn becomes<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: T,
    mut ask: impl AsyncFnMut() -> T,
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let value = ask().await;
        if value == expected {
            return;
        }
        assert!(Instant::now() < deadline, "never: {what}: {value:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
