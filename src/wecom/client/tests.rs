use std::time::Duration;

use tokio::task::JoinSet;
use url::Url;
use wecom_sim::{CannedResponse, Fault, FaultKind};

use super::*;
use crate::error::FailureWithCause;
use crate::wecom::api::busy_backoff;
use crate::wecom::test_simulator::{CORP, Log, body, client, entry, simulator};
use backon::BackoffBuilder as _;

mod access_token;
mod log;
mod network;
mod secrets;
mod states;

const GETTOKEN: &str = "/cgi-bin/gettoken";
const USERINFO: &str = "/cgi-bin/auth/getuserinfo";
const USERDETAIL: &str = "/cgi-bin/auth/getuserdetail";
const USER_GET: &str = "/cgi-bin/user/get";
const ZHANGSAN: &str = r#"{"errcode":0,"errmsg":"ok","userid":"ZhangSan"}"#;

fn user(status: i64) -> String {
    format!(r#"{{"errcode":0,"userid":"ZhangSan","name":"张三","department":[2,7],"status":{status}}}"#)
}

fn failure<T: std::fmt::Debug>(result: Result<T, WeComError>) -> Failure {
    result.unwrap_err().failure()
}

/// The simulator checks corp id, secret, access token and code.
#[tokio::test]
async fn a_code_gives_the_member_and_the_ticket() {
    let wecom = simulator().await;
    let client = wecom.client();
    let identity = client.identify(&wecom.code("zhangsan", Some(&["mobile"]))).await.unwrap();
    assert_eq!(identity.userid, "zhangsan");
    assert!(identity.ticket.is_some());
    let identity = client.identify(&wecom.code("WangWu", None)).await.unwrap();
    assert_eq!((identity.userid.as_str(), identity.ticket.is_none()), ("WangWu", true));
    assert_eq!((wecom.calls(GETTOKEN), wecom.calls(USERINFO), wecom.total_calls()), (1, 2, 3));

    let odd = "a+b/c=&d";
    wecom.add_fault(Fault::new(USERINFO, body(ZHANGSAN)).with_param("code", odd));
    assert_eq!(client.identify(odd).await.unwrap().userid, "ZhangSan");
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
    let wecom = simulator().await;
    let client = wecom.client();
    for (response, want) in table {
        wecom.only(USERINFO, body(*response));
        let got = client.identify("c").await.map(|i| i.userid).map_err(|e| e.failure());
        assert_eq!(got, want.map(str::to_owned), "{response}");
    }
}

#[tokio::test]
async fn codes_that_cannot_be_wecoms_are_not_sent() {
    let wecom = simulator().await;
    let client = wecom.client();
    for code in ["", &"x".repeat(513)] {
        assert_eq!(failure(client.identify(code).await), Failure::CodeRejected);
    }
    assert_eq!(wecom.total_calls(), 0);
}

/// Every code as the response of getuserinfo: the result, and how often the code was sent.
#[tokio::test]
async fn every_error_code_becomes_its_failure_and_only_a_stale_token_sends_the_code_again() {
    use Failure::*;
    let table: &[(i64, Failure, u64)] = &[
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
    let wecom = simulator().await;
    for (errcode, want, sent) in table {
        wecom.only(USERINFO, FaultKind::Errcode(*errcode));
        let before = wecom.calls(USERINFO);
        let error = wecom.client().identify("c").await.unwrap_err();
        assert_eq!((error.failure(), error.errcode()), (*want, Some(*errcode)));
        assert_eq!(wecom.calls(USERINFO) - before, *sent, "{errcode}");
    }
}

#[tokio::test]
async fn a_busy_system_is_asked_three_times() {
    let wecom = simulator().await;
    let client = wecom.client();
    wecom.add_fault(Fault::errcode("*", -1, 2));
    client.member("zhangsan").await.unwrap();
    assert_eq!((wecom.calls(GETTOKEN), wecom.calls(USER_GET)), (3, 1));
    wecom.add_fault(Fault::errcode("*", -1, 2));
    client.member("zhangsan").await.unwrap();
    assert_eq!(wecom.calls(USER_GET), 4);
    wecom.only("*", FaultKind::Errcode(-1));
    assert_eq!(failure(client.member("zhangsan").await), Failure::WeComBusy);
    assert_eq!(wecom.calls(USER_GET), 7);
    assert!(client.member_status("zhangsan").await.is_err());
}

/// Calls that hit a rate limit or a refusal are never repeated.
#[tokio::test]
async fn only_a_busy_system_is_asked_again() {
    let wecom = simulator().await;
    for code in [45009, 45033, 40029, 60111, 60020, 50001] {
        wecom.only(USER_GET, FaultKind::Errcode(code));
        wecom.clear_calls();
        assert!(wecom.client().member("zhangsan").await.is_err());
        assert_eq!(wecom.calls(USER_GET), 1, "{code}");
    }
}

/// The simulator accepts the ticket in the body only.
#[tokio::test]
async fn details_are_what_was_agreed_to() {
    let wecom = simulator().await;
    let client = wecom.client();
    let code = wecom.code("zhangsan", Some(&["mobile", "biz_mail", "avatar"]));
    let ticket = client.identify(&code).await.unwrap().ticket.unwrap();
    let details = client.details("ZhangSan", &ticket).await.unwrap();
    assert_eq!(details.mobile.as_deref(), Some("13800000001"));
    assert_eq!(details.biz_mail.as_deref(), Some("zhangsan@example.com"));
    assert_eq!(details.email, None);
    assert_eq!(details.avatar.as_deref(), Some("https://avatar.example/zhangsan.png"));
    let sent = wecom.log().pop().unwrap();
    assert_eq!(
        (sent.method.as_str(), sent.path.as_str(), sent.query.as_str()),
        ("POST", USERDETAIL, "access_token=***")
    );
    wecom.only(USERDETAIL, body(r#"{"errcode":0,"userid":"ZhangSan","gender":"0","email":""}"#));
    assert_eq!(client.details("ZhangSan", &ticket).await.unwrap(), Details::default());
}

#[tokio::test]
async fn r21_details_of_another_member_are_refused() {
    let wecom = simulator().await;
    let client = wecom.client();
    for response in [
        r#"{"errcode":0,"userid":"lisi","mobile":"13800000002"}"#,
        r#"{"errcode":0,"userid":"ZhangSan2","mobile":"13800000002"}"#,
        r#"{"errcode":0,"userid":"","mobile":"13800000002"}"#,
        r#"{"errcode":0,"mobile":"13800000002"}"#,
    ] {
        wecom.only(USERDETAIL, body(response));
        let got = client.details("ZhangSan", &"T".into()).await;
        assert_eq!(failure(got), Failure::WeComBadAnswer, "{response}");
    }
    for code in [84014, 84015, 84090] {
        wecom.only(USERDETAIL, FaultKind::Errcode(code));
        let error = client.details("ZhangSan", &"T".into()).await.unwrap_err();
        assert_eq!(error.class(), Class::Detail, "{code}");
    }
}

#[tokio::test]
async fn a_member_is_active_and_visible() {
    let wecom = simulator().await;
    wecom.edit_app(|app| app.full_profile = true);
    let odd = wecom_sim::Member {
        userid: "Zhang@s.a-n_1".into(),
        name: "张三".into(),
        mobile: "138".into(),
        departments: vec![2, 5],
        status: 1,
        ..wecom_sim::Member::default()
    };
    wecom.set_member(CORP, odd).unwrap();
    let client = wecom.client();
    let member = client.member("zhang@s.a-n_1").await.unwrap();
    assert_eq!((member.userid.as_str(), member.name.as_str()), ("Zhang@s.a-n_1", "张三"));
    assert_eq!(member.departments, [2, 5]);
    assert_eq!(member.details.mobile.as_deref(), Some("138"));
    assert_eq!(failure(client.member("outsider").await), Failure::NotVisible);
    wecom.only(USER_GET, body(user(1)));
    assert_eq!(failure(client.member("lisi").await), Failure::WeComBadAnswer, "another member");

    let before = wecom.total_calls();
    for bad in ["", "a/b", "a b", "a&status=1"] {
        assert!(client.member(bad).await.is_err());
        assert_eq!(wecom.total_calls(), before, "{bad} was sent");
    }
}

#[tokio::test]
async fn inactive_members_are_refused() {
    let wecom = simulator().await;
    let client = wecom.client();
    for status in [2, 4, 5, 1] {
        wecom.set_status(CORP, "zhangsan", status).unwrap();
        let got = client.member("zhangsan").await.err().map(|e| e.failure());
        assert_eq!(got, (status != 1).then_some(Failure::MemberDisabled), "{status}");
    }
    for status in [0, -1] {
        wecom.only(USER_GET, body(user(status)));
        assert_eq!(failure(client.member("ZhangSan").await), Failure::MemberDisabled, "{status}");
    }
    wecom.only(USER_GET, body(r#"{"errcode":0,"userid":"ZhangSan","name":"x"}"#));
    assert_eq!(failure(client.member("ZhangSan").await), Failure::WeComBadAnswer, "no status");
    wecom.only(USER_GET, body(r#"{"errcode":0,"userid":"ZhangSan","status":1}"#));
    let member = client.member("ZhangSan").await.unwrap();
    assert_eq!((member.name.as_str(), member.departments.len()), ("ZhangSan", 0), "no name, no departments");
}

#[tokio::test]
async fn member_status_at_a_recheck() {
    use Failure::{MemberDisabled, NotVisible};
    use FaultKind::Errcode;
    let table: &[(FaultKind, Option<MemberStatus>)] = &[
        (body(user(1)), Some(MemberStatus::Good { department: Some(2) })),
        (body(user(2)), Some(MemberStatus::Gone(MemberDisabled))),
        (Errcode(60111), Some(MemberStatus::Gone(NotVisible))),
        (Errcode(60011), Some(MemberStatus::Gone(NotVisible))),
        (Errcode(60021), Some(MemberStatus::Gone(NotVisible))),
        (Errcode(46004), Some(MemberStatus::Gone(NotVisible))),
        (Errcode(40003), Some(MemberStatus::Gone(NotVisible))),
        (Errcode(50002), Some(MemberStatus::Gone(NotVisible))),
        (Errcode(-1), None),
        (Errcode(45009), None),
        (Errcode(60020), None),
        (Errcode(50003), None),
        (Errcode(40014), None),
        (FaultKind::Status(503), None),
        (body("<html>"), None),
        (body(ZHANGSAN.replace("ZhangSan", "lisi")), None),
    ];
    let wecom = simulator().await;
    for (kind, want) in table {
        wecom.only(USER_GET, kind.clone());
        assert_eq!(wecom.client().member_status("ZhangSan").await.ok(), *want, "{kind:?}");
    }
}

#[test]
fn a_busy_pause_grows_and_has_a_bound() {
    let base = Duration::from_millis(200);
    for (pause, least) in busy_backoff(base).build().take(3).zip([base, base * 2, base * 4]) {
        assert!(pause >= least && pause <= least * 2, "{pause:?}");
    }
}
