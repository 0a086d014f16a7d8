use nocobase_standin::NocoBase as StandIn;

use super::super::test_gate::{cookies, cookies_of, member, sign_ins};
use super::*;
use crate::nocobase::UserId;

const SOURCE: Source = Source { request_id: None, client: None };

/// Sign-ins, with a NocoBase that has the service account and user 7.
async fn stage() -> (StandIn, Arc<SignIns>) {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    standin.user_with_id(7, serde_json::json!({}));
    (standin.clone(), sign_ins(standin.address))
}

/// A started sign-in: the browser's cookies, and the state.
fn begun(sign_ins: &SignIns, via: Via) -> (OwnCookies<'static>, String) {
    let start = Start {
        via,
        entry: 0,
        target: "/admin/a?b=1".into(),
        mobile: false,
        automatic: false,
        attempt: 0,
        consent: false,
        lang: "en",
        source: &SOURCE,
    };
    let started = sign_ins.start(&OwnCookies::default(), &start).unwrap();
    let own = cookies(&sign_ins.sessions, &started.cookies);
    (own, state_of(&started.location))
}

fn state_of(location: &str) -> String {
    let url = url::Url::parse(location).unwrap();
    url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

/// A callback with this query, from a browser with these cookies.
async fn finish(
    sign_ins: &Arc<SignIns>,
    own: &OwnCookies<'_>,
    query: &str,
    in_wecom: bool,
) -> (CallbackResponse, Vec<String>) {
    let callback = Callback {
        source: &SOURCE,
        query: Some(query),
        cookies: own,
        client: "192.0.2.1".parse().unwrap(),
        in_wecom,
        mobile: false,
        lang: "en",
        others: &[],
    };
    sign_ins.finish(callback).await
}

/// Failure, retry, and whether it has been logged.
fn failed(response: CallbackResponse) -> (Failure, Option<Retry>, bool) {
    match response {
        CallbackResponse::Failed { failure, retry, logged } => (failure, retry, logged),
        CallbackResponse::Redirect(location) => panic!("a redirect to {location}"),
    }
}

fn same(via: Via) -> Option<Retry> {
    Some(Retry {
        target: Some("/admin/a?b=1".into()),
        via: Some(via),
        entry: Some("wecom".into()),
        link: None,
    })
}

#[tokio::test]
async fn r19_a_callback_without_its_sign_in_is_refused() {
    let (_standin, sign_ins) = stage().await;
    let nobody = OwnCookies::default();
    let start_page = Some(Retry::default());
    for query in ["", "code=c", "state=", "state=short&code=c", "state=a&state=b&code=c"] {
        let (response, _) = finish(&sign_ins, &nobody, query, false).await;
        assert_eq!(failed(response), (Failure::BadCallback, start_page.clone(), false), "{query}");
    }
    let (_, state) = begun(&sign_ins, Via::WeCom);
    let (response, _) = finish(&sign_ins, &nobody, &format!("state={state}&code=c"), false).await;
    assert_eq!(failed(response).0, Failure::FlowMissing);
    let again = format!("1{}", &state[1..]);
    let (response, _) = finish(&sign_ins, &nobody, &format!("state={again}&code=c"), true).await;
    assert_eq!(failed(response).0, Failure::CookiesBlocked, "twice in a row");
}

#[tokio::test]
async fn inside_wecom_a_callback_without_its_sign_in_starts_over_once() {
    let (_standin, sign_ins) = stage().await;
    let (_, state) = begun(&sign_ins, Via::WeCom);
    let query = format!("state={state}&code=c");
    let (response, set) = finish(&sign_ins, &OwnCookies::default(), &query, true).await;
    let CallbackResponse::Redirect(location) = response else { panic!("{response:?}") };
    assert!(state_of(&location).starts_with('1') && state_of(&location) != state, "{location}");
    assert!(set.iter().any(|line| line.starts_with("__Host-wecom_gate_flow_")), "{set:?}");
    let signed_out = cookies(&sign_ins.sessions, &[sign_ins.cookie_names().set_out()]);
    let (response, _) = finish(&sign_ins, &signed_out, &query, true).await;
    assert_eq!(failed(response).0, Failure::FlowMissing, "nobody who signed out is signed straight in");
}

#[tokio::test]
async fn a_browser_that_is_signed_in_and_brings_an_old_callback_stays_signed_in() {
    let (_standin, sign_ins) = stage().await;
    let entry = sign_ins.config.wecom[0].clone();
    let session = sign_ins.sessions.open(&entry, &member("zhangsan"), UserId::new(7).unwrap()).await.unwrap();
    let own = cookies_of(&sign_ins.sessions, &session);
    let (_, state) = begun(&sign_ins, Via::WeCom);
    for query in ["code=c".to_owned(), format!("state={state}&code=c")] {
        let (response, _) = finish(&sign_ins, &own, &query, true).await;
        assert!(matches!(&response, CallbackResponse::Redirect(to) if to == "/"), "{response:?}");
    }
}

#[tokio::test]
async fn without_a_code_the_sign_in_was_cancelled_or_consent_denied() {
    let (_standin, sign_ins) = stage().await;
    for (via, failure) in [(Via::WeCom, Failure::ConsentDenied), (Via::Web, Failure::LoginCancelled)] {
        for query in ["", "&code="] {
            let (own, state) = begun(&sign_ins, via);
            let (response, set) = finish(&sign_ins, &own, &format!("state={state}{query}"), true).await;
            assert_eq!(failed(response), (failure, same(via), true));
            assert!(set.len() == 1 && set[0].contains("Max-Age=0"), "{set:?}");
        }
    }
    let (own, state) = begun(&sign_ins, Via::WeCom);
    let (response, _) = finish(&sign_ins, &own, &format!("state={state}&code=a&code=b"), true).await;
    assert_eq!(failed(response), (Failure::BadCallback, same(Via::WeCom), false));
}

#[tokio::test]
async fn r18_a_repeated_callback_fails_once_in_the_log() {
    let (standin, sign_ins) = stage().await;
    let (own, state) = begun(&sign_ins, Via::WeCom);
    let query = format!("state={state}&code=c");
    let (first, _) = finish(&sign_ins, &own, &query, true).await;
    assert_eq!(failed(first), (Failure::WeComUnreachable, same(Via::WeCom), true));
    let (second, _) = finish(&sign_ins, &own, &query, true).await;
    assert_eq!(failed(second), (Failure::WeComUnreachable, same(Via::WeCom), false));
    let (other, _) = finish(&sign_ins, &own, &format!("state={state}&code=d"), true).await;
    assert_eq!(failed(other).0, Failure::FlowMissing, "the state is used up (R19)");
    assert!(standin.rows("issuedTokens").is_empty());
}
