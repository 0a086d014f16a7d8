//! For unit tests: an HTTP server that gives the response that a test's script makes out of each request, and records the
//! requests as they are. It is no stand-in for WeCom, which is the simulator (`sim/`): it knows no member, code or token, and
//! gives what WeCom never would (two userids in one response, an `errcode` that is a string, a redirect, a success with 404).

use std::sync::Arc;

use parking_lot::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Response, Uri};
use url::Url;

use super::client::Client;
use super::transport::Tuning;
use crate::config::WeComEntry;

/// A recorded request.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) body: String,
    /// How many requests for this path there were before.
    pub(super) before: usize,
}

impl Seen {
    pub(super) fn param(&self, name: &str) -> Option<String> {
        let query = self.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
    }
}

/// A response.
pub(super) struct Say {
    status: u16,
    body: String,
    delay: Duration,
    location: Option<&'static str>,
}

impl Say {
    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
    pub(super) fn parts(&self) -> (u16, String) {
        (self.status, self.body.clone())
    }
    pub(super) fn location(mut self, to: &'static str) -> Self {
        self.location = Some(to);
        self
    }
}

/// 200 with this body.
pub(super) fn ok(body: impl Into<String>) -> Say {
    status(200, body)
}

pub(super) fn status(status: u16, body: impl Into<String>) -> Say {
    Say { status, body: body.into(), delay: Duration::ZERO, location: None }
}

pub(super) fn errcode(code: i64) -> Say {
    ok(format!(r#"{{"errcode":{code},"errmsg":"something, from ip: 203.0.113.7, more"}}"#))
}

/// The usual response of gettoken, another token each time.
pub(super) fn token(seen: &Seen) -> Say {
    ok(format!(
        r#"{{"errcode":0,"errmsg":"ok","access_token":"token-{}","expires_in":7200}}"#,
        seen.before + 1
    ))
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// `gettoken` responds as usual; everything else is up to `script`.
    pub(super) async fn api(script: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Self {
        Self::all(
            move |seen| {
                if seen.uri.path().ends_with("/cgi-bin/gettoken") { token(seen) } else { script(seen) }
            },
        )
        .await
    }

    pub(super) async fn all(script: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        let answer = move |method: Method, uri: Uri, body: Bytes| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move {
                let one = {
                    let mut log = log.lock();
                    let before = log.iter().filter(|s| s.uri.path() == uri.path()).count();
                    let body = String::from_utf8_lossy(&body).into_owned();
                    log.push(Seen { method, uri, body, before });
                    log.last().unwrap().clone()
                };
                let say = script(&one);
                tokio::time::sleep(say.delay).await;
                let mut response = Response::builder().status(say.status);
                if let Some(to) = say.location {
                    response = response.header("location", to);
                }
                response.body(Body::from(say.body)).unwrap()
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }
    /// How often this path was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|s| s.uri.path() == path).count()
    }
    pub(super) fn client(&self) -> Client {
        client(&entry(&self.url))
    }
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
        corp_id: "ww0123456789abcdef".into(),
        agent_id: "1000002".into(),
        secret: "CANARY-secret/1".into(),
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

/// What was logged while the guard lives, on this thread.
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
