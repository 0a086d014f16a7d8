//! Addresses that NocoBase's page names and those that lead to its form.

use super::*;

#[test]
fn the_address_of_the_form_keeps_the_place_and_the_client() {
    let crm = Policy { public_path: "/crm/".to_owned(), ..policy() };
    for (policy, here, want) in [
        (policy(), "/admin/x?a=1&b=2", "/signin?redirect=%2Fadmin%2Fx%3Fa%3D1%26b%3D2"),
        (policy(), "/", "/signin?redirect=%2F"),
        (policy(), "/v/admin", "/v/signin?redirect=%2Fadmin"),
        (policy(), "/v", "/v/signin?redirect=%2F"),
        (policy(), "/vx", "/signin?redirect=%2Fvx"),
        (crm.clone(), "/crm/admin", "/crm/signin?redirect=%2Fadmin"),
        (crm, "/", "/crm/signin?redirect=%2F"),
    ] {
        assert_eq!(crate::decide::form_address(&policy, here), want, "{here}");
    }
}

#[test]
fn addresses_in_nocobases_page_are_those_of_the_form() {
    let client = ClientPaths::new(Some("new"), Some("/socket/x"));
    let policy = Policy { client, browsers: Browsers::NocoBase, ..with_password() };
    let visit = |path| Request { user_agent: Some(CHROME), ..page(path) };
    for path in ["/signin", "/new/signin"] {
        assert_eq!(decide(&policy, &visit(path)), SCRIPTED, "{path}");
    }
    for path in ["/new/assets/x.js", "/v/assets/x.js", "/new/global.css", "/assets/x.js"] {
        assert_eq!(decide(&policy, &call(path)), pass(Identity::Anonymous), "{path}");
    }
    assert_eq!(decide(&policy, &visit("/new/admin/x")), form("/new/signin?redirect=%2Fadmin%2Fx"));
    assert_eq!(decide(&policy, &visit("/admin")), form("/signin?redirect=%2Fadmin"));
    assert_eq!(decide(&policy, &socket("/socket/x")), pass(Identity::Anonymous));
    for closed in [socket("/ws"), socket("/new/ws"), call("/new/api/users:list"), call("/newx/assets/x.js")] {
        assert!(!forwards(&policy, &closed), "{}", closed.path);
    }
    // The pages of another application are refused below that prefix, too.
    let other = decide(&policy, &visit("/new/apps/sub1/admin"));
    assert!(matches!(other, Decision::Refuse { failure: Failure::OtherApplication, .. }), "{other:?}");
}

fn form(address: &str) -> Decision {
    Decision::Form(address.to_owned())
}

#[test]
fn no_sign_in_page_is_redirected_to_another() {
    let policy = Policy { browsers: Browsers::NocoBase, ..with_password() };
    for path in ["/new/signin", "/x/y/signin", "/apps/main/signin", "/signin/signin"] {
        let request = Request { user_agent: Some(CHROME), query: Some("redirect=/admin"), ..page(path) };
        assert_eq!(decide(&policy, &request), Decision::Page(Page::SignIn), "{path}");
    }
}

#[test]
fn what_is_no_path_of_a_client_is_not_taken() {
    let default = ClientPaths::default();
    for (modern, ws) in [
        (None, None),
        (Some(""), Some("")),
        (Some("/"), Some("/")),
        (Some("a b"), Some("ws")),
        (Some(".."), Some("/../ws")),
        (Some("a/../b"), Some("wss://other.example/ws")),
        (Some("a%2F"), Some("/w?s")),
    ] {
        assert_eq!(ClientPaths::new(modern, ws), default, "{modern:?} {ws:?}");
    }
    let read = ClientPaths::new(Some("/new/"), Some("/nocobase/ws"));
    assert_eq!((read.modern.as_str(), read.ws.as_str()), ("new", "/nocobase/ws"));
}
