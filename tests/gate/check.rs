//! `wecom-gate check` against the simulator and the stand-in: each thing that can be wrong is found, by the step whose
//! business it is, with a remedy; and nothing is left behind.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::{Value, json};
use wecom_sim::{Fault, FaultKind, Options, Running, Simulator};

use crate::support::{APP_SECRET, CORP, Config, Gate, NocoBase, Redis, SERVICE_USER, Stage, config::KEY};

const TOKEN: &str = "/cgi-bin/gettoken";
const AGENT_GET: &str = "/cgi-bin/agent/get";

/// Everything is right but one thing: nobody listens at `origin`.
/// (Other tests listen at 127.0.0.1, at any port that is free.)
struct Scene {
    sim: Running,
    nocobase: NocoBase,
    config: Config,
}

impl Scene {
    async fn set() -> Scene {
        // A port that was free a moment ago: for the gate, or for nobody.
        let free = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
        let origin = format!("http://{free}");
        let options = Options { app_origin: Some(origin.parse().unwrap()), ..Options::default() };
        let sim = Simulator::start(options).await.unwrap();
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

/// The command, with no other environment than this; its output never shows a secret.
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

    /// This step, and no other, has failed; it says so, and what to do.
    fn only_failure(&self, name: &str, words: &str) {
        assert_eq!((self.with("failed"), self.code), (vec![name], 1), "{:#}", self.report);
        self.says(name, words);
        for finding in self.step(name)["findings"].as_array().unwrap() {
            assert!(!finding["remedy"].as_str().unwrap().is_empty(), "no remedy: {finding}");
        }
    }

    fn says(&self, name: &str, words: &str) {
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
    assert_eq!(checked.with("skipped"), ["tls", "wecom_rules", "nocobase_private", "member", "redis"]);
    checked.says("nocobase_reachable", "NocoBase 2.2.15");
    scene.nocobase.data().token_policy = Some((std::time::Duration::from_secs(300), true));
    scene.check(&[]).await.says("nocobase_secret", "its token policy: 300000ms, sessions 7d");
    scene.nocobase.data().token_policy = None;
    {
        let data = scene.nocobase.data();
        assert_eq!((data.users.len(), data.bindings.len(), data.tokens.len()), (1, 0, 0));
        assert!(data.blocked.is_empty());
    }

    // For people: no colours where there is no terminal, or where they are not wanted.
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
async fn wecoms_side() {
    let mut scene = Scene::set().await;
    let good = scene.config.clone();
    let sim = scene.sim.handle.clone();

    sim.configure(|s| {
        s.trusted_ips = Some(vec!["192.0.2.0/24".parse().unwrap()]);
        s.apparent_ip = Some("203.0.113.9".parse().unwrap());
    });
    let checked = scene.check(&[]).await;
    checked.only_failure("wecom_trusted_ip", "add 203.0.113.9 in WeCom's console");
    checked.says("wecom_trusted_ip", "企业可信IP");
    checked.says("wecom_agent", "wecom_trusted_ip failed");
    sim.reset();
    let origin = good.0["origin"].as_str().unwrap().to_owned();
    scene.app(|a| a.gate = origin.clone());
    scene.check(&[]).await.says("wecom_callback_domain", "\"ok\"");

    let contact = sim.data().companies.iter().find(|c| c.corp_id == CORP).unwrap().contact_secret.clone();
    for (key, value, step, words) in [
        ("wecom.secret", "CANARY-wrong-secret", "wecom_secret", "errcode 40001"),
        ("wecom.secret", contact.as_str(), "wecom_secret", "errcode 48002"),
        ("wecom.corp_id", "ww9999999999999999", "wecom_secret", "errcode 40013"),
        ("wecom.agent_id", "1000003", "wecom_agent", "errcode 301002"),
        ("wecom.api_base", "http://127.0.0.1:1", "wecom_reachable", "no answer in time"),
    ] {
        scene.config.set(key, value);
        scene.check(&[]).await.only_failure(step, words);
        scene.config = good.clone();
    }
    scene.config.set("wecom.allow_tags", vec![987_654]);
    scene.check(&[]).await.only_failure("wecom_rules", "visible range");
    scene.config = good.clone();

    for (fault, step, words) in [
        (Fault::new(TOKEN, FaultKind::Html), "wecom_reachable", "not as WeCom's API does"),
        (Fault::new(TOKEN, FaultKind::Drop), "wecom_reachable", "no answer"),
        (Fault::new(TOKEN, FaultKind::Status(502)), "wecom_reachable", "no answer"),
        (Fault::new(TOKEN, FaultKind::Errcode(-1)), "wecom_reachable", "errcode -1"),
        (Fault::new(TOKEN, FaultKind::Errcode(45009)), "wecom_reachable", "checkCorpSpamBlock"),
        (Fault::new(AGENT_GET, FaultKind::Hang), "wecom_reachable", "no answer in time"),
        (Fault::new(AGENT_GET, FaultKind::Errcode(40014)), "wecom_secret", "fresh access token"),
    ] {
        sim.add_fault(fault);
        scene.check(&[]).await.only_failure(step, words);
        sim.clear_faults();
    }

    scene.app(|a| a.trusted_domain = "other.example.com".into());
    let checked = scene.check(&[]).await;
    checked.only_failure("wecom_callback_domain", "other.example.com");
    checked.says("wecom_callback_domain", "网页授权及JS-SDK");
    scene.app(|a| {
        a.trusted_domain = String::new();
        a.closed = true;
    });
    scene.check(&[]).await.only_failure("wecom_agent", "switched off");
    scene.app(|a| {
        a.closed = false;
        a.visible = Default::default();
    });
    scene.check(&[]).await.only_failure("wecom_visible_range", "可见范围");

    scene.app(|a| a.visible.departments = vec![1]);
    sim.set_clock_offset_ms(-600_000);
    scene.check(&[]).await.only_failure("clock", "ahead of");
    sim.set_clock_offset_ms(60_000);
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("clock")["outcome"]), (0, &json!("warning")));
    checked.says("clock", "behind 127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobases_side() {
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

    // Each right, and what is not needed is not asked for.
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
    scene.check(&[]).await.only_failure("nocobase_rights", "without phone");
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
    checked.says("member", "skipped");
    let data = scene.nocobase.data();
    assert_eq!(
        (data.users.len(), data.bindings.len(), data.tokens.len()),
        (1, 0, 0),
        "something is left behind"
    );
}

/// The first tap would be refused: the administrator knows before.
#[tokio::test(flavor = "multi_thread")]
async fn whom_members_can_be_matched_with() {
    let mut scene = Scene::set().await;
    scene.check(&[]).await.says("nocobase_users", "of 1 NocoBase users 1 have a phone number");
    scene.nocobase.data().users[0]["phone"] = Value::Null;
    let checked = scene.check(&["--member", "zhangsan"]).await;
    assert_eq!((checked.code, &checked.step("nocobase_users")["outcome"]), (1, &json!("warning")));
    checked.only_failure(
        "member",
        "refused: no_matching_user, because of 1 NocoBase users 0 have a phone number",
    );
    checked.says("member", "nocobase.auto_create_user = true");
    scene.config.set("nocobase.auto_create_user", true);
    let checked = scene.check(&["--member", "zhangsan"]).await;
    assert_eq!((checked.code, &checked.step("nocobase_users")["outcome"]), (0, &json!("ok")));
    checked.says("member", "a user is made for a member who matches nobody");
}

/// https where plain HTTP is spoken: said in so many words.
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
        .only_failure("wecom_reachable", "begins with https://, but plain HTTP is spoken there");
    scene.config = good;
    let origin = scene.config.0["origin"].as_str().unwrap().replace("http://", "https://");
    scene.config.set("origin", origin);
    scene.check(&[]).await.says("origin", "begins with https://, but plain HTTP is spoken there");
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_and_certificate() {
    let mut scene = Scene::set().await;
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("origin")["outcome"]), (0, &json!("warning")));
    checked.says("origin", "start it and check again");

    // NocoBase itself is reached where the gate should be.
    let good = scene.config.clone();
    let past = scene.nocobase.address;
    scene.config.set("origin", format!("http://{past}"));
    scene.app(|a| a.gate = format!("http://{past}"));
    scene.check(&[]).await.only_failure("origin", "something else than this gate answers: HTTP 200");
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
    scene.check(&["--offline"]).await.only_failure("tls", "signed by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_of_a_member_is_tried_without_its_effects() {
    let mut scene = Scene::set().await;
    let says = async |scene: &Scene, member: &str, outcome: &str, words: &str| {
        let checked = scene.check(&["--member", member]).await;
        assert_eq!(checked.step("member")["outcome"], outcome, "{:#}", checked.report);
        assert_eq!(checked.code, i32::from(outcome == "failed"));
        checked.says("member", words);
    };
    says(&scene, "zhangsan", "ok", "shows at the first sign-in").await;
    says(&scene, "nobody-at-all", "failed", "not_visible").await;
    says(&scene, "other/zhangsan", "failed", "one of: wecom").await;
    scene.sim.handle.set_status(CORP, "zhangsan", 2).unwrap();
    says(&scene, "zhangsan", "failed", "member_disabled").await;
    scene.sim.handle.set_status(CORP, "zhangsan", 1).unwrap();

    scene.config.set("wecom.allow_users", vec!["lisi"]);
    says(&scene, "zhangsan", "failed", "not_allowed").await;
    scene.config.unset("wecom.allow_users").set("nocobase.match_by", vec!["username"]);
    says(&scene, "zhangsan", "failed", "no_matching_user").await;
    scene.config.set("nocobase.auto_create_user", true);
    says(&scene, "wecom/zhangsan", "ok", "would get a new NocoBase user").await;
    let user = scene.nocobase.user(json!({ "username": "zhangsan", "nickname": "Zhang" }));
    says(&scene, "zhangsan", "ok", &format!("would be bound to NocoBase user {user} (Zhang)")).await;
    let binding = |uuid: &str| json!({ "authenticator": "wecom", "uuid": uuid, "userId": user });
    scene.nocobase.data().bindings.push(binding("somebody-else"));
    says(&scene, "zhangsan", "failed", "already_bound").await;
    scene.nocobase.data().bindings[0] = binding("ZhangSan");
    says(&scene, "zhangsan", "ok", &format!("is bound to NocoBase user {user}")).await;

    let data = scene.nocobase.data();
    assert_eq!(
        (data.users.len(), data.bindings.len(), data.tokens.len()),
        (2, 1, 0),
        "something is left behind"
    );
    assert!(
        data.requests.iter().all(|s| !s.target.contains(":create") || s.body_len <= 2),
        "a row was asked for"
    );
}

/// What the stage of the other tests has: an origin whose name nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_that_does_not_resolve() {
    let stage = Stage::start(|_| {}).await;
    let output = run(&stage.config, &["--json"], &[]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let origin = report["steps"].as_array().unwrap().iter().find(|s| s["name"] == "origin").unwrap();
    assert_eq!(origin["outcome"], "warning");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_tried_with_everything_that_the_gate_does() {
    let mut scene = Scene::set().await;
    let open = Redis::start();
    scene.config.set("session.redis", open.url());
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, checked.with("failed")), (0, vec![]), "{:#}", checked.report);
    assert_eq!(checked.step("redis")["outcome"], "ok");
    checked.says("redis", &format!("at {}", open.address));
    assert!(open.keys("").is_empty(), "nothing is left behind");

    // It may throw away what it is given.
    let _: String = open.ask("CONFIG SET maxmemory 100mb");
    let _: String = open.ask("CONFIG SET maxmemory-policy allkeys-lru");
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("redis")["outcome"]), (0, &json!("warning")));
    checked.says("redis", "noeviction");
    let _: String = open.ask("CONFIG SET maxmemory-policy noeviction");

    // A replica, a user of few rights, a database that is not there.
    let _: String = open.ask("REPLICAOF 127.0.0.1 1");
    scene.check(&[]).await.only_failure("redis", "name the primary");
    let _: String = open.ask("REPLICAOF NO ONE");
    let least = "+set +get +del +expire +xadd +xread +xrevrange +select +info";
    let _: String = open.ask(&format!("ACL SETUSER gate on >CANARY ~wecom-gate:* {least}"));
    let _: String = open.ask("ACL SETUSER less on >CANARY ~wecom-gate:* +set +get +del +info");
    let as_user = |user: &str, db: &str| format!("redis://{user}:CANARY@{}/{db}", open.address);
    scene.config.set("session.redis", as_user("gate", "1"));
    assert_eq!(
        scene.check(&[]).await.step("redis")["outcome"],
        "ok",
        "what the documentation says is enough"
    );
    scene.config.set("session.redis", as_user("less", "0"));
    let checked = scene.check(&[]).await;
    checked.only_failure("redis", "NOPERM");
    for command in ["EXPIRE", "XADD", "XREAD", "XREVRANGE"] {
        checked.says("redis", &format!("refuses {command}:"));
    }
    checked.says("redis", "ACL SETUSER");
    scene.config.set("session.redis", as_user("gate", "99"));
    scene.check(&[]).await.only_failure("redis", "ERR");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_is_not_there_or_does_not_let_in() {
    let mut scene = Scene::set().await;
    let mut redis = Redis::start_with(&["--requirepass", "the right one"]);
    let url = |password: &str| format!("redis://{password}{}", redis.address);
    let (none, wrong, right) = (url(""), url(":CANARY@"), url(":the%20right%20one@"));
    scene.config.set("session.redis", none);
    scene.check(&[]).await.only_failure("redis", "NOAUTH");
    scene.config.set("session.redis", wrong);
    scene.check(&[]).await.only_failure("redis", "the password is wrong");
    scene.config.set("session.redis", right);
    assert_eq!(scene.check(&[]).await.step("redis")["outcome"], "ok");
    redis.down();
    scene.check(&[]).await.only_failure("redis", "the connection is refused");

    scene.config.set("session.redis", "redis://no-such-host.invalid");
    scene.check(&[]).await.only_failure("redis", "correct the host");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    scene.config.set("session.redis", format!("redis://{}", silent.local_addr().unwrap()));
    scene.check(&[]).await.only_failure("redis", "no answer within a second");
    // NocoBase is not Redis, and Redis without TLS is no Redis with it.
    scene.config.set("session.redis", format!("redis://{}", scene.nocobase.address));
    scene.check(&[]).await.only_failure("redis", "another program");
    redis.up();
    scene.config.set("session.redis", format!("rediss://{}", redis.address));
    scene.check(&[]).await.only_failure("redis", "redis:// and rediss://");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_about_roles() {
    let mut scene = Scene::set().await;
    let rule: toml::Table = "department = 3\nrole = 'sales'".parse().unwrap();
    scene.config.set("wecom.roles", vec![rule]);
    scene.check(&[]).await.only_failure("nocobase_rights", "without roles");
    scene.nocobase.data().role["actions"]["users:view"]["appends"] = json!(["roles"]);
    scene.nocobase.fail("users:update", 403, r#"{"errors":[{"message":"No permissions"}]}"#, usize::MAX);
    scene.check(&[]).await.only_failure("nocobase_rights", "users:update");
    scene.nocobase.heal();
    scene.nocobase.data().role["actions"]["users:update"] = json!({ "whitelist": ["roles"] });
    let checked = scene.check(&[]).await;
    for step in ["nocobase_rights", "wecom_rules"] {
        assert_eq!(checked.step(step)["outcome"], "ok", "{:#}", checked.report);
    }
    checked.says("nocobase_rights", "whether the roles exist: sales");
    checked.says("wecom_rules", "1 roles");
}
