use super::*;
use crate::decide::{ForwardOptions, Identity};
use crate::proxy::test_gate::gate;

fn forward(identity: Identity, signs_out: bool) -> Option<ForwardOptions> {
    Some(ForwardOptions {
        identity,
        put_cookies: false,
        put_script: false,
        identity_allowed: false,
        strip_token: false,
        strip_credentials: false,
        signs_out,
        own_tokens: false,
        opens_password: false,
        may_compress: false,
        renew_cookie: false,
    })
}

#[tokio::test]
async fn only_a_member_signs_a_member_out() {
    let mut context = Context::new(&gate(""));
    assert!(!context.signs_out());
    for (identity, signs_out, is) in [
        (Identity::Member, true, true),
        (Identity::Member, false, false),
        (Identity::Token, true, false),
        (Identity::Anonymous, true, false),
    ] {
        context.forward = forward(identity, signs_out);
        assert_eq!(context.signs_out(), is, "{identity:?} {signs_out}");
    }
}

#[tokio::test]
async fn a_401_is_asked_about_again_once_and_only_where_nothing_changes() {
    let request = |method: &str| RequestHeader::build(method, b"/x", None).unwrap();
    let old = Some(FRESH);
    let young = Some(FRESH - Duration::from_millis(1));
    for (method, identity, age, refused, may) in [
        ("GET", Identity::Member, old, None, true),
        ("HEAD", Identity::Member, old, None, true),
        ("POST", Identity::Member, old, None, false),
        ("GET", Identity::Token, old, None, false),
        ("GET", Identity::Member, young, None, false),
        ("GET", Identity::Member, None, None, false),
        ("GET", Identity::Member, old, old, false),
    ] {
        let mut context = Context::new(&gate(""));
        context.forward = forward(identity, false);
        (context.token_age, context.refused_token_age) = (age, refused);
        assert_eq!(context.may_ask_again(&request(method)), may, "{method} {identity:?} {age:?} {refused:?}");
    }
}

#[tokio::test]
async fn a_request_counts_as_long_as_it_lives_and_a_tunnel_does_not() {
    let gate = gate("");
    let count = || gate.in_flight.load(Ordering::Relaxed);
    let (one, mut two) = (Context::new(&gate), Context::new(&gate));
    assert_eq!(count(), 2);
    drop(one);
    two.becomes_tunnel();
    assert_eq!(count(), 0);
    drop(two);
    assert_eq!((count(), Context::new(&gate).member_ended()), (0, false));
}
