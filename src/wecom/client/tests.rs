use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use url::Url;

use super::*;
use crate::error::FailureWithCause;
use crate::wecom::api::busy_backoff;
use crate::wecom::scripted_server::{Log, Say, Seen, Server, client, entry, errcode, ok, status, token};
use backon::BackoffBuilder as _;

mod network;

const GETTOKEN: &str = "/cgi-bin/gettoken";
const USERINFO: &str = "/cgi-bin/auth/getuserinfo";
const USER_GET: &str = "/cgi-bin/user/get";
const ZHANGSAN: &str = r#"{"errcode":0,"errmsg":"ok","userid":"ZhangSan"}"#;

fn user(status: i64) -> String {
    format!(r#"{{"errcode":0,"userid":"ZhangSan","name":"张三","department":[2,7],"status":{status}}}"#)
}

fn failure<T: std::fmt::Debug>(result: Result<T, WeComError>) -> Failure {
    result.unwrap_err().failure()
}

#[tokio::test]
async fn a_code_gives_the_member_and_the_ticket() {
    let server =
        Server::api(|_| ok(r#"{"errcode":0,"errmsg":"ok","userid":"ZhangSan","user_ticket":"T1"}"#)).await;
    let identity = server.client().identify("a+b/c=&d").await.unwrap();
    assert_eq!(identity.userid, "ZhangSan");
    assert_eq!(identity.ticket.unwrap().expose_secret(), "T1");
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].param("corpid").unwrap(), "ww0123456789abcdef");
    assert_eq!(seen[0].param("corpsecret").unwrap(), "CANARY-secret/1");
    assert_eq!(seen[1].uri.path(), USERINFO);
    assert_eq!(seen[1].param("access_token").unwrap(), "token-1");
    assert_eq!(seen[1].param("code").unwrap(), "a+b/c=&d");
}

#[tokio::test]
async fn r21_who_a_code_belongs_to() {
    use Failure::{NotAMember, OtherCompany, WeComBadAnswer};
    let table: &[(&str, Result<&str, Failure>)] = &[
        (r#"{"errcode":0,"errmsg":"ok","userid":"ZhangSan"}"#, Ok("ZhangSan")),
        (r#"{"errmsg":"Warning: something new","userid":"ZhangSan"}"#, Ok("ZhangSan")),
        (r#"{"errcode":0,"UserId":"ZhangSan","DeviceId":"d"}"#, Ok("ZhangSan")),
        (r#"{"errcode":0,"UserId":"zhangsan","userid":"ZhangSan"}"#, Ok("ZhangSan")),
        (r#"{"errcode":0,"UserId":"lisi","userid":"ZhangSan"}"#, Err(WeComBadAnswer)),
        (r#"{"errcode":0,"userid":"","UserId":"lisi"}"#, Ok("lisi")),
        (r#"{"errcode":0,"errmsg":"ok","openid":"OPENID","external_userid":"E"}"#, Err(NotAMember)),
        (r#"{"errcode":0,"OpenId":"OPENID"}"#, Err(NotAMember)),
        (r#"{"errcode":0,"userid":"","openid":"OPENID"}"#, Err(NotAMember)),
        (r#"{"errcode":0,"userid":null}"#, Err(NotAMember)),
        (r#"{}"#, Err(NotAMember)),
        (r#"{"errcode":0,"userid":"ww0987654321/ZhangSan"}"#, Err(OtherCompany)),
        (r#"{"errcode":0,"userid":"/"}"#, Err(OtherCompany)),
        (r#"{"errcode":0,"userid":"Zhang San"}"#, Err(WeComBadAnswer)),
        (r#"{"errcode":0,"userid":"a\r\nX-User: admin"}"#, Err(WeComBadAnswer)),
        (r#"{"errcode":0,"userid":17}"#, Err(WeComBadAnswer)),
        (r#"{"errcode":"0","userid":"ZhangSan"}"#, Err(WeComBadAnswer)),
    ];
    let server = Server::api(|seen| ok(table_row(seen))).await;
    fn table_row(seen: &Seen) -> String {
        seen.param("code").unwrap()
    }
    let client = server.client();
    for (answer, want) in table {
        // The test server answers what the code says.
        let got = client.identify(answer).await.map(|i| i.userid).map_err(|e| e.failure());
        assert_eq!(got, want.map(str::to_owned), "{answer}");
    }
}

#[tokio::test]
async fn codes_that_cannot_be_wecoms_are_not_sent() {
    let server = Server::api(|_| ok(ZHANGSAN)).await;
    let client = server.client();
    for code in ["", &"x".repeat(513)] {
        assert_eq!(failure(client.identify(code).await), Failure::CodeRejected);
    }
    assert!(server.seen().is_empty());
}

/// Every code, as the answer of getuserinfo: what comes of it, and how often the code was sent.
#[tokio::test]
async fn every_error_code_becomes_its_failure_and_only_a_stale_token_sends_the_code_again() {
    use Failure::*;
    let table: &[(i64, Failure, usize)] = &[
        (-1, WeComBusy, 1),
        (40001, WeComConfig, 2),
        (40014, WeComConfig, 2),
        (41001, WeComConfig, 2),
        (42001, WeComConfig, 2),
        (40029, CodeRejected, 1),
        (40078, CodeRejected, 1),
        (40163, CodeRejected, 1),
        (41008, CodeRejected, 1),
        (42003, CodeRejected, 1),
        (42022, CodeRejected, 1),
        (45009, WeComRateLimited, 1),
        (45033, WeComRateLimited, 1),
        (50001, WeComConfig, 1),
        (60020, WeComIpNotTrusted, 1),
        (40003, NotVisible, 1),
        (46004, NotVisible, 1),
        (50002, NotVisible, 1),
        (60011, NotVisible, 1),
        (60021, NotVisible, 1),
        (60111, NotVisible, 1),
        (40013, WeComConfig, 1),
        (50003, WeComConfig, 1),
        (60031, WeComConfig, 1),
        (48006, WeComConfig, 1),
        (301002, WeComConfig, 1),
        (48010, WeComUnreachable, 1),
        (84025, Internal, 1),
        (42009, WeComConfig, 1),
        (999, WeComBadAnswer, 1),
    ];
    let code = Arc::new(AtomicI64::new(0));
    let answer = Arc::clone(&code);
    let server = Server::api(move |_| errcode(answer.load(Ordering::SeqCst))).await;
    for (errcode, want, sent) in table {
        code.store(*errcode, Ordering::SeqCst);
        let before = server.count(USERINFO);
        let error = server.client().identify("c").await.unwrap_err();
        assert_eq!((error.failure(), error.errcode()), (*want, Some(*errcode)));
        assert_eq!(server.count(USERINFO) - before, *sent, "{errcode}");
    }
}

#[tokio::test]
async fn a_hundred_sign_ins_at_once_cost_one_gettoken() {
    let server = Server::all(|seen| {
        if seen.uri.path() == GETTOKEN { token(seen).after(Duration::from_millis(100)) } else { ok(ZHANGSAN) }
    })
    .await;
    let client = server.client();
    let mut all = JoinSet::new();
    for n in 0..100 {
        let client = client.clone();
        all.spawn(async move { client.identify(&format!("code{n}")).await.is_ok() });
    }
    while let Some(one) = all.join_next().await {
        assert!(one.unwrap());
    }
    assert_eq!((server.count(GETTOKEN), server.count(USERINFO)), (1, 100));
}

#[tokio::test]
async fn two_stale_answers_at_once_cost_one_refetch() {
    for stale in [40014, 42001, 41001, 40001] {
        let server = Server::api(move |seen| match seen.param("access_token").as_deref() {
            Some("token-1") => errcode(stale).after(Duration::from_millis(50)),
            _ => ok(ZHANGSAN),
        })
        .await;
        let client = server.client();
        let (a, b) = tokio::join!(client.identify("a"), client.identify("b"));
        assert!(a.is_ok() && b.is_ok(), "{stale}");
        assert_eq!((server.count(GETTOKEN), server.count(USERINFO)), (2, 4), "{stale}");
        // And the new one stays.
        client.identify("c").await.unwrap();
        assert_eq!((server.count(GETTOKEN), server.count(USERINFO)), (2, 5), "{stale}");
    }
}

#[tokio::test]
async fn tokens_refused_for_ever_do_not_make_a_loop() {
    let server = Server::api(|_| errcode(40014)).await;
    let client = server.client();
    for _ in 0..50 {
        assert_eq!(failure(client.identify("c").await), Failure::WeComConfig);
    }
    assert_eq!(server.count(GETTOKEN), 2);
    assert!(server.count(USERINFO) <= 51, "one retry in all, then no more: {}", server.count(USERINFO));
}

#[tokio::test]
async fn a_wrong_secret_is_tried_once_and_all_callers_get_the_reason() {
    for wrong in [40001, 40013, 40091, 41002, 41004, 42001, 50003, 60020] {
        let server = Server::all(move |_| errcode(wrong)).await;
        let client = server.client();
        for _ in 0..50 {
            let error = client.identify("c").await.unwrap_err();
            assert_eq!(
                (error.call(), error.class(), error.errcode()),
                (Call::GetToken, Class::Config, Some(wrong))
            );
        }
        assert_eq!(server.seen().len(), 1, "{wrong}");
    }
}

#[tokio::test]
async fn a_busy_system_is_asked_three_times() {
    let busy = Arc::new(AtomicU32::new(2));
    let left = Arc::clone(&busy);
    let server = Server::all(move |seen| {
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            errcode(-1)
        } else if seen.uri.path() == GETTOKEN {
            token(seen)
        } else {
            ok(user(1))
        }
    })
    .await;
    let client = server.client();
    client.member("zhangsan").await.unwrap();
    assert_eq!((server.count(GETTOKEN), server.count(USER_GET)), (3, 1));
    busy.store(2, Ordering::SeqCst);
    client.member("zhangsan").await.unwrap();
    assert_eq!(server.count(USER_GET), 4);
    busy.store(99, Ordering::SeqCst);
    assert_eq!(failure(client.member("zhangsan").await), Failure::WeComBusy);
    assert_eq!(server.count(USER_GET), 7);
    assert!(client.member_status("zhangsan").await.is_err());
}

/// Rate limits and refusals are never asked again.
#[tokio::test]
async fn only_a_busy_system_is_asked_again() {
    for code in [45009, 45033, 40029, 60111, 60020, 50001] {
        let server = Server::api(move |_| errcode(code)).await;
        assert!(server.client().member("zhangsan").await.is_err());
        assert_eq!(server.count(USER_GET), 1, "{code}");
    }
}

#[tokio::test]
async fn details_are_what_was_agreed_to() {
    let server = Server::api(|seen| match seen.before {
        0 => ok(
            r#"{"errcode":0,"userid":"zhangSAN","gender":"1","mobile":"13800000001","email":"","biz_mail":"z@corp.example","avatar":"http://x/"}"#,
        ),
        _ => ok(r#"{"errcode":0,"userid":"ZhangSan","gender":"0"}"#),
    })
    .await;
    let client = server.client();
    let ticket = SecretString::from("TICKET");
    let details = client.details("ZhangSan", &ticket).await.unwrap();
    assert_eq!(details.mobile.as_deref(), Some("13800000001"));
    assert_eq!(details.biz_mail.as_deref(), Some("z@corp.example"));
    assert_eq!(details.email, None);
    assert_eq!(details.avatar.as_deref(), Some("http://x/"));
    assert_eq!(client.details("ZhangSan", &ticket).await.unwrap(), Details::default());
    let seen = &server.seen()[1];
    assert_eq!((seen.method.as_str(), seen.body.as_str()), ("POST", r#"{"user_ticket":"TICKET"}"#));
    assert_eq!(seen.param("user_ticket"), None);
}

#[tokio::test]
async fn r21_details_of_somebody_else_are_refused() {
    for answer in [
        r#"{"errcode":0,"userid":"lisi","mobile":"13800000002"}"#,
        r#"{"errcode":0,"userid":"ZhangSan2","mobile":"13800000002"}"#,
        r#"{"errcode":0,"userid":"","mobile":"13800000002"}"#,
        r#"{"errcode":0,"mobile":"13800000002"}"#,
    ] {
        let server = Server::api(move |_| ok(answer)).await;
        let got = server.client().details("ZhangSan", &"T".into()).await;
        assert_eq!(failure(got), Failure::WeComBadAnswer, "{answer}");
    }
    for code in [84014, 84015, 84090] {
        let server = Server::api(move |_| errcode(code)).await;
        let error = server.client().details("ZhangSan", &"T".into()).await.unwrap_err();
        assert_eq!(error.class(), Class::Detail, "{code}");
    }
}

#[tokio::test]
async fn a_member_is_active_and_visible() {
    let server = Server::api(|_| {
        ok(r#"{"errcode":0,"userid":"ZhangSan","name":"张三","department":[2,7],"status":1,"mobile":"138","enable":1,"extattr":{}}"#)
    })
    .await;
    let member = server.client().member("zhang@s.a-n_1").await;
    assert_eq!(failure(member), Failure::WeComBadAnswer, "somebody else");
    let member = server.client().member("zhangsan").await.unwrap();
    assert_eq!((member.userid.as_str(), member.name.as_str()), ("ZhangSan", "张三"));
    assert_eq!(member.departments, [2, 7]);
    assert_eq!(member.details.mobile.as_deref(), Some("138"));
    assert!(server.seen().iter().any(|s| s.uri.query().unwrap().ends_with("&userid=zhang%40s.a-n_1")));

    for bad in ["", "a/b", "a b", "a&status=1"] {
        let before = server.seen().len();
        assert!(server.client().member(bad).await.is_err());
        assert_eq!(server.seen().len(), before, "{bad} was sent");
    }
}

#[tokio::test]
async fn inactive_members_are_refused() {
    for (status, want) in
        [(1, None), (2, Some(())), (4, Some(())), (5, Some(())), (0, Some(())), (-1, Some(()))]
    {
        let server = Server::api(move |_| ok(user(status))).await;
        let got = server.client().member("ZhangSan").await;
        assert_eq!(got.err().map(|e| e.failure()), want.map(|()| Failure::MemberDisabled), "{status}");
    }
    let server = Server::api(|_| ok(r#"{"errcode":0,"userid":"ZhangSan","name":"x"}"#)).await;
    assert_eq!(failure(server.client().member("ZhangSan").await), Failure::WeComBadAnswer, "no status");
    let server = Server::api(|_| ok(r#"{"errcode":0,"userid":"ZhangSan","status":1}"#)).await;
    let member = server.client().member("ZhangSan").await.unwrap();
    assert_eq!((member.name.as_str(), member.departments.len()), ("ZhangSan", 0), "no name, no departments");
}

#[tokio::test]
async fn how_a_member_stands() {
    use Failure::{MemberDisabled, NotVisible};
    let table: &[(Say, Option<MemberStatus>)] = &[
        (ok(user(1)), Some(MemberStatus::Good)),
        (ok(user(2)), Some(MemberStatus::Gone(MemberDisabled))),
        (errcode(60111), Some(MemberStatus::Gone(NotVisible))),
        (errcode(60011), Some(MemberStatus::Gone(NotVisible))),
        (errcode(60021), Some(MemberStatus::Gone(NotVisible))),
        (errcode(46004), Some(MemberStatus::Gone(NotVisible))),
        (errcode(40003), Some(MemberStatus::Gone(NotVisible))),
        (errcode(50002), Some(MemberStatus::Gone(NotVisible))),
        (errcode(-1), None),
        (errcode(45009), None),
        (errcode(60020), None),
        (errcode(50003), None),
        (errcode(40014), None),
        (status(503, ""), None),
        (ok("<html>"), None),
        (ok(ZHANGSAN.replace("ZhangSan", "lisi")), None),
    ];
    for (say, want) in table {
        let (code, body) = say.parts();
        let server = Server::api(move |_| status(code, body.clone())).await;
        assert_eq!(server.client().member_status("ZhangSan").await.ok(), *want, "{:?}", say.parts());
    }
}

#[tokio::test]
async fn the_log_names_what_to_do() {
    let (log, _guard) = Log::capture();
    let server = Server::api(|_| errcode(60020)).await;
    let error = server.client().identify("c").await.unwrap_err();
    assert_eq!(error.address().unwrap().to_string(), "203.0.113.7");
    error.log("wecom");
    let text = log.text();
    for part in [
        "ERROR",
        "entry=\"wecom\"",
        "call=\"getuserinfo\"",
        "label=\"wecom_ip_not_trusted\"",
        "class=\"config\"",
        "errcode=60020",
        "add 203.0.113.7 to the app's trusted IPs: console -> app -> 企业可信IP",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(text.matches("WeCom call failed").count(), 1, "{text}");
}

/// Secrets come back in whatever WeCom, or something in its place, says: none may reach a log line or an error.
#[tokio::test]
async fn r27_no_secret_in_logs_or_errors() {
    let (log, _guard) = Log::capture();
    let mut errors = Vec::new();
    // As long as WeCom's: then even those are masked that the call does not know.
    let (code, ticket) = ("CANARY-code+0123456789abcdef", "CANARY-ticket-0123456789abcdef");
    let everything = "CANARY-secret/1 CANARY-secret%2F1 CANARY-token-0123456789abcdef CANARY-code+0123456789abcdef \
                      CANARY-code%2B0123456789abcdef CANARY-ticket-0123456789abcdef CANARY-secret/1";
    let api = |api: Say| {
        let (http, body) = api.parts();
        Server::all(move |seen| match seen.uri.path() {
            GETTOKEN => ok(r#"{"access_token":"CANARY-token-0123456789abcdef","expires_in":7200}"#),
            _ => status(http, body.clone()),
        })
    };
    let says = [
        ok(format!(r#"{{"errcode":40029,"errmsg":"{everything}"}}"#)),
        ok(format!(r#"{{"errcode":-1,"errmsg":"{everything}"}}"#)),
        ok(format!(r#"{{"errcode":40014,"errmsg":"{everything}"}}"#)),
        ok(format!(r#"{{"errcode":60020,"errmsg":"from ip: CANARY-token-0123456789abcdef {everything}"}}"#)),
        ok(r#"{"errcode":"CANARY-token-0123456789abcdef"}"#),
        ok(
            r#"{"errcode":0,"userid":["CANARY-token-0123456789abcdef"],"status":"CANARY-token-0123456789abcdef"}"#,
        ),
        ok(
            r#"{"errcode":0,"userid":"CANARY-token-0123456789abcdef CANARY-code+0123456789abcdef","status":1}"#,
        ),
        ok(everything),
        status(404, everything),
        status(500, everything),
        status(302, "").location("https://h/CANARY-token-0123456789abcdef"),
    ];
    for say in says {
        let server = api(say).await;
        let client = server.client();
        errors.extend(client.identify(code).await.err());
        errors.extend(client.details("zhangsan", &ticket.into()).await.err());
        errors.extend(client.member("zhangsan").await.err());
        errors.extend(client.check_rules().await.err());
    }
    for answer in [
        format!(r#"{{"errcode":40001,"errmsg":"{everything}"}}"#),
        r#"{"access_token":"CANARY-token-0123456789abcdef","expires_in":"CANARY-token-0123456789abcdef"}"#
            .into(),
        r#"{"access_token":["CANARY-token-0123456789abcdef"],"expires_in":1}"#.into(),
        r#"{"access_token":"CANARY-token-0123456789abcdef"CANARY-token-0123456789abcdef"#.into(),
    ] {
        let server = Server::all(move |_| ok(answer.clone())).await;
        errors.extend(server.client().identify(code).await.err());
    }
    // Addresses carry secrets: no connection, no answer in time, a proxy that refuses.
    let slow = Server::all(|_| ok("").after(Duration::from_secs(20))).await;
    errors.extend(slow.client().identify(code).await.err());
    let mut nowhere = entry(&Url::parse("http://127.0.0.1:1").unwrap());
    errors.extend(client(&nowhere).identify(code).await.err());
    nowhere.api_base = Url::parse("https://qyapi.invalid").unwrap();
    errors.extend(client(&nowhere).identify(code).await.err());
    let refusing = Server::all(|_| status(407, "CANARY-token-0123456789abcdef")).await;
    let mut with_password = refusing.url.clone();
    with_password.set_username("user").unwrap();
    with_password.set_password(Some("CANARY-proxy")).unwrap();
    nowhere.http_proxy = Some(with_password);
    errors.extend(client(&nowhere).identify(code).await.err());
    let shown = format!("{:?} {:?}", client(&nowhere), entry(&slow.url).secret);

    assert!(errors.len() > 30, "{}", errors.len());
    for error in &errors {
        error.log("wecom");
        FailureWithCause::from(error.clone()).logged();
    }
    let text = log.text();
    assert!(text.contains("WeCom call failed") && text.contains("***"), "nothing was captured");
    let all = errors.iter().fold(text + &shown, |all, e| format!("{all}{e} {e:?} {}\n", e.remedy()));
    // All levels, all crates.
    for line in all.lines() {
        assert!(!line.contains("CANARY"), "{line}");
    }
}

#[test]
fn a_busy_pause_grows_and_has_a_bound() {
    let base = Duration::from_millis(200);
    for (pause, least) in busy_backoff(base).build().take(3).zip([base, base * 2, base * 4]) {
        assert!(pause >= least && pause <= least * 2, "{pause:?}");
    }
}
