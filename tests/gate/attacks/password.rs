//! R40: signing in by password comes from our own pages, whichever way NocoBase's sign-in is open.

use crate::support::raw::{Setup, gate_with, request, talk};

/// What browsers, old and new, send with a form or an image of another site.
const ELSEWHERE: &[&str] = &[
    "",
    "Origin: http://evil.test\r\n",
    "Origin: null\r\n",
    "Origin: https://gate.test\r\n",
    "Origin: http://gate.test:81\r\n",
    "Origin: http://gate.test.evil.test\r\n",
    "Origin: http://evil.test\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
    "Origin: http://other.gate.test\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n",
    "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
    "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
];
const CALLS: &[(&str, &str)] = &[
    ("POST", "/api/auth:signIn"),
    ("POST", "/api/auth:signIn?authenticator=basic"),
    ("GET", "/api/auth:signIn?values[account]=a&values[password]=b"),
    ("POST", "/api/auth:signIn/1"),
    ("POST", "/api/auth:sign%49n"),
    ("POST", "/api/auth:signUp"),
    ("POST", "/api/auth:resetPassword"),
    ("POST", "/api/auth:syncCookies?token=x"),
];

/// Opens NocoBase's sign-in in the gate's configuration.
type Open = fn(Setup) -> Setup;

#[tokio::test(flavor = "multi_thread")]
async fn r40_no_other_site_signs_a_browser_in() {
    let ways: [(&str, Open); 3] = [
        ("the form", |s| s.set("access.browsers", "nocobase")),
        ("a public rule", |s| s.set("access.public", vec!["* /api/auth:*", "* /api/auth:*/**"])),
        ("a bypass network", |s| s.set("access.bypass_networks", vec!["127.0.0.0/8"])),
    ];
    for (way, open) in ways {
        let (upstream, setup, gate) = gate_with(open).await;
        let (member, key) = (setup.visitor(), setup.api_key());
        for lines in
            [String::new(), member.cookie_line(), member.lines(), format!("Authorization: Bearer {key}\r\n")]
        {
            for (method, target) in CALLS {
                for elsewhere in ELSEWHERE {
                    let headers = format!("{lines}{elsewhere}Content-Length: 0\r\n");
                    let answer = talk(gate.http, request(method, target, &headers)).await;
                    assert_eq!(answer.status(), 403, "{way}: {method} {target} {headers}: {}", answer.text());
                    assert!(answer.text().contains("CROSS_SITE"), "{way}: {}", answer.text());
                }
            }
        }
        assert!(upstream.take().is_empty(), "{way}");
        // NocoBase's own page still does.
        for own in ["Origin: http://gate.test\r\n", "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"]
        {
            let headers = format!("{own}Content-Length: 0\r\n");
            let answer = talk(gate.http, request("POST", "/api/auth:signIn", &headers)).await;
            assert_eq!(answer.status(), 200, "{way}: {own}");
            assert_eq!(upstream.take().len(), 1, "{way}: {own}");
        }
    }
}
