//! `wecom-gate sessions` and `wecom-gate members`: what they do with NocoBase alone, and how running gates react.

use http::Method;
use serde_json::{Value, json};

use crate::redis::{is_up, two};
use crate::support::config::KEY;
use crate::support::{APP_SECRET, Browser, Config, Redis, Stage, eventually};

struct Finished {
    code: i32,
    out: String,
    err: String,
}

impl Finished {
    fn json(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Runs a command with this configuration.
fn run_with(config: &Config, args: &[&str]) -> Finished {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.text()).unwrap();
    let mut command = std::process::Command::new(crate::support::program());
    command.args(args).arg("--conf").arg(file.path()).env_clear();
    command.env("TZ", "Asia/Shanghai").env("SUDO_USER", "anna");
    crate::support::few_roots(&mut command);
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    for secret in ["eyJ", KEY, APP_SECRET, nocobase_standin::SECRET] {
        assert!(!out.contains(secret) && !err.contains(secret), "r27: {args:?}: {out}{err}");
    }
    Finished { code: output.status.code().unwrap(), out, err }
}

fn run(stage: &Stage, args: &[&str]) -> Finished {
    run_with(&stage.config, args)
}

/// The userids of the sessions in the list.
fn listed(stage: &Stage, args: &[&str]) -> Vec<String> {
    let list = run(stage, &[&["sessions", "list", "--json"], args].concat()).json();
    let mut all: Vec<String> =
        list.as_array().unwrap().iter().map(|row| row["userid"].as_str().unwrap_or("-").to_owned()).collect();
    all.sort();
    all
}

async fn status(browser: &mut Browser) -> u16 {
    browser.api(Method::GET, "/api/orders:list").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_the_sessions_that_are_live() {
    let stage = Stage::start(|_| {}).await;
    assert_eq!(run(&stage, &["sessions", "list"]).out, "no sessions\n");
    stage.signed_in("zhangsan").await;
    stage.signed_in("zhangsan").await;
    let mut lisi = stage.signed_in("lisi").await;
    assert_eq!(listed(&stage, &[]), ["lisi", "zhangsan", "zhangsan"]);
    assert_eq!(listed(&stage, &["--member", "ZHANGSAN"]), ["zhangsan", "zhangsan"]);
    let post = lisi.request(Method::POST, "/wecom-gate/logout").header("origin", "http://gate.test");
    assert_eq!(lisi.send(post).await.status, 303);
    assert_eq!(listed(&stage, &[]), ["zhangsan", "zhangsan"]);

    let list = run(&stage, &["sessions", "list", "--json"]).json();
    let row = &list[0];
    let user =
        stage.nocobase.data().bindings.iter().find(|b| b["uuid"] == "zhangsan").unwrap()["userId"].clone();
    let known = (&row["entry"], &row["nocobase_user"], &row["via"]);
    assert_eq!(known, (&json!("wecom"), &user, &json!("wecom")), "{row}");
    let signed_in = humantime::parse_rfc3339(row["signed_in_at"].as_str().unwrap()).unwrap();
    assert!(signed_in.elapsed().unwrap().as_secs() < 3600, "{row}");
    let table = run(&stage, &["sessions", "list"]);
    let id = row["session"].as_str().unwrap();
    assert!(table.out.contains("SIGNED IN") && table.out.contains(" +08:00 "), "{}", table.out);
    assert!(table.out.contains(&id[..8]) && !table.out.contains(&id[..10]), "{}", table.out);

    // Missing read permissions leave columns out and are not an error.
    stage.nocobase.data().hidden = ["signInTime", "nickname"].into();
    let table = run(&stage, &["sessions", "list"]);
    assert!(
        table.code == 0 && !table.out.contains("+08:00") && table.out.contains("zhangsan"),
        "{}",
        table.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_session_can_be_ended_from_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let stage = Stage::start(|c| _ = c.set("log.audit_file", path.to_str().unwrap())).await;
    let mut one = stage.signed_in("zhangsan").await;
    let list = run(&stage, &["sessions", "list", "--json"]).json();
    let id = list[0]["session"].as_str().unwrap().to_owned();
    let mut other = stage.signed_in("zhangsan").await;
    let mut lisi = stage.signed_in("lisi").await;

    // Without `--yes`: shown, not ended.
    let end = ["sessions", "end", "--session", &id[..8]];
    let shown = run(&stage, &end);
    assert!(shown.code == 64 && shown.err.contains("--yes") && shown.err.contains(&id[..8]), "{}", shown.err);
    assert_eq!((status(&mut one).await, stage.nocobase.data().blocked.len()), (200, 0));

    let ended = run(&stage, &[&end[..], &["--yes"]].concat());
    assert!(ended.code == 0 && ended.out.contains("ended: 1"), "{}{}", ended.out, ended.err);
    assert_eq!([status(&mut one).await, status(&mut other).await, status(&mut lisi).await], [401, 200, 200]);
    assert_eq!(one.open("/admin").await.at, "/admin", "and may sign in again");
    let again = run(&stage, &[&end[..], &["--yes"]].concat());
    assert!(again.code == 1 && again.err.contains("no session"), "{}", again.err);

    let all = run(&stage, &["sessions", "end", "--member", "zhangsan", "--yes", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    assert_eq!([status(&mut one).await, status(&mut other).await, status(&mut lisi).await], [401, 401, 200]);
    assert_eq!(run(&stage, &["sessions", "end", "--all", "--yes"]).code, 0);
    assert_eq!(status(&mut lisi).await, 401);
    assert_eq!(listed(&stage, &[]), [""; 0]);

    let text = std::fs::read_to_string(&path).unwrap();
    let records: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let ended: Vec<&Value> = records.iter().filter(|r| r["actor"] == "administrator").collect();
    assert_eq!(ended.len(), 4, "{text}");
    let who = (&ended[0]["action"], &ended[0]["userid"], &ended[0]["reason"], &ended[0]["session"]);
    let shell = json!("from the shell, by anna");
    assert_eq!(who, (&json!("session_ended"), &json!("zhangsan"), &shell, &json!(id[..8])));
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_session_that_began_at_nocobases_own_form_can_be_ended_too() {
    let stage = Stage::start(|c| _ = c.set("access.browsers", "nocobase")).await;
    let anna = stage.nocobase.user(json!({ "username": "anna", "password": "secret" }));
    let mut chrome = Browser::new(&stage.gate, crate::support::browser::CHROME);
    let form = chrome.fetch(Method::POST, "/api/auth:signIn").header("origin", "http://gate.test");
    let answer = chrome.send(form.json(&json!({ "account": "anna", "password": "secret" }))).await;
    let token = answer.json()["data"]["token"].as_str().unwrap().to_owned();
    chrome.cookies.clear();
    let check = |browser: &Browser| {
        browser.fetch(Method::GET, "/api/auth:check").header("authorization", format!("Bearer {token}"))
    };
    assert_eq!(chrome.send(check(&chrome)).await.status, 200);
    let list = run(&stage, &["sessions", "list", "--json"]).json();
    assert_eq!((&list[0]["via"], &list[0]["nocobase_user"]), (&json!("password"), &json!(anna)), "{list}");
    let id = list[0]["session"].as_str().unwrap();
    assert_eq!(run(&stage, &["sessions", "end", "--session", id, "--yes"]).code, 0);
    assert_eq!(chrome.send(check(&chrome)).await.status, 401);
    // A node that has not seen its cookie before refuses it too.
    let node = stage.second_node().await;
    assert_eq!(chrome.go_to(&node).visit("/admin").await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_nodes_with_redis_know_within_a_second() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    for gate in [&stage.gate, &other] {
        is_up(gate, true).await;
    }
    let mut browser = stage.signed_in("zhangsan").await;
    let mut there = browser.clone();
    there.go_to(&other);
    assert_eq!(status(&mut there).await, 200);
    let calls = stage.nocobase.calls("orders:list");
    assert_eq!(run(&stage, &["sessions", "end", "--member", "zhangsan", "--yes"]).code, 0);
    for gate in [&stage.gate, &other] {
        gate.wait_for_log(&["\"session_ended\"", "ended on another node"]).await;
    }
    assert_eq!([status(&mut browser).await, status(&mut there).await], [401, 401]);
    assert_eq!(stage.nocobase.calls("orders:list"), calls, "the nodes refuse it themselves");
    // Redis is unreachable: NocoBase records the end anyway, and the command explains what that means.
    let mut again = stage.signed_in("zhangsan").await;
    drop(redis);
    let ended = run(&stage, &["sessions", "end", "--all", "--yes"]);
    assert!(ended.code == 0 && ended.out.contains("Redis") && ended.out.contains("recheck"), "{}", ended.out);
    assert_eq!(status(&mut again).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_is_unbound_is_matched_again() {
    let stage = Stage::start(|c| _ = c.set("nocobase.match_by", vec!["username"])).await;
    let old = stage.nocobase.user(json!({ "username": "old", "nickname": "Old\u{1b}[31m" }));
    stage.nocobase.bind("zhangsan", old);
    let mut browser = stage.signed_in("zhangsan").await;
    let shown = run(&stage, &["members", "show", "zhangsan", "--json"]).json();
    let known = (&shown["entry"], &shown["nocobase_user"], &shown["nocobase_name"]);
    assert_eq!(known, (&json!("wecom"), &json!(old), &json!("Old\u{1b}[31m")), "{shown}");
    assert_eq!(shown["sessions"].as_array().unwrap().len(), 1, "{shown}");
    let shown = run(&stage, &["members", "show", "zhangsan"]);
    assert!(shown.out.contains("zhangsan") && !shown.out.contains('\u{1b}'), "{}", shown.out);

    // The service account may not delete.
    stage.nocobase.user_with_id(2, json!({ "username": "administrator" }));
    stage.nocobase.data().undeletable = true;
    let denied = run(&stage, &["members", "unbind", "zhangsan"]);
    assert!(denied.code == 1 && denied.err.contains("--as-user"), "{}", denied.err);
    assert_eq!(status(&mut browser).await, 200, "nothing has changed");

    let done = run(&stage, &["members", "unbind", "zhangsan", "--as-user", "2", "--json"]).json();
    assert_eq!((&done["userid"], &done["sessions_ended"]), (&json!("zhangsan"), &json!(1)), "{done}");
    assert_eq!(status(&mut browser).await, 401);
    let gone = run(&stage, &["members", "show", "zhangsan"]);
    assert!(gone.code == 1 && gone.err.contains("no NocoBase user is bound"), "{}", gone.err);
    let new = stage.nocobase.user(json!({ "username": "zhangsan" }));
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 200);
    assert_eq!(run(&stage, &["members", "show", "zhangsan", "--json"]).json()["nocobase_user"], new);
}

/// What is not done is not recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_binding_removed_from_the_shell_is_in_the_audit_log_with_who_removed_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let stage = Stage::start(|c| _ = c.set("log.audit_file", path.to_str().unwrap())).await;
    let user = stage.nocobase.user(json!({ "username": "old" }));
    stage.nocobase.bind("zhangsan", user);
    stage.signed_in("zhangsan").await;
    let records = || -> Vec<Value> {
        let text = std::fs::read_to_string(&path).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|record| record["actor"] == "administrator").collect()
    };
    stage.nocobase.data().undeletable = true;
    assert_eq!(run(&stage, &["members", "unbind", "zhangsan"]).code, 1);
    assert_eq!(records(), [Value::Null; 0]);

    stage.nocobase.data().undeletable = false;
    let done = run(&stage, &["members", "unbind", "zhangsan"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let records = records();
    let actions: Vec<&Value> = records.iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["binding_removed", "session_ended"], "{records:?}");
    for (field, value) in [
        ("event", json!("audit")),
        ("entry", json!("wecom")),
        ("userid", json!("zhangsan")),
        ("nocobase_user", json!(user)),
        ("reason", json!("from the shell, by anna")),
        ("session", Value::Null),
        ("request_id", Value::Null),
        ("client", Value::Null),
    ] {
        assert_eq!(records[0][field], value, "{field}: {records:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unclear_or_impossible_changes_nothing() {
    let mut stage = Stage::start(|c| _ = c.another_entry("other")).await;
    stage.signed_in("zhangsan").await;
    let both = stage.nocobase.user(json!({}));
    stage
        .nocobase
        .data()
        .bindings
        .push(json!({ "uuid": "zhangsan", "authenticator": "other", "userId": both }));
    for (args, code, words) in [
        (vec!["sessions", "end", "--member", "zhangsan", "--yes"], 64, "--wecom"),
        (vec!["members", "unbind", "zhangsan"], 64, "--wecom"),
        (vec!["sessions", "end", "--member", "nobody", "--yes"], 1, "nobody"),
        (vec!["sessions", "end", "--session", "4f7c", "--yes"], 64, "at least 8"),
        (vec!["sessions", "end", "--yes"], 64, "--member"),
        (vec!["sessions", "end", "--all", "--member", "zhangsan", "--yes"], 64, "--all"),
        (vec!["sessions", "list", "--wecom", "x"], 64, "wecom, other"),
        (vec!["sessions", "list", "--app", "x"], 64, "main"),
    ] {
        let done = run(&stage, &args);
        assert!(done.code == code && done.err.contains(words), "{args:?}: {} {}", done.code, done.err);
    }
    assert_eq!(stage.nocobase.data().blocked.len(), 0);
    assert_eq!(listed(&stage, &["--wecom", "wecom"]), ["zhangsan"]);
    assert_eq!(listed(&stage, &["--wecom", "other"]), [""; 0]);

    stage.nocobase.fail("/api/issuedTokens:list", 500, "{}", 1);
    let failed = run(&stage, &["sessions", "list"]);
    assert!(failed.code == 1 && failed.err.contains("nocobase_bad_answer"), "{}", failed.err);
    stage.nocobase.down().await;
    let away = run(&stage, &["sessions", "list"]);
    assert!(away.code == 1 && away.err.contains("nocobase_unreachable"), "{}", away.err);
    stage.config.set("oirgin", "x");
    assert_eq!(run(&stage, &["sessions", "list"]).code, 78);
    eventually("the gate continues", async || {
        stage.phone("zhangsan").visit("/wecom-gate/sign-in").await.status == 200
    })
    .await;
}
