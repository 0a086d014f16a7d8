//! The gate's configuration, as an administrator would write it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::error::DemoError;

/// The configuration file (TOML). A member of the simulator becomes a NocoBase user at the first sign-in.
pub(crate) fn configuration(
    origin: &str,
    port: u16,
    nocobase: u16,
    simulator: &wecom_sim::Running,
    key: &str,
) -> Result<String, DemoError> {
    let sim = format!("http://{}", simulator.addr);
    let session_key = base64_secret(64)?;
    let entries = entries(simulator, &sim);
    Ok(format!(
        r#"# Written by the demo. What each key means: docs/configuration.md
origin = "{origin}"

[listen]
http = ["127.0.0.1:{port}"]
ops = "127.0.0.1:0"

[upstream]
nodes = ["127.0.0.1:{nocobase}"]

[nocobase]
jwt_secret = "{key}"
service_user = 1
auto_create_user = true

{entries}
[session]
keys = ["{session_key}"]

[log]
format = "pretty"
access_log = false
"#
    ))
}

/// A `[[wecom]]` entry for each app of the simulator; the first one signs members in automatically.
fn entries(simulator: &wecom_sim::Running, sim: &str) -> String {
    let mut text = String::new();
    for company in simulator.handle.data().companies {
        for app in company.apps {
            text.push_str(&format!(
                r#"[[wecom]]
name = "{name}"
title = "{title}"
corp_id = "{corp}"
agent_id = "{agent}"
secret = "{secret}"
auto_login = {first}
home = "/admin"
home_mobile = "/m"
api_base = "{sim}"
authorize_url = "{sim}/connect/oauth2/authorize"
web_login_url = "{sim}/wwlogin/sso/login"

"#,
                name = app.entry,
                title = app.name,
                corp = company.corp_id,
                agent = app.agent_id,
                secret = app.secret,
                first = text.is_empty(),
            ));
        }
    }
    text
}

fn random(bytes: usize) -> Result<Vec<u8>, DemoError> {
    let mut out = vec![0; bytes];
    SystemRandom::new().fill(&mut out).map_err(|_| DemoError::Gate("no random numbers".into()))?;
    Ok(out)
}

/// Random bytes in URL-safe base64.
pub(crate) fn url_safe_secret(bytes: usize) -> Result<String, DemoError> {
    Ok(URL_SAFE_NO_PAD.encode(random(bytes)?))
}

/// Random bytes in base64.
fn base64_secret(bytes: usize) -> Result<String, DemoError> {
    Ok(STANDARD.encode(random(bytes)?))
}
