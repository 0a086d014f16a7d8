//! R22: rules about who may sign in, when they cannot be evaluated.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use wecom_gate::error::Failure;
use wecom_sim::{Fault, FaultKind};

use crate::support::gate::run_command;
use crate::support::{Stage, eventually, program};

const DEPARTMENTS: &str = "/cgi-bin/department/simplelist";
const TAG: &str = "/cgi-bin/tag/get";

/// Whatever invalid response WeCom sends, members are refused; and when it works again, allowed members get in.
#[tokio::test(flavor = "multi_thread")]
async fn r22_a_rule_that_cannot_be_evaluated_refuses() {
    // A department that the member belongs to through a sub-department, and a tag that the member has.
    for (key, path, userid) in
        [("wecom.allow_departments", DEPARTMENTS, "zhangsan"), ("wecom.allow_tags", TAG, "lisi")]
    {
        for kind in [
            FaultKind::Errcode(60011),
            FaultKind::Errcode(-1),
            FaultKind::Status(500),
            FaultKind::Html,
            FaultKind::Drop,
            FaultKind::Truncated,
            FaultKind::Body("{}".into()),
            FaultKind::Body(r#"{"errcode":0}"#.into()),
            FaultKind::Body(r#"{"errcode":0,"department_id":"all","userlist":true}"#.into()),
        ] {
            let mut stage = Stage::start(|_| {}).await;
            stage.bound(userid);
            // WeCom is unreachable when the gate starts; the gate starts anyway.
            stage.wecom().add_fault(Fault::new(path, FaultKind::Drop));
            stage.restart_with(|c| _ = c.set(key, vec![1])).await;
            stage.wecom().clear_faults();
            stage.wecom().add_fault(Fault::new(path, kind.clone()));
            let page = stage.phone(userid).open("/admin").await;
            assert!(page.status >= 400, "{key} {kind:?}: {} {}", page.status, page.body);
            assert!(!page.sets("wecom_gate"), "{key} {kind:?}");
            assert!(stage.nocobase.data().tokens.is_empty(), "{key} {kind:?}: a session in NocoBase");
            stage.gate.wait_for_log(&["\"sign_in\""]).await;
            stage.wecom().clear_faults();
            // A tag without members matches no one, and is cached as such.
            let is_empty_tag =
                path == TAG && matches!(&kind, FaultKind::Body(body) if !body.contains("list"));
            if !is_empty_tag {
                let mut phone = stage.phone(userid);
                eventually("the member gets in", async || phone.open("/admin").await.status == 200).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r22_members_outside_the_rules_are_refused() {
    let stage = Stage::start(|c| _ = c.set("wecom.allow_users", vec!["somebodyelse"])).await;
    stage.bound("zhangsan");
    let page = stage.phone("zhangsan").open("/admin").await;
    stage.refused(&page, Failure::NotAllowed, "You have no access to this app").await;
}

/// A rule about something that does not exist would refuse everyone for ever or, worse, be treated as no rule.
#[tokio::test(flavor = "multi_thread")]
async fn r22_a_rule_about_what_does_not_exist_stops_the_start() {
    let mut stage = Stage::start(|_| {}).await;
    stage.gate.stop();
    for key in ["wecom.allow_departments", "wecom.allow_tags"] {
        let mut config = stage.config.clone();
        config.set(key, vec![987_654]);
        let (mut command, _file) = run_command(&program(), &config);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if began.elapsed() > Duration::from_secs(20) => break None,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let _ = child.kill();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(status.is_some_and(|s| !s.success()), "{key}: it runs: {said}");
        assert!(said.contains("allow_departments or allow_tags"), "{key}: {said}");
    }
}
