//! The console's addresses: without administrators, or with a cookie that does not count, they lead nowhere.

use super::*;
use crate::decide::ConsolePage;
use crate::decide::own::OwnPath;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"];
const PATHS: [(&str, ConsolePage); 4] = [
    ("/wecom-gate/console", ConsolePage::Now),
    ("/wecom-gate/console/refused", ConsolePage::Refused),
    ("/wecom-gate/console/members", ConsolePage::Members),
    ("/wecom-gate/console/check", ConsolePage::Check),
];

#[test]
fn without_administrators_it_is_no_path_of_the_gates() {
    for (path, _) in PATHS {
        for method in METHODS {
            let request = Request { method, ..page(path) };
            let nothing = decide(&policy(), &Request { path: "/wecom-gate/nothing", ..request });
            assert_eq!(decide(&policy(), &request), nothing, "{method} {path}");
            assert!(matches!(nothing, Decision::Refuse { failure: Failure::NotFound, .. }), "{nothing:?}");
        }
    }
}

#[test]
fn with_administrators_the_route_decides_whatever_the_method() {
    let open = Policy { console: true, ..policy() };
    for (path, shown) in PATHS {
        for method in METHODS {
            let request = Request { method, sec_fetch_site: Some("same-origin"), ..page(path) };
            assert_eq!(decide(&open, &request), Decision::Own(OwnPath::Console(shown)), "{method} {path}");
        }
        // Another site caused the request.
        let request = Request {
            sec_fetch_site: Some("cross-site"),
            sec_fetch_mode: Some("no-cors"),
            sec_fetch_dest: Some("image"),
            ..page(path)
        };
        let nothing = decide(&open, &Request { path: "/wecom-gate/nothing", ..request });
        assert_eq!(decide(&open, &request), nothing, "{path}");
    }
    // A form submitted by another site, with any content.
    for (site, origin) in [
        (Some("cross-site"), None),
        (Some("same-site"), Some("https://gate.example.com")),
        (Some("none"), None),
        (None, Some("https://evil.example")),
        (None, Some("https://gate.example.com.evil.example")),
    ] {
        let request = Request { method: "POST", sec_fetch_site: site, origin, ..page(PATHS[2].0) };
        let nothing = decide(&open, &Request { path: "/wecom-gate/nothing", ..request });
        assert_eq!(decide(&open, &request), nothing, "{site:?} {origin:?}");
    }
    for path in
        ["/wecom-gate/console/", "/wecom-gate/consoles", "/wecom-gate/console/x", "/wecom-gate/Console"]
    {
        assert!(
            matches!(decide(&open, &page(path)), Decision::Refuse { failure: Failure::NotFound, .. }),
            "{path}"
        );
    }
}
