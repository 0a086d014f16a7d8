//! Tests of a started simulator, over HTTP, as the gate and browsers see it.

mod api;
mod contacts;
mod control;
mod events;
mod faults;
mod limits;
mod oauth;
mod web;

use reqwest::Response;
use serde_json::Value;

use super::*;

pub(super) const CORP: &str = "ww0123456789abcdef";
pub(super) const PARTNER: &str = "wwfedcba9876543210";
pub(super) const SECRET: &str = "SimAppSecret1000002-AAAAAAAAAAAAAAAAAAAAAAA";
pub(super) const SECRET_SALES: &str = "SimAppSecret1000003-BBBBBBBBBBBBBBBBBBBBBBB";
pub(super) const SECRET_SYNC: &str = "SimContactSyncSecret-AAAAAAAAAAAAAAAAAAAAAA";
pub(super) const AGENT: u64 = 1_000_002;
pub(super) const SALES: u64 = 1_000_003;

/// A simulator and a client without cookies or redirects.
pub(super) struct Bench {
    pub(super) sim: Running,
    pub(super) http: reqwest::Client,
}

impl std::ops::Deref for Bench {
    type Target = Handle;
    fn deref(&self) -> &Handle {
        &self.sim.handle
    }
}

pub(super) async fn bench() -> Bench {
    bench_with(Settings::default()).await
}

pub(super) async fn bench_with(settings: Settings) -> Bench {
    let app_origin = Some("https://nocobase.example.com".parse().unwrap());
    let sim = Simulator::start(Options { settings, app_origin, ..Options::default() }).await.unwrap();
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Bench { sim, http }
}

impl Bench {
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sim.base())
    }

    pub(super) async fn raw(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let response = self.raw(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Value {
        self.http.post(self.url(path)).json(&body).send().await.unwrap().json().await.unwrap()
    }

    pub(super) async fn token_of(&self, corp: &str, secret: &str) -> String {
        let v = self.get(&format!("/cgi-bin/gettoken?corpid={corp}&corpsecret={secret}")).await;
        assert_eq!(v["errcode"], 0, "{v}");
        v["access_token"].as_str().unwrap().to_owned()
    }

    pub(super) async fn token(&self) -> String {
        self.token_of(CORP, SECRET).await
    }

    /// An API call with the main app's token.
    pub(super) async fn call(&self, path_and_query: &str) -> Value {
        let token = self.token().await;
        self.call_with(&token, path_and_query).await
    }

    pub(super) async fn call_with(&self, token: &str, path_and_query: &str) -> Value {
        let sep = if path_and_query.contains('?') { '&' } else { '?' };
        self.get(&format!("/cgi-bin/{path_and_query}{sep}access_token={token}")).await
    }

    /// A code of the main app.
    pub(super) fn code(&self, member: &str) -> String {
        self.code_for(AGENT, member, None)
    }

    pub(super) fn code_for(&self, agent_id: u64, member: &str, fields: Option<&[&str]>) -> String {
        self.issue_code(&CodeRequest {
            corp_id: CORP.into(),
            agent_id,
            member: member.into(),
            fields: fields.map(|f| f.iter().map(|s| (*s).to_owned()).collect()),
            redirect_uri: None,
        })
        .unwrap()
    }
}

pub(super) fn seconds(s: u64) -> std::time::Duration {
    std::time::Duration::from_secs(s)
}

#[tokio::test]
async fn starts_twice_and_stops_cleanly() {
    let (one, two) = (bench().await, bench().await);
    assert_ne!(one.sim.addr, two.sim.addr);
    let addr = one.sim.addr;
    one.raw("/cgi-bin/gettoken").await; // leaves a keep-alive connection open
    let started = std::time::Instant::now();
    one.sim.stop().await;
    assert!(started.elapsed() < seconds(1), "a connection that idles does not delay the end");
    assert!(one.http.get(format!("http://{addr}/cgi-bin/gettoken")).send().await.is_err());
    drop(tokio::net::TcpListener::bind(addr).await.expect("the port is free again"));
    assert_eq!(two.get("/cgi-bin/gettoken").await["errcode"], 41002);
}

#[tokio::test]
async fn a_dropped_simulator_stops() {
    let one = bench().await;
    let addr = one.sim.addr;
    drop(one.sim);
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(addr).await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still listening");
}

#[tokio::test]
async fn an_unknown_path_is_a_web_page() {
    let b = bench().await;
    for path in ["/cgi-bin/nothing", "/nothing", "/cgi-bin/"] {
        let response = b.raw(path).await;
        assert_eq!(response.status(), 404);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        assert!(response.text().await.unwrap().contains("404 Not Found"));
    }
}

#[test]
fn the_built_in_data_is_sound() {
    let data = Data::embedded().unwrap();
    assert_eq!(data.companies.len(), 2);
    assert!(!format!("{data:?}").contains("Secret"));
}

#[test]
fn contradicting_data_is_refused_whole() {
    let text = r#"
        [[companies]]
        corp_id = "ww1"
        name = "X"
        departments = [{ id = 1, parent = 0, name = "a" }, { id = 2, parent = 3, name = "b" }, { id = 3, parent = 2, name = "c" }]
        members = [
          { userid = "a", name = "A", departments = [9] },
          { userid = "A", name = "B" },
          { userid = "c/d", name = "C", status = 3 },
        ]
        apps = [{ agent_id = 1, name = "p", secret = "s", gate = "nowhere", sensitive = ["shoe_size"] }]
    "#;
    let Err(DataError::Invalid(all)) = Data::parse(text) else { panic!("must be refused") };
    for part in
        ["department 2 does not reach", "department 9", "\"A\"", "\"c/d\"", "status", "gate", "shoe_size"]
    {
        assert!(all.iter().any(|line| line.contains(part)), "{part}: {all:#?}");
    }
    assert!(matches!(Data::parse("companies = 1"), Err(DataError::Parse(_))));
    assert!(matches!(Data::load(std::path::Path::new("/no/such/file")), Err(DataError::Read(..))));
}
