//! Which tokens count, and where.

use parking_lot::Mutex;

use super::*;
use crate::audit::Source;
use crate::nocobase::{Minter, UserId};
use crate::proxy::test_gate::{SECRET, gate};

const FORM: &str = r#"browsers = "nocobase""#;
const NO_KEYS: &str = "browsers = \"nocobase\"\napi_keys = false";
const NEITHER: &str = "browsers = \"web-login\"\napi_keys = false";

fn now() -> u64 {
    login::now().as_secs()
}

/// A token as issued by NocoBase's own form.
fn of_form() -> String {
    let user = UserId::new(7).unwrap();
    let minted = Minter::new(SECRET.as_bytes()).session(user, "a-sign-in", now() * 1000, now());
    minted.unwrap().as_str().to_owned()
}

fn api_key() -> String {
    Minter::new(SECRET.as_bytes()).service(UserId::new(7).unwrap(), now()).unwrap().as_str().to_owned()
}

fn request(target: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
    let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
    for (name, value) in headers {
        request.append_header(*name, *value).unwrap();
    }
    request
}

#[test]
fn there_is_one_bearer_or_none() {
    let of = |headers: &[(&'static str, &str)]| bearer(&request("/x", headers)).map(str::to_owned);
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[("authorization", "Bearer abc")]).as_deref(), Some("abc"));
    assert_eq!(of(&[("authorization", "Bearer abc"), ("authorization", "Bearer abc")]), None);
}

#[tokio::test]
async fn r41_credentials_of_a_request_are_distinguished() {
    let gate = gate(FORM);
    let (own, key) = (format!("Bearer {}", of_form()), format!("Bearer {}", api_key()));
    for (headers, expected) in [
        (&[][..], Credential::None),
        (&[("authorization", own.as_str())], Credential::OwnToken),
        (&[("authorization", key.as_str())], Credential::ApiToken),
        (&[("authorization", "Bearer x.y.z")], Credential::Invalid),
        (&[("authorization", "Bearer")], Credential::Invalid),
        (&[("authorization", own.as_str()), ("authorization", own.as_str())], Credential::Invalid),
    ] {
        assert_eq!(credential(&gate, &request("/x", headers), None, None), (expected, None), "{headers:?}");
    }
}

#[tokio::test]
async fn r36_a_token_counts_no_longer_than_its_session() {
    let gate = gate(FORM);
    let token = of_form();
    let of = |token: &str| token_kind(&gate.sessions, true, token);
    assert_eq!(of(&token), Credential::OwnToken);
    let sign_in = gate.sessions.password_sign_in(&token).unwrap();
    gate.sessions.password_signs_out(&sign_in, &Source::default());
    assert_eq!(of(&token), Credential::Invalid);
    assert_eq!(of(&api_key()), Credential::ApiToken);
}

#[tokio::test]
async fn the_cookie_of_nocobases_form_counts_where_the_form_is_in_use() {
    let (own, key) = (of_form(), api_key());
    let with = |token: &str| request("/x", &[("cookie", &format!("a=b; nb_auth_token_main={token}"))]);
    let form = gate(FORM);
    assert_eq!(own_token(&form, &with(&own)), Some(own.clone()));
    for other in [&key, "x.y.z", ""] {
        assert_eq!(own_token(&form, &with(other)), None, "{other}");
    }
    assert_eq!(own_token(&form, &request("/x", &[])), None);
    assert_eq!(own_token(&gate(NEITHER), &with(&own)), None);
}

#[tokio::test]
async fn r41_in_a_websocket_that_is_no_members_pass_the_tokens_that_pass_over_http() {
    use TokenVerdict::{Keep, Refuse};
    let (own, key) = (of_form(), api_key());
    for (access, of_own, of_key) in [(FORM, Keep, Keep), (NO_KEYS, Keep, Refuse), (NEITHER, Refuse, Refuse)] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let mut swap = own_tokens_only(&gate(access), move |sign_in| noted.lock().push(sign_in.user_id));
        let is_kept = of_own == Keep;
        assert_eq!((swap(&own), swap(&key), swap("x.y.z")), (of_own, of_key, Refuse), "{access}");
        assert_eq!(*seen.lock(), if is_kept { vec![7] } else { vec![] }, "{access}");
    }
}

#[test]
fn a_foreign_token_is_removed_from_the_query() {
    for (target, left) in
        [("/x?a=b&token=c&d=e", Some("a=b&d=e")), ("/x?token=c", Some("")), ("/x?a=b", None), ("/x", None)]
    {
        assert_eq!(foreign_token_removed(&request(target, &[])).as_deref(), left, "{target}");
    }
}
