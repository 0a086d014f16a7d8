//! `wecom-gate init` against the simulator and the stand-in: from nothing to a gate that starts, run twice, after damage, and
//! after an interruption at each of its calls.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nocobase_standin::{Fault, SECRET};
use serde_json::{Value, json};
use tempfile::TempDir;
use wecom_sim::Running;

use crate::support::{AGENT, APP_SECRET, CORP, NocoBase, eventually, simulator_of_a_free_port};

mod compose;
mod terminal;

const PASSWORD: &str = "CANARY-password";
const ADMINISTRATOR: u64 = 1;

struct Scene {
    sim: Running,
    nocobase: NocoBase,
    origin: String,
    dir: TempDir,
}

impl Scene {
    /// A company with an app, a NocoBase with its administrator, and nothing else.
    async fn set() -> Scene {
        let (sim, free) = simulator_of_a_free_port().await;
        let origin = format!("http://{free}");
        let nocobase = NocoBase::start().await;
        nocobase.user_with_id(
            ADMINISTRATOR,
            json!({ "username": "nocobase", "phone": "13800000001", "roles": [{ "name": "root" }] }),
        );
        {
            let mut data = nocobase.data();
            data.roles.push(json!({ "name": "root" }));
            data.administrator = Some((ADMINISTRATOR, "admin@nocobase.com", PASSWORD));
        }
        Scene { sim, nocobase, origin, dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("conf").join(name)
    }

    /// Without secrets, which come from the environment.
    fn arguments(&self) -> Vec<String> {
        let address = self.nocobase.address.to_string();
        let dir = self.dir.path().join("conf").display().to_string();
        let (api, authorize, web) = (self.sim.base(), self.sim.authorize_url(), self.sim.web_login_url());
        [
            ["--origin", &self.origin],
            ["--listen", self.origin.strip_prefix("http://").unwrap()],
            ["--nocobase", &address],
            ["--nocobase-account", "admin@nocobase.com"],
            ["--corp-id", CORP],
            ["--agent-id", &AGENT.to_string()],
            ["--api-base", api.as_str()],
            ["--authorize-url", authorize.as_str()],
            ["--web-login-url", web.as_str()],
            ["--dir", &dir],
            ["--group", "root"],
        ]
        .iter()
        .flatten()
        .map(|a| (*a).to_owned())
        .collect()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
        command.arg("init").args(self.arguments()).args(more).env_clear().envs([
            ("WECOM_GATE_INIT_NOCOBASE_PASSWORD", PASSWORD),
            ("WECOM_GATE_INIT_SECRET", APP_SECRET),
            ("WECOM_GATE_INIT_JWT_SECRET", SECRET),
        ]);
        command
    }

    async fn init(&self, more: &[&str]) -> Ran {
        ran(self.command(&[&["--yes"], more].concat())).await
    }

    /// Everything in NocoBase and in the folder exists once and is correct.
    fn assert_complete(&self) -> String {
        let data = self.nocobase.data();
        let ours = |rows: &[Value], key: &str, value: &str| rows.iter().filter(|r| r[key] == value).count();
        assert_eq!(ours(&data.roles, "name", "wecom_gate"), 1, "{:?}", data.roles);
        let mut tables: Vec<_> = data.resources.iter().map(|r| r["name"].as_str().unwrap()).collect();
        tables.sort_unstable();
        assert_eq!(tables, ["issuedTokens", "users", "usersAuthenticators"]);
        let gate: Vec<_> = data.users.iter().filter(|u| u["username"] == "wecom-gate").collect();
        assert_eq!((gate.len(), &gate[0]["roles"]), (1, &json!([{ "name": "wecom_gate" }])));
        let text = fs::read_to_string(self.path("wecom-gate.toml")).unwrap();
        assert!(text.contains(&format!("service_user = {}", gate[0]["id"])), "{text}");
        let root = fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0;
        for name in ["app_key", "secret", "session.key", "wecom-gate.toml"] {
            let mode = fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, if root { 0o640 } else { 0o600 }, "{name}");
        }
        let names = fs::read_dir(self.path("")).unwrap().count();
        assert_eq!(names, 4, "test data is left behind");
        assert!(!text.contains(APP_SECRET) && !text.contains("admin@nocobase.com"), "{text}");
        fs::read_to_string(self.path("session.key")).unwrap()
    }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn shows(&self, words: &str) {
        assert!(
            self.out.contains(words) || self.err.contains(words),
            "no {words:?} in {}{}",
            self.out,
            self.err
        );
    }
}

async fn ran(mut command: Command) -> Ran {
    let run = move || command.stdin(Stdio::null()).output().unwrap();
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) };
    for secret in [APP_SECRET, SECRET, PASSWORD, "eyJ"] {
        assert!(
            !ran.out.contains(secret) && !ran.err.contains(secret),
            "{secret} is shown: {}{}",
            ran.out,
            ran.err
        );
    }
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_and_a_second_time() {
    let scene = Scene::set().await;
    let planned = scene.init(&["--dry-run"]).await;
    assert_eq!(planned.code, 0, "{}{}", planned.out, planned.err);
    planned.shows("make the role wecom_gate");
    planned.shows("nothing has been changed");
    assert!(!scene.path("").exists() && scene.nocobase.data().roles.len() == 1);

    let first = scene.init(&[]).await;
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    for words in [
        "make the user wecom-gate",
        "ok      nocobase_rights",
        "ok      wecom_callback_domain",
        "  7. The app → 应用主页",
        "\n       127.0.0.2:",
        "sudo systemctl enable --now wecom-gate",
    ] {
        first.shows(words);
    }
    let key = scene.assert_complete();
    assert!(!scene.nocobase.data().blocked.is_empty(), "the administrator's session has not ended");

    let second = scene.init(&["--lang", "zh"]).await;
    assert_eq!(second.code, 0, "{}{}", second.out, second.err);
    second.shows("无需执行任何操作");
    second.shows("应用主页");
    assert_eq!(scene.assert_complete(), key, "a new session key signs everyone out");

    // What has been edited since stays; what is answered differently is changed.
    let path = scene.path("wecom-gate.toml");
    let text = fs::read_to_string(&path).unwrap().replace("#idle = \"12h\"", "idle = \"8h\" # ours");
    fs::write(&path, text).unwrap();
    let third = scene.init(&["--accounts", "create", "--verify-file", "WW_verify_a1.txt"]).await;
    assert_eq!(third.code, 0, "{}{}", third.out, third.err);
    third.shows("repair the rights of the role wecom_gate to users: create, view");
    let text = fs::read_to_string(&path).unwrap();
    for part in ["idle = \"8h\" # ours", "auto_create_user = true", "verify_files = [\"WW_verify_a1.txt\"]"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(scene.assert_complete(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_repaired() {
    let scene = Scene::set().await;
    assert_eq!(scene.init(&[]).await.code, 0);
    let key = scene.assert_complete();

    // An administrator has removed things in NocoBase's pages: the rows of the rights stay.
    {
        let mut data = scene.nocobase.data();
        data.roles.retain(|r| r["name"] != "wecom_gate");
        data.users.retain(|u| u["username"] != "wecom-gate");
        let mut twice = data.resources[0].clone();
        twice["id"] = json!(77);
        data.resources.push(twice);
    }
    fs::remove_file(scene.path("app_key")).unwrap();
    fs::write(scene.path("secret"), "another\n").unwrap();
    fs::set_permissions(scene.path("session.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let again = scene.init(&[]).await;
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    again.shows("remove a second row");
    again.shows("correct owner and mode of");
    assert_eq!(scene.assert_complete(), key);

    // The role has too many rights, and the user has a second role.
    {
        let mut data = scene.nocobase.data();
        for role in data.roles.iter_mut().filter(|r| r["name"] == "wecom_gate") {
            role["strategy"] = json!({ "actions": ["view", "destroy"] });
        }
        for user in data.users.iter_mut().filter(|u| u["username"] == "wecom-gate") {
            user["roles"] = json!([{ "name": "wecom_gate" }, { "name": "admin" }]);
        }
    }
    assert_eq!(scene.init(&[]).await.code, 0);
    let role = scene.nocobase.data().roles.iter().find(|r| r["name"] == "wecom_gate").cloned().unwrap();
    assert_eq!(role["strategy"], json!({ "actions": [] }));
    scene.assert_complete();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_are_found_at_once_and_change_nothing() {
    let scene = Scene::set().await;
    for (variable, value, code, words) in [
        ("WECOM_GATE_INIT_SECRET", "wrong", 1, "FAILED  wecom_secret"),
        ("WECOM_GATE_INIT_NOCOBASE_PASSWORD", "wrong", 1, "password is incorrect"),
        ("WECOM_GATE_INIT_JWT_SECRET", "wrong-secret", 64, "NocoBase does not accept"),
        ("WECOM_GATE_INIT_JWT_SECRET_FILE", "/nonexistent", 1, "/nonexistent"),
    ] {
        let mut command = scene.command(&["--yes"]);
        command.env(variable, value);
        let ran = ran(command).await;
        assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
        ran.shows(words);
    }
    for (option, value, words) in [
        ("--origin", "nb.example.com", "origin = \"nb.example.com\""),
        ("--nocobase", "127.0.0.1:1", "FAILED  nocobase_reachable"),
        ("--corp-id", "ww9999999999999999", "errcode 40013"),
        ("--agent-id", "1000003", "FAILED  wecom_agent"),
    ] {
        // The last occurrence of an option counts.
        let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
        let mut arguments = scene.arguments();
        let at = arguments.iter().position(|a| a == option).unwrap();
        arguments[at + 1] = value.to_owned();
        let prepared = scene.command(&[]);
        command.arg("init").arg("--yes").args(arguments).env_clear();
        command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ran = ran(command).await;
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        ran.shows(words);
    }
    assert!(!scene.path("").exists() && scene.nocobase.data().roles.len() == 1, "something was made");

    // Without a terminal: all missing values are listed at once.
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
    command.args(["init", "--yes", "--group", "root", "--dir", "/nonexistent/wecom-gate"]).env_clear();
    let missing = ran(command).await;
    assert_eq!(missing.code, 64);
    for option in [
        "--origin",
        "--nocobase-account",
        "--nocobase-password-file",
        "--corp-id",
        "--agent-id",
        "--secret-file",
    ] {
        missing.shows(option);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
    command.args(["init", "--group", "root", "--dir", "/nonexistent/wecom-gate"]).env_clear();
    let nobody = ran(command).await;
    assert_eq!(nobody.code, 64);
    nobody.shows("no terminal");
}

/// Settings in WeCom's console can be made later.
#[tokio::test(flavor = "multi_thread")]
async fn wecoms_console_may_be_behind() {
    let scene = Scene::set().await;
    scene.sim.handle.configure(|s| {
        s.trusted_ips = Some(vec!["192.0.2.0/24".parse().unwrap()]);
        s.apparent_ip = Some("203.0.113.9".parse().unwrap());
    });
    let ran = scene.init(&[]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.shows("FAILED  wecom_trusted_ip");
    ran.shows("Corporate trusted IP), add:\n       203.0.113.9\n");
    scene.assert_complete();
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobases_secret_is_found_in_its_folder() {
    let scene = Scene::set().await;
    let folder = scene.dir.path().join("nocobase");
    fs::create_dir_all(folder.join("storage/apps/main")).unwrap();
    fs::write(folder.join(".env"), format!("APP_ENV=production\nAPP_KEY={SECRET}\n")).unwrap();
    // The secret of another NocoBase: found, tried, refused.
    fs::write(folder.join("storage/apps/main/jwt_secret.dat"), b"\x00\xffother bytes").unwrap();
    let mut command = scene.command(&["--yes", "--nocobase-dir", folder.to_str().unwrap()]);
    command.env_remove("WECOM_GATE_INIT_JWT_SECRET");
    let ran = ran(command).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.shows("found in APP_KEY in ");
    assert_eq!(fs::read_to_string(scene.path("app_key")).unwrap(), SECRET);
}

/// Killed during each of the calls, before or after it takes effect: the next run completes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_completes_an_interrupted_one() {
    for call in ["roles:create", "roles/wecom_gate/resources:create", "users:create", "auth:signOut"] {
        for carried_out in [true, false] {
            let scene = Scene::set().await;
            let long = Duration::from_secs(3600);
            let fault = if carried_out { Fault::late(long) } else { Fault::slow(long) };
            scene.nocobase.fault(call, fault, 1);
            let mut child =
                scene.command(&["--yes"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            eventually(&format!("{call} is called"), async || scene.nocobase.calls(call) > 0).await;
            child.kill().unwrap();
            child.wait().unwrap();
            scene.nocobase.heal();
            let ran = scene.init(&[]).await;
            assert_eq!(ran.code, 0, "{call}, {carried_out}: {}{}", ran.out, ran.err);
            scene.assert_complete();
        }
    }
}
