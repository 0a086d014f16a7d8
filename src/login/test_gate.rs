//! For tests: sessions and sign-ins of a gate whose NocoBase is the stand-in, and whose WeCom is unreachable.

use std::net::SocketAddr;
use std::sync::Arc;

use nocobase_standin::SECRET;

use super::sessions::Sessions;
use super::sign_ins::SignIns;
use crate::config::{Config, load_str};
use crate::metrics::Metrics;
use crate::session::{Keyring, OwnCookies, Session};
use crate::wecom::{Details, Member};

/// 64 bytes in base64, all different.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";

pub(super) fn config(nocobase: SocketAddr) -> Arc<Config> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = format!(
        r#"
        origin = "https://nb.example.com"
        upstream.nodes = ["{nocobase}"]
        nocobase = {{ jwt_secret = "0123456789abcdef0123456789abcdef", service_user = 1 }}
        wecom = [{{ corp_id = "ww0123456789abcdef", agent_id = "1000002", secret = "s", api_base = "http://127.0.0.1:1" }}]
        session.keys = ["{KEY}"]
        "#
    );
    let mut config = load_str(&text, []).unwrap().config;
    config.nocobase.jwt_secret = SECRET.as_bytes().to_vec().into();
    Arc::new(config)
}

pub(super) fn sign_ins(nocobase: SocketAddr) -> Arc<SignIns> {
    let metrics = Arc::new(Metrics::new(&["wecom"]).unwrap());
    Arc::new(SignIns::after(None, config(nocobase), metrics).unwrap())
}

pub(super) fn sessions(nocobase: SocketAddr) -> Arc<Sessions> {
    let config = config(nocobase);
    let keyring = Arc::new(Keyring::new(&config.session.keys, &config.origin.url()).unwrap());
    let metrics = Arc::new(Metrics::new(&["wecom"]).unwrap());
    Arc::new(Sessions::after(None, config, metrics, &keyring).unwrap())
}

pub(super) fn member(userid: &str) -> Member {
    Member {
        userid: userid.into(),
        name: "张三".into(),
        departments: Vec::new(),
        details: Details::default(),
    }
}

/// The cookies of a browser that received these `Set-Cookie` lines.
pub(super) fn cookies(sessions: &Sessions, set: &[String]) -> OwnCookies<'static> {
    let pairs: Vec<&str> = set.iter().map(|line| line.split(';').next().unwrap()).collect();
    let header: &'static str = pairs.join("; ").leak();
    OwnCookies::parse(sessions.cookies.names(), [header.as_bytes()]).unwrap()
}

/// The cookies of a browser with this session.
pub(super) fn cookies_of(sessions: &Sessions, session: &Session) -> OwnCookies<'static> {
    cookies(sessions, &[sessions.cookies.write(session, super::now()).unwrap()])
}
