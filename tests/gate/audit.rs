//! The audit log: each action once, in its own file, which can be renamed at any time, and without any credential.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use http::Method;
use serde_json::{Value, json};
use toml::Value as Toml;
use wecom_gate::audit::Action;

use crate::events::member_left;
use crate::numbers::numbers;
use crate::redis::two;
use crate::support::browser::CHROME;
use crate::support::config::KEY;
use crate::support::{APP_SECRET, Browser, CORP, Gate, Redis, Stage, becomes, eventually};

/// A name that would forge a log line if it were not escaped.
const HOSTILE: &str =
    "x\",\"actor\":\"administrator\"}\n{\"event\":\"audit\",\"action\":\"sign_in\"}\r\n\u{1b}[31m\\";

struct Written {
    folder: tempfile::TempDir,
}

impl Written {
    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// All lines so far, each of which is one JSON object.
    fn lines(&self) -> Vec<Value> {
        lines(&self.path())
    }

    /// Waits until there is a record of this action; it must be the only one.
    async fn only(&self, action: &str) -> Value {
        let all = || self.lines().into_iter().filter(|l| l["action"] == action).collect::<Vec<_>>();
        eventually(action, async || !all().is_empty()).await;
        let all = all();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may be incomplete.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

fn role(group: &str, id: i64, role: &str) -> Toml {
    let mut rule = toml::Table::new();
    rule.insert(group.into(), Toml::Integer(id));
    rule.insert("role".into(), Toml::String(role.into()));
    Toml::Table(rule)
}

async fn stage() -> (Stage, Written) {
    let written = Written { folder: tempfile::tempdir().unwrap() };
    let path = written.path();
    let stage = Stage::start(|c| {
        c.set("log.audit_file", path.to_str().unwrap())
            .set("log.level", "error,wecom_gate::access=info,wecom_gate::server=info")
            .set("nocobase.match_by", vec!["username"])
            .set("wecom.event_token", "testToken0123456789")
            .set("wecom.event_aes_key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
            .set("wecom.roles", vec![role("department", 2, "engineer"), role("tag", 1, "manager")]);
    })
    .await;
    (stage, written)
}

fn renamed(stage: &Stage, userid: &str, name: &str) {
    let mut member = stage.wecom().members(CORP).into_iter().find(|m| m.userid == userid).unwrap();
    name.clone_into(&mut member.name);
    stage.wecom().set_member(CORP, member).unwrap();
}

async fn sign_out(browser: &mut Browser) {
    let post = browser.request(Method::POST, "/wecom-gate/logout").header("origin", "http://gate.test");
    assert_eq!(browser.send(post).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_is_recorded_once() {
    let (stage, written) = stage().await;
    // In departments and a tag of the rules, with a role of another rule.
    let lisi = stage
        .nocobase
        .user(json!({ "username": "lisi", "roles": [{ "name": "engineer" }, { "name": "member" }] }));
    renamed(&stage, "lisi", HOSTILE);
    let mut phone = stage.phone("lisi");
    assert_eq!(phone.open("/admin").await.status, 200);

    let signed_in = written.only("sign_in").await;
    let known = json!({
        "event": "audit", "action": "sign_in", "actor": "member", "app": "main", "entry": "wecom", "userid": "lisi",
        "name": HOSTILE, "nocobase_user": lisi, "via": "wecom", "role": null, "label": null, "reason": null,
        "client": "127.0.0.1",
    });
    for (member, value) in known.as_object().unwrap() {
        assert_eq!(&signed_in[member], value, "{member}: {signed_in}");
    }
    assert_eq!(signed_in["session"].as_str().unwrap().len(), 8, "{signed_in}");
    let id = signed_in["request_id"].as_str().unwrap().to_owned();
    let bound = written.only("binding_made").await;
    assert_eq!((&bound["nocobase_user"], &bound["actor"]), (&json!(lisi), &json!("gate")));
    assert_eq!(bound["request_id"], *id, "all of it happened in one request");
    for (action, role) in [("role_given", "manager"), ("role_taken", "engineer")] {
        let record = written.only(action).await;
        assert_eq!((&record["role"], &record["actor"]), (&json!(role), &json!("gate")), "{record}");
        assert_eq!(record["request_id"], *id);
    }

    // Twice: the second time there is no session to end.
    let mut copy = phone.clone();
    sign_out(&mut phone).await;
    sign_out(&mut copy).await;
    let out = written.only("sign_out").await;
    assert_eq!((&out["session"], &out["reason"]), (&signed_in["session"], &json!("signed out")));
    assert!(out["request_id"].is_string() && out["request_id"] != *id, "{out}");

    let refused = stage.phone("WangWu").open("/admin").await;
    assert_eq!(refused.status, 403);
    let record = written.only("refused").await;
    assert_eq!((&record["label"], &record["userid"]), (&json!("no_matching_user"), &json!("WangWu")));
    assert!(refused.body.contains(record["request_id"].as_str().unwrap()), "what the page shows: {record}");

    stage.bound("zhangsan");
    stage.signed_in("zhangsan").await;
    member_left(&stage, "zhangsan").await;
    let left = written.only("session_ended").await;
    let who = (&left["userid"], &left["actor"], &left["reason"]);
    assert_eq!(who, (&json!("zhangsan"), &json!("wecom"), &json!("left the visible range")));

    stage.gate.signal("HUP");
    let reload = written.only("configuration_reloaded").await;
    assert_eq!((&reload["actor"], &reload["userid"]), (&json!("administrator"), &Value::Null));

    let all = written.lines();
    // These two come from the command line and the console, see `admin` and `console`.
    let elsewhere = ["binding_removed", "check_run"];
    for action in Action::ALL.iter().map(|a| a.name()).filter(|a| !elsewhere.contains(a)) {
        assert!(all.iter().any(|l| l["action"] == action), "{action}");
    }
    let members = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(all.iter().all(|l| members(l) == members(&all[0])), "every line has every member");
    // With the log's level above `info` the records are only in the file.
    assert!(!stage.gate.written_until_now().await.contains("\"audit\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_same_records() {
    let stage = Stage::start(|_| {}).await;
    stage.signed_in("zhangsan").await;
    let lines = stage.gate.wait_for_lines("event", "audit", 1).await;
    assert_eq!((&lines[0]["action"], &lines[0]["userid"]), (&json!("sign_in"), &json!("zhangsan")));
    let raw = stage.gate.wait_for_log(&["\"audit\"", "sign_in"]).await;
    assert_eq!(raw.matches("\"request_id\"").count(), 1, "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_by_nocobase_and_replaced_sessions_are_distinguished() {
    let (stage, written) = stage().await;
    let browser = stage.signed_in("zhangsan").await;
    // The same browser signs in as another user.
    stage.bound("lisi");
    let mut other = browser.clone().member("lisi");
    let callback = {
        let mut fresh = other.clone();
        fresh.cookies.clear();
        let back = fresh.up_to_callback("/admin").await;
        other.cookies.extend(fresh.cookies);
        back
    };
    other.visit(&callback).await;
    let ended = written.only("session_ended").await;
    let who = (&ended["userid"], &ended["actor"], &ended["reason"]);
    assert_eq!(who, (&json!("zhangsan"), &json!("member"), &json!("replaced by a new sign-in")));
    // And NocoBase ends the new session.
    other.visit("/admin").await;
    let jti = stage.nocobase.data().tokens.last().unwrap()["jti"].as_str().unwrap().to_owned();
    stage.nocobase.data().blocked.insert(jti.clone());
    assert_eq!(other.api(Method::GET, "/api/orders:list").await.status, 401);
    let all = || written.lines().into_iter().filter(|l| l["action"] == "session_ended").collect::<Vec<_>>();
    eventually("it is recorded", async || all().len() > 1).await;
    assert_eq!(all().len(), 2, "once: {:?}", all());
    let ended = &all()[1];
    let who = (&ended["userid"], &ended["actor"], &ended["reason"], &ended["session"]);
    assert_eq!(who, (&json!("lisi"), &json!("nocobase"), &json!("BLOCKED_TOKEN"), &json!(jti[..8])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_at_nocobases_own_form_is_recorded_too() {
    let (mut stage, written) = stage().await;
    stage.restart_with(|c| _ = c.set("access.browsers", "nocobase")).await;
    let anna = stage.nocobase.user(json!({ "username": "anna", "password": "secret" }));
    let mut chrome = Browser::new(&stage.gate, CHROME);
    let form = chrome.fetch(Method::POST, "/api/auth:signIn").header("origin", "http://gate.test");
    let answer = chrome.send(form.json(&json!({ "account": "anna", "password": "secret" }))).await;
    let token = answer.json()["data"]["token"].as_str().unwrap().to_owned();
    chrome.cookies.clear();
    for _ in 0..2 {
        let check =
            chrome.fetch(Method::GET, "/api/auth:check").header("authorization", format!("Bearer {token}"));
        assert_eq!(chrome.send(check).await.status, 200);
    }
    let signed_in = written.only("sign_in").await;
    let who = (&signed_in["via"], &signed_in["nocobase_user"], &signed_in["userid"]);
    assert_eq!(who, (&json!("password"), &json!(anna), &Value::Null), "{signed_in}");
    let out = chrome.fetch(Method::POST, "/api/auth:signOut").header("origin", "http://gate.test");
    let out = out.header("authorization", format!("Bearer {token}"));
    assert_eq!(chrome.send(out).await.status, 200);
    let out = written.only("sign_out").await;
    let what = (&out["session"], &out["nocobase_user"], &out["reason"]);
    assert_eq!(what, (&signed_in["session"], &json!(anna), &json!("signed out in NocoBase")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_can_be_renamed_and_is_opened_again_at_sighup() {
    let (stage, written) = stage().await;
    let mode = || std::fs::metadata(written.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    stage.signed_in("zhangsan").await;
    written.only("sign_in").await;
    let old = written.folder.path().join("audit.log.1");
    std::fs::rename(written.path(), &old).unwrap();
    // Until then the gate keeps writing to the old file.
    stage.signed_in("lisi").await;
    eventually("the old file", async || lines(&old).iter().any(|l| l["userid"] == "lisi")).await;
    assert!(!written.path().exists());

    // The configuration is invalid meanwhile: the file is reopened anyway.
    stage.gate.rewrite("oirgin = 1");
    stage.gate.signal("HUP");
    stage.gate.wait_for_log(&["\"reload\"", "\"ERROR\"", "oirgin"]).await;
    eventually("a new file", async || written.path().exists()).await;
    assert_eq!(mode(), 0o600);
    stage.signed_in("WangWu").await;
    assert_eq!(written.only("sign_in").await["userid"], "WangWu");
    assert!(lines(&old).iter().all(|l| l["userid"] != "WangWu"));
    let lost = "wecom_gate_audit_lines_lost_total";
    becomes("none is lost", 0.0, async || numbers(&stage).await[lost]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_is_an_error_at_the_start_and_changes_nothing_at_a_reload() {
    let (mut stage, written) = stage().await;
    let missing = written.folder.path().join("missing/audit.log");
    let mut bad = stage.config.clone();
    bad.set("log.audit_file", missing.to_str().unwrap());
    stage.gate.rewrite(&bad.text());
    stage.gate.signal("HUP");
    stage
        .gate
        .wait_for_log(&["\"reload\"", "\"ERROR\"", "log.audit_file", "previous configuration stays"])
        .await;
    stage.signed_in("zhangsan").await;
    assert_eq!(written.only("sign_in").await["userid"], "zhangsan");

    // At SIGHUP it cannot be opened under its name: the gate keeps writing to the old one.
    let old = written.folder.path().join("old");
    std::fs::rename(written.path(), &old).unwrap();
    std::fs::create_dir(written.path()).unwrap();
    stage.gate.rewrite(&stage.config.text());
    stage.gate.signal("HUP");
    stage.gate.wait_for_log(&["\"reload\"", "\"ERROR\"", "\"audit_file\""]).await;
    stage.signed_in("lisi").await;
    eventually("the old file", async || lines(&old).iter().any(|l| l["userid"] == "lisi")).await;
    stage.gate.stop();

    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), bad.text()).unwrap();
    let run = |command: &[&str]| {
        let mut program = std::process::Command::new(crate::support::program());
        program.args(command).arg("--conf").arg(config.path()).env_clear();
        crate::support::few_roots(&mut program);
        let output = program.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    for (command, code) in [(vec!["run"], 1), (vec!["check", "--offline"], 1)] {
        let (ended, text) = run(&command);
        assert!(ended == code && text.contains("log.audit_file"), "{command:?} {ended}: {text}");
    }
    assert!(!missing.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_there_when_the_gate_has_stopped() {
    let (mut stage, written) = stage().await;
    for userid in ["zhangsan", "lisi", "WangWu"] {
        stage.bound(userid);
        assert_eq!(stage.phone(userid).open("/admin").await.status, 200);
    }
    stage.gate.end().await;
    let signed_in = written.lines().iter().filter(|l| l["action"] == "sign_in").count();
    assert_eq!(signed_in, 3);
    // Another gate appends to it.
    stage.gate = Gate::start(&stage.config).await;
    stage.signed_in("lisi").await;
    eventually("one more", async || written.lines().iter().filter(|l| l["action"] == "sign_in").count() == 4)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_nothing_secret_is_in_the_audit_log() {
    let (mut stage, written) = stage().await;
    let mut secrets = vec![KEY.to_owned(), APP_SECRET.to_owned(), "eyJ".into(), "13800000001".into()];
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/admin?secret=CANARY-QUERY").await;
    for hop in page.hops.iter().filter(|hop| hop.contains("/callback?")) {
        for name in ["code=", "state="] {
            let value = hop.split(['?', '&']).find_map(|p| p.strip_prefix(name)).unwrap();
            secrets.push(value.to_owned());
        }
    }
    secrets.push("CANARY".into());
    secrets.push(phone.phantom());
    let cookie = phone.cookie("wecom_gate").unwrap().to_owned();
    secrets.push(cookie);
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    let seen = stage.nocobase.last("/api/orders:list").unwrap();
    let token = seen.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned();
    let jti = nocobase_standin::claims(&token)["jti"].as_str().unwrap().to_owned();
    secrets.extend([token, jti.clone()]);
    // What unauthenticated clients send, and a User-Agent that would forge a line.
    for target in
        ["/wecom-gate/callback?code=CANARY-CODE&state=CANARYSTATE", "/wecom-gate/callback?code=CANARY"]
    {
        let headers = format!(
            "User-Agent: {CHROME} CANARY\"}}{{\\\"event\\\":\\\"audit\\\"\r\nCookie: wecom_gate=CANARY\r\n\
             X-Forwarded-For: CANARY\r\nAuthorization: Bearer CANARY\r\n"
        );
        crate::support::raw::send_raw(stage.gate.http, crate::support::raw::get(target, &headers)).await;
    }
    sign_out(&mut phone).await;
    written.only("sign_out").await;
    stage.gate.end().await;
    let text = std::fs::read_to_string(written.path()).unwrap();
    assert_eq!(text.matches("bad_callback").count(), 2, "{text}");
    assert!(text.contains(&jti[..8]), "{text}");
    for secret in secrets {
        assert!(secret.len() >= 3 && !text.contains(&secret), "{secret} is in the audit log: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_ends_because_another_was_told_to_is_recorded_as_the_nodes() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    stage.bound("lisi");
    let mut member = stage.phone("lisi");
    member.go_to(&other);
    assert_eq!(member.open("/admin").await.status, 200);
    // WeCom's event reaches the node that does not know the session.
    member_left(&stage, "lisi").await;
    let records = other.wait_for_lines("actor", "node", 1).await;
    let [record] = &records[..] else { panic!("once: {records:?}") };
    assert_eq!((&record["action"], &record["userid"]), (&json!("session_ended"), &json!("lisi")), "{record}");
    assert_eq!(record["session"].as_str().unwrap().len(), 8, "{record}");
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 401);
}
