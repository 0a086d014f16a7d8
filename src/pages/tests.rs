//! Properties of all pages, in all languages.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::parts;
use super::rendered::{SCRIPT, STYLE};
use super::view::STEPS;
use super::{AccountForm, Appearance, Entry, Lang, Page, Rendered, View, json_error, kinds, message, render};
use crate::error::Failure;

mod appearance;
mod console;
mod safety;
mod texts;

const RETRY: &str = "/wecom-gate/login?rd=%2Fadmin%2Forders%3Fid%3D1";
const LINK: &str = "https://nocobase.example.com/admin/orders?id=1";
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&\u{202e}";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_323_045)
}

const ENTRIES: [Entry<'_>; 2] = [
    Entry { title: "Example Ltd", href: "/wecom-gate/login?with=wecom" },
    Entry { title: "示例（上海）科技有限公司", href: "/wecom-gate/login?with=shanghai" },
];

/// Every page once: (name, page).
fn pages() -> Vec<(String, Page)> {
    let failures = Failure::ALL.iter().map(|f| (f.response().label.to_owned(), Page::Failure(*f)));
    let others = [
        ("sign_in".to_owned(), Page::SignIn),
        ("signed_out".to_owned(), Page::SignedOut),
        ("logout".to_owned(), Page::Logout),
    ];
    failures.chain(others).collect()
}

fn view<'a>(lang: Lang, page: Page) -> View<'a> {
    let linking = matches!(
        page,
        Page::Failure(Failure::NoMatchingUser | Failure::NothingToMatch | Failure::PasswordRejected)
    );
    let form = AccountForm {
        id: "0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P",
        member: "张三 (zhangsan)",
        account: "",
        words: "",
    };
    let rejected =
        AccountForm {
            account: "zhang.san@example.com", words: "用户名/邮箱或密码有误，请重新输入", ..form
        };
    let form = if matches!(page, Page::Failure(Failure::PasswordRejected)) { rejected } else { form };
    let choice = matches!(page, Page::SignIn | Page::Failure(Failure::OtherCompany));
    View {
        entries: if choice { &ENTRIES } else { &[] },
        retry: Some(RETRY),
        link: Some(LINK),
        password: Some("/signin"),
        account_form: linking.then_some(form),
        ..View::new(lang, page, "7f3c9a41d2e84b06", now())
    }
}

fn all() -> impl Iterator<Item = (String, Rendered)> {
    Lang::all().into_iter().flat_map(|lang| {
        pages()
            .into_iter()
            .map(move |(name, page)| (format!("{name}.{}", lang.tag()), render(&view(lang, page))))
    })
}

#[test]
fn every_failure_has_a_page_in_every_language() {
    let english = Lang::default();
    for lang in Lang::all() {
        for failure in Failure::ALL {
            let rendered = render(&view(lang, Page::Failure(*failure)));
            let label = failure.response().label;
            assert_eq!(rendered.status, failure.response().status, "{label}");
            assert!(rendered.body.contains(&format!("<html lang=\"{}\">", lang.tag())), "{label}");
            let title = message(*failure, lang, Appearance::plain());
            assert!(rendered.body.contains(&format!("<h1>{title}</h1>")), "{label}: {title}");
            if lang != english {
                assert_ne!(
                    title,
                    message(*failure, english, Appearance::plain()),
                    "{label} is not translated"
                );
            }
            for needed in [label, "7f3c9a41d2e84b06", "2026-01-02T03:04:05Z", "class=\"what\""] {
                assert!(rendered.body.contains(needed), "{label}: {needed}");
            }
            let retry = failure.response().retry_after.map(|s| s.to_string());
            assert_eq!(rendered.header("retry-after"), retry.as_deref(), "{label}");
            assert_eq!(rendered.body.contains("http-equiv=\"refresh\""), retry.is_some(), "{label}");
        }
    }
}

#[test]
fn a_person_always_finds_a_way_on() {
    for (name, rendered) in all() {
        let ways = ["class=\"button main\"", "class=\"button quiet\"", "<ol>"];
        assert!(ways.iter().any(|way| rendered.body.contains(way)), "{name} leads nowhere");
    }
}

#[test]
fn pages_show_no_internals() {
    for failure in [
        Failure::WeComConfig,
        Failure::WeComIpNotTrusted,
        Failure::NocoBaseSecretWrong,
        Failure::NocoBaseServiceDenied,
        Failure::RuleUnevaluable,
    ] {
        assert_eq!(kinds::of(failure).key, "setup", "{failure}");
    }
    for lang in Lang::all() {
        for failure in Failure::ALL {
            let label = failure.response().label;
            let words =
                render(&view(lang, Page::Failure(*failure))).body.replace(LINK, "").replace(label, "");
            for inside in ["NocoBase", "nocobase", "secret", "jwt", "60020", ".toml"] {
                assert!(!words.replace(STYLE, "").contains(inside), "{label} contains {inside}");
            }
        }
    }
}

#[test]
fn waiting_pages_continue_by_themselves() {
    let lang = Lang::default();
    let mut waiting = view(lang, Page::Failure(Failure::NocoBaseStarting));
    let again = render(&waiting).body;
    assert!(again.contains("content=\"5;url=/wecom-gate/login?rd=%2Fadmin%2Forders%3Fid%3D1\""), "{again}");
    waiting.retry = None;
    assert!(render(&waiting).body.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    waiting.retry_after = Some(2);
    let sooner = render(&waiting);
    assert_eq!(sooner.header("retry-after"), Some("2"));
    assert!(sooner.body.contains("<meta http-equiv=\"refresh\" content=\"2\">"));
    waiting.retry_after = None;
    waiting.retry = Some("//evil.example");
    assert!(render(&waiting).body.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
}

#[test]
fn sign_in_has_a_button_per_entry() {
    let entries = [ENTRIES[0], Entry { title: "Elsewhere", href: "https://evil.example/" }];
    let page = Page::SignIn;
    let body = render(&View { entries: &entries, password: None, ..view(Lang::default(), page) }).body;
    assert!(body.contains("href=\"/wecom-gate/login?with=wecom\">Sign in with Example Ltd</a>"), "{body}");
    assert!(!body.contains("evil.example") && !body.contains("password\"><a"), "{body}");
    // If it is enabled, it is offered wherever signing in may fail.
    for page in [page, Page::SignedOut, Page::Failure(Failure::WeComUnreachable)] {
        let body = render(&view(Lang::default(), page)).body;
        assert!(body.contains("<a href=\"/signin\">Sign in with a password</a>"), "{body}");
    }
}

/// The default title is WeCom's name, which differs in Chinese; a configured title is kept.
#[test]
fn the_default_title_is_wecoms_name_in_the_language_of_the_page() {
    let chinese = crate::pages::language(Some("zh-CN"), None, None);
    for (lang, title, label) in [
        (Lang::default(), "WeCom", "Sign in with WeCom"),
        (chinese, "WeCom", "使用 企业微信 登录"),
        (chinese, "WeCom Shanghai", "使用 WeCom Shanghai 登录"),
    ] {
        let entries = [Entry { title, href: "/wecom-gate/login?with=wecom" }];
        let body = render(&View { entries: &entries, ..view(lang, Page::SignIn) }).body;
        assert!(body.contains(&format!(">{label}</a>")), "{title}: {body}");
    }
}

#[test]
fn signing_out_is_a_post_and_the_page_after_it_waits_for_a_click() {
    let confirm = render(&view(Lang::default(), Page::Logout)).body;
    assert!(confirm.contains("<form method=\"post\" action=\"/wecom-gate/logout\">"), "{confirm}");
    let out = render(&View::new(Lang::default(), Page::SignedOut, "x", now()));
    assert_eq!(out.status, 200);
    assert!(out.body.contains("href=\"/wecom-gate/login\">Sign in again</a>"), "{}", out.body);
    assert!(!out.body.contains("http-equiv"), "{}", out.body);
}

#[test]
fn with_several_entries_people_choose_after_signing_out_and_after_a_refusal() {
    let body = |entries, page| render(&View { entries, ..view(Lang::default(), page) }).body;
    let with = |body: &str| body.matches("&with=").count() + body.matches("?with=").count();
    let out = body(&ENTRIES, Page::SignedOut);
    assert!(with(&out) == 2 && !out.contains("Sign in again"), "{out}");
    let out = body(&ENTRIES[..1], Page::SignedOut);
    assert!(with(&out) == 0 && out.contains("Sign in again"), "one needs no name: {out}");
    let other = body(&ENTRIES[..1], Page::Failure(Failure::OtherCompany));
    assert!(with(&other) == 1 && other.contains("Try again"), "{other}");
}

#[test]
fn the_first_sign_in_returns_to_its_page() {
    let body = render(&view(Lang::default(), Page::Failure(Failure::FirstTimeInWeCom))).body;
    assert!(body.contains(&format!("href=\"{RETRY}\">Try again</a>")), "{body}");
}

#[test]
fn a_strange_clock_is_no_reason_to_fail() {
    for strange in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(400_000_000_000)] {
        let mut page = view(Lang::default(), Page::Failure(Failure::Internal));
        page.now = strange;
        assert!(render(&page).body.contains("internal"));
    }
}

/// Writes all pages into the file `WECOM_GATE_PAGES`, for the test that checks them in Chromium:
/// `WECOM_GATE_PAGES=/tmp/pages.json cargo test --lib pages::tests::write_pages -- --ignored`
#[test]
#[ignore = "writes a file to be looked at"]
fn write_pages() {
    let file = PathBuf::from(std::env::var_os("WECOM_GATE_PAGES").expect("WECOM_GATE_PAGES"));
    let pages = all().chain(console::samples()).chain(appearance::samples()).map(|(name, page)| {
        // Without the refresh, which would reload the page during the test.
        let still = page.body.lines().filter(|line| !line.contains("http-equiv=\"refresh\""));
        let headers: BTreeMap<_, _> = page.headers.iter().map(|(name, value)| (*name, value)).collect();
        serde_json::json!({ "name": name, "headers": headers, "body": still.collect::<Vec<_>>().join("\n") })
    });
    std::fs::write(file, serde_json::Value::from_iter(pages).to_string()).unwrap();
}
