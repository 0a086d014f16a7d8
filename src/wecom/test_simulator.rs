//! For unit tests: clients of the WeCom simulator (`sim/`), started in the test's own process. Responses that WeCom never sends
//! (two userids in one, an `errcode` that is a string) come from the simulator's faults.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use url::Url;
use wecom_sim::{CodeRequest, Fault, FaultKind, Handle, Options, Running, Settings, Simulator};

use super::client::Client;
use super::transport::Tuning;
use crate::config::WeComEntry;

pub(super) const CORP: &str = "ww0123456789abcdef";
const AGENT: u64 = 1_000_002;
/// No log may contain it; a URL contains it only percent-encoded.
const SECRET: &str = "CANARY-secret/1";

/// A simulator whose app has the secret of [`entry`], and which issues a different access token each time.
pub(super) struct Simulated(Running);

impl Deref for Simulated {
    type Target = Handle;
    fn deref(&self) -> &Handle {
        &self.0.handle
    }
}

pub(super) async fn simulator() -> Simulated {
    let settings = Settings { same_token: false, ..Settings::default() };
    let options = Options { settings, ..Options::default() };
    let simulated = Simulated(Simulator::start(options).await.unwrap());
    simulated.edit_app(|app| app.secret = SECRET.into());
    simulated
}

impl Simulated {
    pub(super) fn edit_app(&self, change: impl FnOnce(&mut wecom_sim::App)) {
        let edited = self.edit_data(|data| {
            let apps = &mut data.company_mut(CORP).unwrap().apps;
            change(apps.iter_mut().find(|app| app.agent_id == AGENT).unwrap());
        });
        edited.unwrap();
    }

    pub(super) fn url(&self) -> Url {
        self.0.base().parse().unwrap()
    }

    pub(super) fn entry(&self) -> WeComEntry {
        entry(&self.url())
    }

    /// A client without an access token.
    pub(super) fn client(&self) -> Client {
        client(&self.entry())
    }

    /// A code of this member, who agreed to share `fields`.
    pub(super) fn code(&self, member: &str, fields: Option<&[&str]>) -> String {
        let fields = fields.map(|all| all.iter().map(|field| (*field).to_owned()).collect());
        let (corp_id, member) = (CORP.into(), member.into());
        self.issue_code(&CodeRequest { corp_id, agent_id: AGENT, member, fields, redirect_uri: None })
            .unwrap()
    }

    /// From now on this happens to every call of `path` (`*`: any), and nothing else is wrong.
    pub(super) fn only(&self, path: &str, kind: FaultKind) {
        self.only_fault(Fault::new(path, kind));
    }

    /// From now on this is wrong, and nothing else.
    pub(super) fn only_fault(&self, fault: Fault) {
        self.clear_faults();
        self.add_fault(fault);
    }

    /// The total number of calls.
    pub(super) fn total_calls(&self) -> u64 {
        self.all_calls().values().map(|path| path.calls).sum()
    }
}

/// 200 with this body.
pub(super) fn body(text: impl Into<String>) -> FaultKind {
    FaultKind::Body(text.into())
}

pub(super) fn client(entry: &WeComEntry) -> Client {
    let tuning = Tuning {
        connect: Duration::from_secs(2),
        total: Duration::from_millis(1500),
        backoff: Duration::from_millis(1),
    };
    Client::tuned(entry, tuning).unwrap()
}

pub(super) fn entry(api_base: &Url) -> WeComEntry {
    WeComEntry {
        name: "wecom".into(),
        title: "WeCom".into(),
        corp_id: CORP.into(),
        agent_id: AGENT.to_string(),
        secret: SECRET.into(),
        auto_login: true,
        home: "/admin".into(),
        home_mobile: "/m".into(),
        verify_files: vec![],
        allow_departments: vec![],
        allow_tags: vec![],
        allow_users: vec![],
        events: None,
        api_base: api_base.clone(),
        authorize_url: Url::parse("https://open.weixin.qq.com/connect/oauth2/authorize").unwrap(),
        web_login_url: Url::parse("https://login.work.weixin.qq.com/wwlogin/sso/login").unwrap(),
        userinfo_path: "/cgi-bin/auth/getuserinfo".into(),
        userdetail_path: "/cgi-bin/auth/getuserdetail".into(),
        http_proxy: None,
        roles: vec![],
    }
}

/// Everything logged on this thread while the guard exists.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
