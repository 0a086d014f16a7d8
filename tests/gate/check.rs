//! `wecom-gate check` against the simulator and the stand-in: each problem is found by the responsible step, with a remedy; and
//! no test data is left behind.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::{Value, json};
use wecom_sim::Running;

use crate::support::config::KEY;
use crate::support::{
    APP_SECRET, CORP, Config, Gate, NocoBase, SERVICE_USER, Stage, simulator_of_a_free_port,
};

mod applications;
mod redis;
mod wecom;

/// Everything is right except that no gate listens at `origin`.
struct Scene {
    sim: Running,
    nocobase: NocoBase,
    config: Config,
}

impl Scene {
    async fn set() -> Scene {
        // The port stays free unless a test starts something there.
        let (sim, free) = simulator_of_a_free_port().await;
        let origin = format!("http://{free}");
        let nocobase = NocoBase::start().await;
        nocobase.data().users.push(
            json!({ "id": SERVICE_USER, "username": "gate", "nickname": "service", "phone": "13900000000" }),
        );
        let mut config = Config::new(&sim, nocobase.address);
        config.set("origin", origin).set("listen.http", vec![free.to_string()]);
        Scene { sim, nocobase, config }
    }

    /// The simulator's app.
    fn app(&self, change: impl FnOnce(&mut wecom_sim::App)) {
        let edit = |data: &mut wecom_sim::Data| {
            let company = data.companies.iter_mut().find(|c| c.corp_id == CORP).unwrap();
            change(company.apps.iter_mut().find(|a| a.agent_id == crate::support::AGENT).unwrap());
        };
        self.sim.handle.edit_data(edit).unwrap();
    }

    async fn check(&self, arguments: &[&str]) -> Checked {
        let output = run(&self.config, &[&["--json"], arguments].concat(), &[]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        Checked { code: output.status.code().unwrap(), report }
    }
}

/// Runs the command with this environment only; its output never shows a secret.
async fn run(config: &Config, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(config.text().as_bytes()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
    command.arg("check").arg("--conf").arg(file.path()).args(arguments).env_clear();
    command.envs(env.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for secret in [APP_SECRET, nocobase_standin::SECRET, KEY, "eyJ", "SimToken", "CANARY", "13800000001"] {
        assert!(!all.contains(secret), "{secret} is shown: {all}");
    }
    drop(file);
    output
}

/// The steps of `check --json` with this configuration.
pub(crate) async fn steps(config: &Config) -> Vec<Value> {
    let output = run(config, &["--json"], &[]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["steps"].as_array().unwrap().clone()
}

struct Checked {
    code: i32,
    report: Value,
}

impl Checked {
    fn step(&self, name: &str) -> &Value {
        let steps = self.report["steps"].as_array().unwrap();
        steps.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("no step {name}: {}", self.report))
    }

    fn with(&self, outcome: &str) -> Vec<&str> {
        let steps = self.report["steps"].as_array().unwrap();
        steps.iter().filter(|s| s["outcome"] == outcome).map(|s| s["name"].as_str().unwrap()).collect()
    }

    /// Only this step has failed; its message contains these words, and a remedy.
    fn only_failure(&self, name: &str, words: &str) {
        assert_eq!((self.with("failed"), self.code), (vec![name], 1), "{:#}", self.report);
        self.shows(name, words);
        for finding in self.step(name)["findings"].as_array().unwrap() {
            assert!(!finding["remedy"].as_str().unwrap().is_empty(), "no remedy: {finding}");
        }
    }

    fn shows(&self, name: &str, words: &str) {
        let text = self.step(name).to_string();
        assert!(text.contains(words), "{name}: no {words:?} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_setup_passes_and_nothing_is_changed() {
    let mut scene = Scene::set().await;
    scene.config.set("wecom.verify_files", vec!["WW_verify_7rG3kjVbXHngiald.txt"]);
    let _gate = Gate::start(&scene.config).await;
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, checked.with("failed")), (0, vec![]), "{:#}", checked.report);
    assert!(checked.with("warning").is_empty(), "{:#}", checked.report);
    assert_eq!(
        checked.with("skipped"),
        ["tls", "acme", "wecom_rules", "nocobase_private", "member", "redis"]
    );
    checked.shows("nocobase_reachable", "NocoBase 2.2.15");
    scene.nocobase.data().token_policy = Some((std::time::Duration::from_secs(300), true));
    scene.check(&[]).await.shows("nocobase_secret", "its token policy: 300000ms, sessions 7d");
    scene.nocobase.data().token_policy = None;
    {
        let data = scene.nocobase.data();
        assert_eq!((data.users.len(), data.bindings.len(), data.tokens.len()), (1, 0, 0));
        assert!(data.blocked.is_empty());
    }

    // As text: no colours without a terminal, or when they are disabled.
    let plain = run(&scene.config, &[], &[]).await;
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(text.contains("\nok      wecom_trusted_ip ") && !text.contains('\x1b'), "{text}");
    assert!(text.contains("Callback and trusted domain      127.0.0.2:"), "{text}");
    let coloured = run(&scene.config, &[], &[("CLICOLOR_FORCE", "1")]).await;
    assert!(String::from_utf8(coloured.stdout).unwrap().contains("\x1b[32mok "));
    let env = [("CLICOLOR_FORCE", "0"), ("NO_COLOR", "1")];
    assert_eq!(String::from_utf8(run(&scene.config, &[], &env).await.stdout).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_about_nocobase() {
    let mut scene = Scene::set().await;
    let good = scene.config.clone();
    for (key, value, step, words) in [
        (
            "nocobase.jwt_secret",
            toml::Value::from("CANARY-another-secret"),
            "nocobase_secret",
            "jwt_secret.dat",
        ),
        ("nocobase.service_user", 4711.into(), "nocobase_service", "no such user"),
        ("nocobase.public_path", "/crm/".into(), "nocobase_reachable", "APP_PUBLIC_PATH"),
    ] {
        scene.config.set(key, value);
        scene.check(&[]).await.only_failure(step, words);
        scene.config = good.clone();
    }
    scene.config.unset("nocobase.service_user").set("nocobase.service_token", "CANARY.CANARY.CANARY");
    scene.check(&[]).await.only_failure("nocobase_service", "new API key");
    scene.config = good.clone();

    // Each missing right is reported, and no right is checked that is not needed.
    scene.config.set("nocobase.auto_create_user", true);
    for right in [
        "users:list",
        "users:create",
        "usersAuthenticators:list",
        "usersAuthenticators:create",
        "issuedTokens:list",
        "issuedTokens:create",
    ] {
        scene.nocobase.fail(right, 403, r#"{"errors":[{"message":"No permissions"}]}"#, usize::MAX);
        let checked = scene.check(&[]).await;
        checked.only_failure("nocobase_rights", &right.replace(":list", ":view"));
        assert_eq!(checked.step("nocobase_rights")["findings"].as_array().unwrap().len(), 1);
        scene.nocobase.heal();
    }
    scene.nocobase.data().role["actions"]["users:view"]["fields"] = json!(["id", "createdAt"]);
    scene.check(&[]).await.only_failure("nocobase_rights", "fields phone");
    scene.nocobase.data().role = json!({ "role": "root", "allowAll": true, "actions": {} });
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("nocobase_rights")["outcome"]), (0, &json!("warning")));

    scene.nocobase.data().sign_up = true;
    assert_eq!(scene.check(&[]).await.step("nocobase_sign_up")["outcome"], "ok");
    scene.config.set("nocobase.match_by", vec!["phone", "username"]);
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("nocobase_sign_up")["outcome"]), (0, &json!("warning")));

    scene.nocobase.data().version = "3.0.1";
    assert_eq!(scene.check(&[]).await.step("nocobase_reachable")["outcome"], "warning");
    let page = "<script>window['__nocobase_public_path__'] = '/nocobase/';</script>";
    scene.nocobase.fail("__health_check", 200, page, usize::MAX);
    let checked = scene.check(&[]).await;
    checked.only_failure("nocobase_reachable", "set it to /nocobase/");
    assert_eq!(checked.step("nocobase_reachable")["findings"][0]["about"], "nocobase.public_path");
    scene.nocobase.heal();
    let page = "<script>window['__nocobase_api_base_url__'] = '/rest/';</script>";
    scene.nocobase.fail("__health_check", 200, page, usize::MAX);
    let checked = scene.check(&[]).await;
    checked.only_failure("nocobase_reachable", "leave API_BASE_PATH out");
    scene.nocobase.heal();
    scene.nocobase.fail("__health_check", 503, r#"{"error":{"status":503}}"#, usize::MAX);
    scene.check(&[]).await.only_failure("nocobase_reachable", "HTTP 503");
    scene.nocobase.down().await;
    let checked = scene.check(&["--member", "zhangsan"]).await;
    checked.only_failure("nocobase_reachable", "start NocoBase");
    checked.shows("member", "skipped");
    let data = scene.nocobase.data();
    assert_eq!(
        (data.users.len(), data.bindings.len(), data.tokens.len()),
        (1, 0, 0),
        "test data is left behind"
    );
}

/// The first sign-in would be refused: the administrator learns that before.
#[tokio::test(flavor = "multi_thread")]
async fn how_many_users_members_can_be_matched_with() {
    let mut scene = Scene::set().await;
    scene.check(&[]).await.shows("nocobase_users", "of 1 NocoBase users 1 have a phone number");
    scene.nocobase.data().users[0]["phone"] = Value::Null;
    let checked = scene.check(&["--member", "zhangsan"]).await;
    assert_eq!((checked.code, &checked.step("nocobase_users")["outcome"]), (1, &json!("warning")));
    checked.only_failure(
        "member",
        "refused: no_matching_user, because of 1 NocoBase users 0 have a phone number",
    );
    checked.shows("member", "nocobase.auto_create_user = true");
    scene.config.set("nocobase.auto_create_user", true);
    let checked = scene.check(&["--member", "zhangsan"]).await;
    assert_eq!((checked.code, &checked.step("nocobase_users")["outcome"]), (0, &json!("ok")));
    checked.shows("member", "a user is created for a member who matches none");
}

/// https configured for a plain HTTP port: the message says so.
#[tokio::test(flavor = "multi_thread")]
async fn https_to_a_plain_port() {
    let mut scene = Scene::set().await;
    let good = scene.config.clone();
    let _gate = Gate::start(&scene.config).await;
    let api = good.0["wecom"][0]["api_base"].as_str().unwrap().replace("http://", "https://");
    scene.config.set("wecom.api_base", api);
    scene
        .check(&[])
        .await
        .only_failure("wecom_reachable", "begins with https://, but the server speaks plain HTTP");
    scene.config = good;
    let origin = scene.config.0["origin"].as_str().unwrap().replace("http://", "https://");
    scene.config.set("origin", origin);
    scene.check(&[]).await.shows("origin", "begins with https://, but the server speaks plain HTTP");
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_and_certificate() {
    let mut scene = Scene::set().await;
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("origin")["outcome"]), (0, &json!("warning")));
    checked.shows("origin", "start it and check again");

    // NocoBase itself listens where the gate should.
    let good = scene.config.clone();
    let past = scene.nocobase.address;
    scene.config.set("origin", format!("http://{past}"));
    scene.app(|a| a.gate = format!("http://{past}"));
    scene.check(&[]).await.only_failure("origin", "something other than this gate answers: HTTP 200");
    scene.config = good;
    let origin = scene.config.0["origin"].as_str().unwrap().to_owned();
    scene.app(|a| a.gate = origin);

    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["other.example.com".into()]).unwrap();
    std::fs::write(path("cert"), made.cert.pem()).unwrap();
    std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(path("key"), mode(0o600)).unwrap();
    scene.config.set("listen.https", vec!["127.0.0.1:0"]).set("listen.cert", path("cert"));
    scene.config.set("listen.key", path("key"));
    scene.check(&[]).await.only_failure("tls", "is for other.example.com; people open 127.0.0.2");
    scene.check(&["--offline"]).await.only_failure("tls", "self-signed");
}

/// As on the stage of the other tests: an origin whose name does not resolve.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_that_does_not_resolve() {
    let stage = Stage::start(|_| {}).await;
    let output = run(&stage.config, &["--json"], &[]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let origin = report["steps"].as_array().unwrap().iter().find(|s| s["name"] == "origin").unwrap();
    assert_eq!(origin["outcome"], "warning");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_about_roles() {
    let mut scene = Scene::set().await;
    let rule: toml::Table = "department = 3\nrole = 'sales'".parse().unwrap();
    scene.config.set("wecom.roles", vec![rule]);
    scene.check(&[]).await.only_failure("nocobase_rights", "fields roles");
    scene.nocobase.data().role["actions"]["users:view"]["appends"] = json!(["roles"]);
    scene.nocobase.fail("users:update", 403, r#"{"errors":[{"message":"No permissions"}]}"#, usize::MAX);
    scene.check(&[]).await.only_failure("nocobase_rights", "users:update");
    scene.nocobase.heal();
    scene.nocobase.data().role["actions"]["users:update"] = json!({ "whitelist": ["roles"] });
    let checked = scene.check(&[]).await;
    for step in ["nocobase_rights", "wecom_rules"] {
        assert_eq!(checked.step(step)["outcome"], "ok", "{:#}", checked.report);
    }
    checked.shows("nocobase_rights", "whether the roles exist: sales");
    checked.shows("wecom_rules", "1 roles");
}
