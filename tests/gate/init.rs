//! `wecom-gate init` against the simulator and the stand-in: from nothing to a gate that starts, twice, after damage, and
//! after an interruption at each of its calls.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nocobase_standin::{Fault, SECRET};
use serde_json::{Value, json};
use tempfile::TempDir;
use wecom_sim::{Options, Running, Simulator};

use crate::support::{AGENT, APP_SECRET, CORP, NocoBase, eventually};

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
        let free = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
        let origin = format!("http://{free}");
        let options = Options { app_origin: Some(origin.parse().unwrap()), ..Options::default() };
        let sim = Simulator::start(options).await.unwrap();
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

    /// Without what is secret; those come from the environment.
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

    /// Everything in NocoBase and in the folder is there once, and as it should be.
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
        assert_eq!(names, 4, "something is left behind");
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
    fn says(&self, words: &str) {
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
    planned.says("make the role wecom_gate");
    planned.says("nothing has been changed");
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
        first.says(words);
    }
    let key = scene.assert_complete();
    assert!(!scene.nocobase.data().blocked.is_empty(), "the administrator's session goes on");

    let second = scene.init(&["--lang", "zh"]).await;
    assert_eq!(second.code, 0, "{}{}", second.out, second.err);
    second.says("无需执行任何操作");
    second.says("应用主页");
    assert_eq!(scene.assert_complete(), key, "a new session key signs everybody out");

    // What the person has changed since stays; what is answered differently is changed.
    let path = scene.path("wecom-gate.toml");
    let text = fs::read_to_string(&path).unwrap().replace("#idle = \"12h\"", "idle = \"8h\" # ours");
    fs::write(&path, text).unwrap();
    let third = scene.init(&["--accounts", "create", "--verify-file", "WW_verify_a1.txt"]).await;
    assert_eq!(third.code, 0, "{}{}", third.out, third.err);
    third.says("repair the rights of the role wecom_gate to users: create, view");
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

    // Somebody has cleaned up in NocoBase by hand, as its pages do it: the rows of the rights stay.
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
    again.says("remove a second row");
    again.says("correct owner and mode of");
    assert_eq!(scene.assert_complete(), key);

    // The role may do more than it should, the user has another one beside it.
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
        ran.says(words);
    }
    for (option, value, words) in [
        ("--origin", "nb.example.com", "origin = \"nb.example.com\""),
        ("--nocobase", "127.0.0.1:1", "FAILED  nocobase_reachable"),
        ("--corp-id", "ww9999999999999999", "errcode 40013"),
        ("--agent-id", "1000003", "FAILED  wecom_agent"),
    ] {
        // The last one of an option counts.
        let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
        let mut arguments = scene.arguments();
        let at = arguments.iter().position(|a| a == option).unwrap();
        arguments[at + 1] = value.to_owned();
        let prepared = scene.command(&[]);
        command.arg("init").arg("--yes").args(arguments).env_clear();
        command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ran = ran(command).await;
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        ran.says(words);
    }
    assert!(!scene.path("").exists() && scene.nocobase.data().roles.len() == 1, "something was made");

    // Nobody to ask: everything that is missing, at once.
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
        missing.says(option);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
    command.args(["init", "--group", "root", "--dir", "/nonexistent/wecom-gate"]).env_clear();
    let nobody = ran(command).await;
    assert_eq!(nobody.code, 64);
    nobody.says("no terminal");
}

/// Whatever belongs to WeCom's console can come later.
#[tokio::test(flavor = "multi_thread")]
async fn wecoms_console_may_be_behind() {
    let scene = Scene::set().await;
    scene.sim.handle.configure(|s| {
        s.trusted_ips = Some(vec!["192.0.2.0/24".parse().unwrap()]);
        s.apparent_ip = Some("203.0.113.9".parse().unwrap());
    });
    let ran = scene.init(&[]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.says("FAILED  wecom_trusted_ip");
    ran.says("Corporate trusted IP), add:\n       203.0.113.9\n");
    scene.assert_complete();
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobases_secret_is_found_in_its_folder() {
    let scene = Scene::set().await;
    let folder = scene.dir.path().join("nocobase");
    fs::create_dir_all(folder.join("storage/apps/main")).unwrap();
    fs::write(folder.join(".env"), format!("APP_ENV=production\nAPP_KEY={SECRET}\n")).unwrap();
    // Of another NocoBase: found, tried, not accepted.
    fs::write(folder.join("storage/apps/main/jwt_secret.dat"), b"\x00\xffother bytes").unwrap();
    let mut command = scene.command(&["--yes", "--nocobase-dir", folder.to_str().unwrap()]);
    command.env_remove("WECOM_GATE_INIT_JWT_SECRET");
    let ran = ran(command).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.says("found in APP_KEY in ");
    assert_eq!(fs::read_to_string(scene.path("app_key")).unwrap(), SECRET);
}

/// Killed while each of the calls is under way, carried out or not: the next run mends it.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_anywhere_a_second_run_mends() {
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

/// A terminal that can only print lines, in front of a person who types; nothing that steers a terminal is sent to it.
struct Typist {
    child: Child,
    seen: String,
    output: std::sync::mpsc::Receiver<u8>,
    /// What the key Enter sends.
    enter: &'static str,
}

impl Typist {
    fn start(scene: &Scene, terminal: &str) -> Typist {
        let conf = scene.path("").display().to_string();
        let program = env!("CARGO_BIN_EXE_wecom-gate");
        let mut arguments = vec!["--dir".to_owned(), conf, "--group".into(), "root".into()];
        let all = scene.arguments();
        for option in ["--listen", "--api-base", "--authorize-url", "--web-login-url"] {
            let at = all.iter().position(|a| a == option).unwrap();
            arguments.extend([all[at].clone(), all[at + 1].clone()]);
        }
        let line = format!("exec {program} init {}", arguments.join(" "));
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .envs([("TERM", terminal), ("PATH", "/usr/bin:/bin"), ("SHELL", "/bin/sh")])
            .env("WECOM_GATE_INIT_JWT_SECRET", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, output) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut byte = [0];
            while stdout.read(&mut byte).is_ok_and(|n| n > 0) && sender.send(byte[0]).is_ok() {}
        });
        let enter = if terminal == "dumb" { "\n" } else { "\r" };
        Typist { child, seen: String::new(), output, enter }
    }

    fn read_until(&mut self, words: &str) {
        let mut bytes = Vec::new();
        let from = self.seen.len();
        while !self.seen[from..].contains(words) {
            let byte = self.output.recv_timeout(Duration::from_secs(60));
            bytes.push(byte.unwrap_or_else(|_| panic!("{words:?} is not shown: {}", self.seen)));
            if let Ok(text) = String::from_utf8(bytes.clone()) {
                self.seen.push_str(&text);
                bytes.clear();
            }
        }
    }

    /// Waits until what is typed is not shown: what was typed before that is lost, as it should be.
    fn wait_for_no_echo(&self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let began = std::time::Instant::now();
        loop {
            let child = fs::read_to_string(&children).unwrap_or_default();
            let child = child.split_whitespace().next().unwrap_or("none");
            if let Ok(terminal) = fs::read_link(format!("/proc/{child}/fd/0")) {
                let stty = Command::new("stty").arg("-F").arg(terminal).arg("-a").output().unwrap();
                if String::from_utf8_lossy(&stty.stdout).split_whitespace().any(|word| word == "-echo") {
                    return;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(60), "what is typed is shown: {}", self.seen);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answer(&mut self, question: &str, answer: &str) {
        self.read_until(question);
        if question.contains("(not shown)") {
            self.wait_for_no_echo();
        }
        write!(self.child.stdin.as_mut().unwrap(), "{answer}{}", self.enter).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_answers_on_a_dumb_terminal() {
    let scene = Scene::set().await;
    let (typist, scene) = tokio::task::spawn_blocking(move || {
        let mut typist = Typist::start(&scene, "dumb");
        typist.answer("Address that people will open", &scene.origin);
        typist.answer("NocoBase's host and port [127.0.0.1:13000]: ", &scene.nocobase.address.to_string());
        typist.answer("NocoBase's administrator", "admin@nocobase.com");
        typist.answer("Password (not shown): ", "wrong");
        typist.read_until("password is incorrect");
        typist.answer("NocoBase's administrator", "admin@nocobase.com");
        typist.answer("Password (not shown): ", PASSWORD);
        typist.answer("CorpID", CORP);
        typist.answer("AgentId", &AGENT.to_string());
        typist.answer("Secret of the app (not shown): ", "mistyped");
        typist.answer("Answer again?", "");
        typist.answer("CorpID", "");
        typist.answer("AgentId", "");
        typist.answer("Secret of the app (not shown): ", APP_SECRET);
        typist.answer("(1 of 1 users have one)", "2");
        typist.answer("Do this?", "y");
        typist.read_until("check --conf");
        assert!(typist.child.wait().unwrap().success(), "{}", typist.seen);
        (typist, scene)
    })
    .await
    .unwrap();
    scene.assert_complete();
    for never in ["\x1b", APP_SECRET, PASSWORD, SECRET] {
        assert!(!typist.seen.contains(never), "{never:?} is shown: {}", typist.seen);
    }
    assert!(fs::read_to_string(scene.path("wecom-gate.toml")).unwrap().contains("auto_create_user = true"));
}

/// Questions with a cursor, and a "no" before anything is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_declines() {
    let scene = Scene::set().await;
    let scene = tokio::task::spawn_blocking(move || {
        let mut typist = Typist::start(&scene, "xterm");
        typist.answer("Address that people will open", &scene.origin);
        typist.answer("NocoBase's host and port", &scene.nocobase.address.to_string());
        typist.answer("NocoBase's administrator", "admin@nocobase.com");
        typist.answer("Password (not shown)", PASSWORD);
        typist.answer("CorpID", CORP);
        typist.answer("AgentId", &AGENT.to_string());
        typist.answer("Secret of the app (not shown)", APP_SECRET);
        typist.answer("users have one", "");
        typist.read_until("Do this?");
        write!(typist.child.stdin.as_mut().unwrap(), "n").unwrap();
        assert!(!typist.child.wait().unwrap().success(), "{}", typist.seen);
        scene
    })
    .await
    .unwrap();
    assert!(!scene.path("").exists() && scene.nocobase.data().roles.len() == 1);
}

/// What conf/docker-compose.yml gives to `init`, filled in as its example of an `.env` wants it, makes a gate that can start: with
/// the files of the container's user, and again at each `up`.
#[tokio::test(flavor = "multi_thread")]
async fn the_compose_file_gives_all_that_it_needs() {
    let scene = Scene::set().await;
    let secrets = scene.dir.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    for (name, value) in [("wecom_secret", APP_SECRET), ("admin_password", PASSWORD), ("app_key", SECRET)] {
        fs::write(secrets.join(name), value).unwrap();
    }
    let agent = AGENT.to_string();
    let address = scene.nocobase.address.to_string();
    let filled = [
        ("${ORIGIN:?}", scene.origin.as_str()),
        ("${CORP_ID:?}", CORP),
        ("${AGENT_ID:?}", &agent),
        ("${VERIFY_FILE:-}", ""),
        ("${ACCOUNTS:-match}", "match"),
        ("${ADMIN_EMAIL:?}", "admin@nocobase.com"),
        // Of the network of the containers.
        ("nocobase:80", &address),
        ("0.0.0.0:8080", scene.origin.strip_prefix("http://").unwrap()),
        ("/run/secrets", secrets.to_str().unwrap()),
    ];
    let compose = include_str!("../../conf/docker-compose.yml");
    let given: Vec<(String, String)> = compose
        .lines()
        .filter_map(|l| l.trim().split_once(": ").filter(|(name, _)| name.starts_with("WECOM_GATE_INIT_")))
        .map(|(name, value)| {
            let value = filled.iter().fold(value.to_owned(), |value, (from, to)| value.replace(from, to));
            assert!(!value.contains("${"), "{name}: {value}");
            (name.to_owned(), value)
        })
        .collect();
    assert!(given.len() > 8 && compose.contains("command: [init, --yes]"));
    let (api, authorize, web) = (scene.sim.base(), scene.sim.authorize_url(), scene.sim.web_login_url());
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
        command.args(["init", "--yes", "--group", "root", "--dir"]).arg(scene.path("")).env_clear();
        // Whatever else there is, unset and passed on.
        for name in ["PUBLIC_PATH", "API_BASE", "AUTHORIZE_URL", "WEB_LOGIN_URL", "SECRET", "JWT_SECRET"] {
            command.env(format!("WECOM_GATE_INIT_{name}"), "");
        }
        command.envs(given.iter().cloned());
        // The simulator stands for WeCom.
        command.args([
            "--api-base",
            api.as_str(),
            "--authorize-url",
            authorize.as_str(),
            "--web-login-url",
            web.as_str(),
        ]);
        let init = ran(command).await;
        assert_eq!(init.code, 0, "{}{}", init.out, init.err);
        keys.push(scene.assert_complete());
    }
    assert_eq!(keys[0], keys[1], "nobody is signed out");
    let text = fs::read_to_string(scene.path("wecom-gate.toml")).unwrap();
    assert!(text.contains("172.31.80.1"), "{text}");
}
