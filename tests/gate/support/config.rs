//! The gate's configuration, which tests change key by key.

use std::net::SocketAddr;

use toml::{Table, Value};
use wecom_sim::Running;

use super::{AGENT, APP_SECRET, CORP, HOST, SERVICE_USER};

/// Two keys of 64 bytes; the first is used for sealing.
pub const KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";
pub const OTHER_KEY: &str =
    "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp-goaKjpKWmp6ipqqusra6vsLGys7S1tre4ubq7vL2-vw";

#[derive(Clone)]
pub struct Config(pub Table);

impl Config {
    /// One WeCom entry, everything on this machine, on free ports.
    pub fn new(sim: &Running, nocobase: SocketAddr) -> Config {
        let text = format!(
            r#"
            origin = "http://{HOST}"
            [listen]
            http = ["127.0.0.1:0"]
            ops = "127.0.0.1:0"
            [upstream]
            nodes = ["{nocobase}"]
            connect_timeout = "1s"
            [nocobase]
            jwt_secret = "{secret}"
            service_user = {SERVICE_USER}
            [[wecom]]
            corp_id = "{CORP}"
            agent_id = "{AGENT}"
            secret = "{APP_SECRET}"
            auto_login = true
            home = "/admin"
            home_mobile = "/m"
            api_base = "{base}"
            authorize_url = "{authorize}"
            web_login_url = "{web_login}"
            [session]
            keys = ["{KEY}"]
            [pages]
            maintenance_file = ""
            [log]
            format = "json"
            level = "debug"
            "#,
            secret = nocobase_standin::SECRET,
            base = sim.base(),
            authorize = sim.authorize_url(),
            web_login = sim.web_login_url(),
        );
        Config(text.parse().unwrap())
    }

    /// Sets a key such as `nocobase.match_by` or `wecom.home` (of the first entry).
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Config {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        self.section(section).insert(name.to_owned(), value.into());
        self
    }

    /// Removes a key.
    pub fn unset(&mut self, key: &str) -> &mut Config {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        self.section(section).remove(name);
        self
    }

    /// Adds another `[[wecom]]`, a copy of the first.
    pub fn another_entry(&mut self, name: &str) -> &mut Config {
        let all = self.0["wecom"].as_array_mut().unwrap();
        let mut copy = all[0].clone();
        let table = copy.as_table_mut().unwrap();
        table.insert("name".into(), name.into());
        table.insert("auto_login".into(), false.into());
        all.push(copy);
        self
    }

    /// The `[[wecom]]` that was added last.
    pub fn last_entry(&mut self) -> &mut Table {
        self.0["wecom"].as_array_mut().unwrap().last_mut().unwrap().as_table_mut().unwrap()
    }

    /// As a file.
    pub fn text(&self) -> String {
        toml::to_string(&self.0).unwrap()
    }

    fn section(&mut self, path: &str) -> &mut Table {
        path.split('.').filter(|p| !p.is_empty()).fold(&mut self.0, |table, part| {
            let next = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            match next {
                Value::Array(all) => all[0].as_table_mut().unwrap(),
                other => other.as_table_mut().unwrap(),
            }
        })
    }
}
