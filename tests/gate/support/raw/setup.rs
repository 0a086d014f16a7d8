//! The gate's configuration, and visitors who are signed in.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use secrecy::SecretSlice;
use wecom_gate::session::{
    Keyring, Member, Names, PasswordSession, PasswordSignIn, Session, SessionCookies, SessionLimits,
};

use super::{APP_SECRET, CORP, HOST, SECRET};

fn key_bytes() -> [u8; 64] {
    std::array::from_fn(|i| u8::try_from(i).unwrap().wrapping_mul(7) ^ 0x5a)
}

/// How the gate is configured.
pub struct Setup {
    toml: toml::Table,
    pub(super) dir: tempfile::TempDir,
    https: bool,
    environment: Vec<(&'static str, String)>,
    ulimit: Option<&'static str>,
}

/// A signed-in browser.
pub struct Visitor {
    /// `name=value`.
    pub cookie: String,
    pub phantom: String,
    pub session: Session,
}

impl Visitor {
    /// Header line with the cookie.
    pub fn cookie_line(&self) -> String {
        format!("Cookie: {}\r\n", self.cookie)
    }
    /// Header lines of the page's own API calls.
    pub fn lines(&self) -> String {
        format!("Cookie: {}\r\nAuthorization: Bearer {}\r\n", self.cookie, self.phantom)
    }
}

impl Setup {
    /// Plain HTTP, no reachable WeCom.
    pub fn new(upstream: SocketAddr) -> Setup {
        let key = base64::engine::general_purpose::STANDARD.encode(key_bytes());
        let toml = format!(
            r#"
origin = "http://{HOST}"
[listen]
http = ["127.0.0.1:0"]
ops = "127.0.0.1:0"
[upstream]
nodes = ["{upstream}"]
[nocobase]
jwt_secret = "{SECRET}"
service_user = 1
[[wecom]]
corp_id = "{CORP}"
agent_id = "1000002"
secret = "{APP_SECRET}"
api_base = "http://127.0.0.1:9"
authorize_url = "http://127.0.0.1:9/connect/oauth2/authorize"
web_login_url = "http://127.0.0.1:9/wwlogin/sso/login"
[access]
public = ["GET /api/public", "POST /api/public", "OPTIONS /api/public", "GET /ws-public", "GET /ws-refused"]
[session]
keys = ["{key}"]
[log]
level = "debug"
[limits]
[cache]
"#
        );
        Setup {
            toml: toml.parse().unwrap(),
            dir: tempfile::tempdir().unwrap(),
            https: false,
            environment: Vec::new(),
            ulimit: None,
        }
    }

    /// Sets `section.key`, or `wecom.key` of the only entry.
    pub fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Setup {
        let (section, key) = key.split_once('.').unwrap();
        let section = self.toml.get_mut(section).unwrap();
        let table = match section {
            toml::Value::Array(entries) => entries[0].as_table_mut().unwrap(),
            section => section.as_table_mut().unwrap(),
        };
        table.insert(key.to_owned(), value.into());
        self
    }

    /// The value of `section.key`.
    pub fn get(&self, key: &str) -> toml::Value {
        let (section, key) = key.split_once('.').unwrap();
        self.toml[section][key].clone()
    }

    /// Sets a variable in the environment of the process.
    pub fn environment(mut self, name: &'static str, value: &str) -> Setup {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// With these options of the shell's `ulimit`.
    pub fn ulimit(mut self, options: &'static str) -> Setup {
        self.ulimit = Some(options);
        self
    }

    /// With TLS and an `https` origin.
    pub fn https(mut self) -> Setup {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        self.toml.insert("origin".into(), format!("https://{HOST}").into());
        self.https = true;
        self.set("listen.https", vec!["127.0.0.1:0"]).set("listen.cert", cert).set("listen.key", key)
    }

    /// Writes another certificate and key into the same files, after [`Setup::https`].
    pub fn renew_certificate(&self) {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        std::fs::write(self.dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    /// With an RSA certificate, 2048 bits, after [`Setup::https`].
    pub fn rsa(self) -> Setup {
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        let name = format!("subjectAltName=DNS:{HOST}");
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gate", "-addext",
            ])
            .args([&name, "-addext", "basicConstraints=critical,CA:FALSE", "-out", &cert, "-keyout", &key])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self
    }

    /// Another installation with the same keys.
    pub fn at(mut self, origin: &str) -> Setup {
        self.toml.insert("origin".into(), origin.into());
        self
    }

    /// Writes the configuration again, with another value for a key; the running gate reads it on SIGHUP.
    pub fn rewrite(self, key: &str, value: impl Into<toml::Value>) -> Setup {
        let setup = self.set(key, value);
        std::fs::write(setup.dir.path().join("gate.toml"), setup.toml.to_string()).unwrap();
        setup
    }

    /// Signs in against this simulator.
    pub fn wecom(self, sim: &str) -> Setup {
        self.set("wecom.api_base", sim)
            .set("wecom.authorize_url", format!("{sim}/connect/oauth2/authorize"))
            .set("wecom.web_login_url", format!("{sim}/wwlogin/sso/login"))
    }

    /// `wecom-gate run` with this configuration.
    pub(super) fn command(&self) -> Command {
        let conf = self.dir.path().join("gate.toml");
        std::fs::write(&conf, self.toml.to_string()).unwrap();
        let mut command = match self.ulimit {
            None => Command::new(crate::support::program()),
            Some(options) => {
                let mut shell = Command::new("/bin/sh");
                let run = format!("ulimit {options} && exec \"$0\" \"$@\"");
                shell.args(["-c", &run, env!("CARGO_BIN_EXE_wecom-gate")]);
                shell
            }
        };
        command.args(["run", "--conf"]).arg(&conf).env_remove("RUST_LOG");
        command.envs(self.environment.iter().cloned());
        command
    }

    fn origin(&self) -> &str {
        self.toml["origin"].as_str().unwrap()
    }

    fn cookies(&self) -> SessionCookies {
        let ring = Keyring::new(&[SecretSlice::from(key_bytes().to_vec())], self.origin()).unwrap();
        let limits = SessionLimits {
            idle: Duration::from_secs(12 * 3600),
            absolute: Duration::from_secs(7 * 24 * 3600),
        };
        let company = wecom_gate::session::Company { entry: "wecom".into(), corp_id: CORP.into() };
        let name =
            self.toml["session"].get("cookie_name").map_or("wecom_gate", |name| name.as_str().unwrap());
        SessionCookies::new(Arc::new(ring), Names::new(self.https, name), limits, vec![company])
    }

    /// An API key as NocoBase issues them.
    pub fn api_key(&self) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let user = wecom_gate::nocobase::UserId::new(9).unwrap();
        let minter = wecom_gate::nocobase::Minter::new(SECRET.as_bytes());
        minter.service(user, now).unwrap().as_str().to_owned()
    }

    /// A token as NocoBase issues them to a user who signs in by password.
    pub fn password_token(&self) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let user = wecom_gate::nocobase::UserId::new(9).unwrap();
        let minter = wecom_gate::nocobase::Minter::new(SECRET.as_bytes());
        let signed_in = u64::try_from(now.as_millis()).unwrap();
        let sid = uuid::Uuid::new_v4().to_string();
        minter.session(user, &sid, signed_in, now.as_secs()).unwrap().as_str().to_owned()
    }

    /// A user who has signed in on another node with the same keys.
    pub fn visitor(&self) -> Visitor {
        self.visitor_seen_ago(Duration::ZERO)
    }

    /// The same, last seen this long ago.
    pub fn visitor_seen_ago(&self, ago: Duration) -> Visitor {
        self.visitor_of(ago, ago)
    }

    /// One of many, each with a different user: [`Setup::user_of`].
    pub fn visitor_number(&self, number: u64) -> Visitor {
        self.visitor_who(&format!("person{number}"), Self::user_of(number), Duration::ZERO, Duration::ZERO)
    }

    /// One of many, all with the NocoBase user of [`Setup::visitor`].
    pub fn visitor_called(&self, userid: &str) -> Visitor {
        self.visitor_who(userid, 7, Duration::ZERO, Duration::ZERO)
    }

    /// NocoBase user id of one of many.
    pub fn user_of(number: u64) -> u64 {
        10_000 + number
    }

    /// Signed in and last seen this long ago.
    pub fn visitor_of(&self, signed_in_ago: Duration, seen_ago: Duration) -> Visitor {
        self.visitor_who("zhangsan", 7, signed_in_ago, seen_ago)
    }

    /// A user who signed in with NocoBase's own form, and was last seen, this long ago. There is no phantom.
    pub fn password_visitor_of(&self, signed_in_ago: Duration, seen_ago: Duration) -> Visitor {
        let signed_in_at = (SystemTime::now() - signed_in_ago).into();
        let jti = uuid::Uuid::new_v4().to_string();
        let seen = (SystemTime::now() - seen_ago).into();
        let own = PasswordSession::new(&PasswordSignIn { user_id: 7, signed_in_at, jti }, seen).unwrap();
        let line = self.cookies().write_password(&own, seen).unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        Visitor { cookie, phantom: String::new(), session: own.session }
    }

    fn visitor_who(
        &self,
        userid: &str,
        user_id: u64,
        signed_in_ago: Duration,
        seen_ago: Duration,
    ) -> Visitor {
        let member = Member {
            entry: "wecom".into(),
            corp_id: CORP.into(),
            userid: userid.into(),
            name: "张三".into(),
            user_id,
        };
        let session = Session::begin(member, (SystemTime::now() - signed_in_ago).into()).unwrap();
        let now = (SystemTime::now() - seen_ago).into();
        let session = Session { last_seen: now, ..session };
        let line = self.cookies().write(&session, now).unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        Visitor { cookie, phantom: session.phantom.text(), session }
    }
}
