//! What passes anonymously by default: preflights of API paths, and temporary links to files.

use super::*;

#[test]
fn cors_preflights_of_api_paths_pass_anonymously() {
    let evil = Some("https://evil.com");
    let preflight = Request {
        method: "OPTIONS",
        origin: evil,
        names_cors_method: true,
        accept: Some("*/*"),
        sec_fetch_mode: Some("cors"),
        sec_fetch_dest: Some("empty"),
        sec_fetch_site: Some("cross-site"),
        ..page("/api/users:list")
    };
    let closed = Policy { preflights: false, ..policy() };
    assert_eq!(decide(&policy(), &preflight), pass(Identity::Anonymous));
    assert_eq!(decide(&closed, &preflight), no(Failure::NoSession));
    for passes in [
        Request { origin: Some("null"), ..preflight },
        Request { path: "/api/orders/1/items:list", ..preflight },
        Request { query: Some("filter=%7B%7D"), ..preflight },
        Request { session: SessionState::Ended, ..preflight },
        Request { sec_fetch_site: None, sec_fetch_mode: None, sec_fetch_dest: None, ..preflight },
        Request { user_agent: None, accept: None, ..preflight },
    ] {
        assert_eq!(decide(&policy(), &passes), pass(Identity::Anonymous), "{passes:?}");
        let options = options(&policy(), &passes);
        assert!(options.strip_credentials && options.strip_token, "{passes:?}");
    }
    for (why, other, failure) in [
        ("no origin", Request { origin: None, ..preflight }, Failure::NoSession),
        ("no method named", Request { names_cors_method: false, ..preflight }, Failure::NoSession),
        ("not OPTIONS", Request { method: "POST", ..preflight }, Failure::NoSession),
        ("get", Request { method: "GET", ..preflight }, Failure::NoSession),
        ("a file", Request { path: "/files/main/1.pdf", ..preflight }, Failure::NoSession),
        ("a page", Request { path: "/admin", ..preflight }, Failure::NoSession),
        ("like the API", Request { path: "/apix", ..preflight }, Failure::NoSession),
        ("upgrade", Request { upgrade: true, ..preflight }, Failure::NoSession),
        ("a credential", Request { credential: Credential::Invalid, ..preflight }, Failure::InvalidToken),
        ("another host", Request { host: Some("evil.com"), ..preflight }, Failure::UnknownHost),
        ("HEAD", Request { method: "HEAD", ..preflight }, Failure::NoSession),
        ("another spelling", Request { method: "options", ..preflight }, Failure::NoSession),
        ("a sign-in", Request { path: "/api/auth:signIn", ..preflight }, Failure::CrossSite),
        ("the WebSocket", Request { path: "/ws", ..preflight }, Failure::NoSession),
    ] {
        assert_eq!(decide(&policy(), &other), no(failure), "{why}");
    }
}

#[test]
fn temporary_links_to_files_pass_anonymously() {
    let link = Request {
        query: Some("a=b&temporaryAccessToken=x"),
        user_agent: None,
        ..page("/files/main/m/a/1.docx")
    };
    let closed = Policy { temporary_file_links: false, ..policy() };
    for method in ["GET", "HEAD"] {
        for path in [link.path, "/storage/uploads/1.docx"] {
            let link = Request { method, path, ..link };
            assert_eq!(decide(&policy(), &link), pass(Identity::Anonymous), "{method} {path}");
            let options = options(&policy(), &link);
            assert!(options.strip_credentials && options.strip_token, "{method} {path}");
            assert!(!matches!(decide(&closed, &link), Decision::Forward(_)), "{method} {path}");
        }
    }
    for (why, other) in [
        ("POST", Request { method: "POST", ..link }),
        ("the API", Request { path: "/api/attachments:list", ..link }),
        ("a page", Request { path: "/admin", ..link }),
        ("no token", Request { query: Some("x=temporaryAccessToken"), ..link }),
        ("another case", Request { query: Some("temporaryaccesstoken=x"), ..link }),
        ("in an array", Request { query: Some("temporaryAccessToken[]=x"), ..link }),
        ("a name that begins so", Request { query: Some("temporaryAccessTokens=x"), ..link }),
        ("like files", Request { path: "/filesystem/1.docx", ..link }),
        ("files in another place", Request { path: "/admin/files/1.docx", ..link }),
        ("OPTIONS", Request { method: "OPTIONS", ..link }),
        ("a credential", Request { credential: Credential::Invalid, ..link }),
        ("upgrade", Request { upgrade: true, ..link }),
    ] {
        assert!(!matches!(decide(&policy(), &other), Decision::Forward(_)), "{why}");
    }
}
