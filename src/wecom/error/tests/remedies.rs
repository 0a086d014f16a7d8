//! The remedies that an operator is given.

use super::*;

#[test]
fn a_code_with_a_remedy_of_its_own_has_that() {
    let table: [(&[i64], &str); 15] = [
        (&[40001, 40091, 41004], "check secret and corp_id (console -> app -> Secret"),
        (&[40013, 41002], "check corp_id: "),
        (&[40014, 41001, 42001], "refuses a fresh access token"),
        (&[40056, 41011, 301002], "check agent_id: it must be"),
        (&[45031], "too weak"),
        (&[40057, 50001, 80001, 85004, 85005, 85111], "OAuth callback domain"),
        (&[43009], "the company must be verified"),
        (&[48001, 48002, 48004, 48009], "give the app this privilege"),
        (&[48006, 50003, 50006, 60031], "enable the app"),
        (&[48010], "needs TLS 1.2"),
        (&[40068, 60003, 60123, 81011], "allow_departments"),
        (&[45009, 45033], "checkCorpSpamBlock"),
        (&[40082, 42009], "takes this for a third-party app"),
        (&[40207, 40208, 40209, 40210], "two-factor"),
        (&[84025], "state parameter"),
    ];
    for (codes, words) in table {
        for code in codes {
            let remedy = WeComError::from_errcode(Call::UserGet, *code, "").remedy();
            assert!(remedy.contains(words), "{code}: {remedy}");
        }
    }
}

#[test]
fn another_code_has_the_remedy_of_its_class() {
    for (code, words) in [
        (-1, "WeCom is busy"),
        (40029, "starts over by itself"),
        (84014, "agrees again"),
        (41008, "report it"),
        (60111, "visible range"),
        (99_999, "?e=99999"),
    ] {
        let remedy = WeComError::from_errcode(Call::UserGet, code, "").remedy();
        assert!(remedy.contains(words), "{code}: {remedy}");
    }
}

#[test]
fn a_refused_parameter_has_the_remedy_of_its_call() {
    for code in [40058, 40063] {
        for (call, words) in [
            (Call::GetToken, "check corp_id and secret: WeCom does not accept them"),
            (Call::Agent, "check agent_id: WeCom does not accept it"),
            (Call::Departments, "allow_departments"),
            (Call::Tag, "allow_departments"),
            (Call::UserInfo, "starts over by itself"),
            (Call::UserGet, "report it"),
        ] {
            let remedy = WeComError::from_errcode(call, code, "").remedy();
            assert!(remedy.contains(words), "{call:?} {code}: {remedy}");
        }
    }
}

#[test]
fn without_a_code_the_remedy_is_that_of_the_failure() {
    let call = Call::UserInfo;
    for (error, words) in [
        (WeComError::rate_limited(call), "look for what calls WeCom's API"),
        (WeComError::unreachable(call), "http_proxy, DNS"),
        (WeComError::bad_answer(call), "userinfo_path"),
        (WeComError::rule_unevaluable(call, None), "allow_departments"),
        (WeComError::from_errcode(call, 60020, ""), "the gate's public address"),
    ] {
        assert!(error.remedy().contains(words), "{error}: {}", error.remedy());
    }
    for error in [WeComError::code_rejected(), WeComError::person(call, Failure::NotVisible)] {
        assert_eq!(error.remedy(), "", "{error}");
    }
}

#[test]
fn what_is_logged_names_call_code_reason_and_remedy() {
    let error = WeComError::from_errcode(Call::Tag, 40068, "").because("redacted");
    let cause = FailureWithCause::from(error.clone()).cause;
    assert_eq!(
        (cause.call.as_deref(), cause.class, cause.errcode),
        (Some(error.call().name()), Some("config"), Some(40068))
    );
    assert_eq!(cause.errmsg.as_deref(), Some("redacted"));
    assert_eq!(cause.remedy, Some(error.remedy()));
    let bare = FailureWithCause::from(WeComError::code_rejected()).cause;
    assert_eq!((bare.errmsg, bare.remedy), (None, None), "no empty fields");
}

#[test]
fn an_error_once_more_is_the_same_and_a_broken_call_says_so() {
    let error = WeComError::from_errcode(Call::Tag, 40068, "").because("r");
    let again = error.repeated();
    assert_eq!((again.call(), again.errcode(), again.reason()), (Call::Tag, Some(40068), "r"));
    assert!(!error.is_broken_midway() && error.broken_midway().is_broken_midway());
}

/// Whatever WeCom sends, inside the ranges of its reference or outside: the operator gets a remedy, which contains no secret and
/// none of the gate's own labels, and the label is a documented one.
#[test]
fn whatever_code_wecom_sends_there_is_something_to_do() {
    let ranges = [
        -70_000..=-69_900,
        -100..=100,
        40_000..=52_000,
        60_000..=61_500,
        80_000..=96_000,
        301_000..=302_100,
        600_000..=610_100,
        640_000..=660_100,
        670_000..=671_100,
        2_000_000..=2_000_100,
    ];
    let extremes =
        [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX, i64::from(i32::MIN), i64::from(u32::MAX) + 1];
    for code in ranges.into_iter().flatten().chain(extremes).filter(|code| *code != 0) {
        let texts = ["", "from ip: 1.2.3.4, more info", "\u{1f600} from ip: \n"];
        let text = texts[(code.unsigned_abs() % 3) as usize];
        for call in CALLS {
            let error = WeComError::from_errcode(call, code, text);
            let remedy = error.remedy();
            assert!(remedy.len() > 10 && !remedy.contains('\n'), "{call:?} {code} {text:?}: {remedy:?}");
            assert!(!error.failure().response().label.is_empty(), "{call:?} {code}");
            assert_eq!(error.errcode(), Some(code), "{call:?}");
        }
    }
}
