//! What must be true of all pages, in all languages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use fluent_syntax::{ast, parser};
use proptest::prelude::*;

use super::answer::{SCRIPT, STYLE};
use super::view::{STEPS, parts};
use super::{Entry, Lang, Page, Rendered, View, json_error, kinds, message, render};
use crate::error::Failure;

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
    let choice = matches!(page, Page::SignIn | Page::Failure(Failure::OtherCompany));
    View {
        entries: if choice { &ENTRIES } else { &[] },
        retry: Some(RETRY),
        link: Some(LINK),
        password: Some("/signin"),
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

// ---- Texts ----

impl Lang {
    /// The text as a page shows it.
    fn sample(self, key: &str) -> String {
        match parts::ALL.iter().find(|part| **part == key) {
            Some(part) => self.text_with_name(part, "Example Ltd"),
            None => self.text(key),
        }
    }
}

fn texts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/texts")
}

/// `message` and `message.attribute` -> the names of its arguments, of one language.
fn keys(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let resource = parser::parse(source.as_str()).expect("well-formed Fluent");
        for entry in resource.body {
            let ast::Entry::Message(message) = entry else { continue };
            let mut add = |key: String, pattern: &ast::Pattern<&str>| {
                assert!(keys.insert(key.clone(), arguments(pattern)).is_none(), "{key} twice");
            };
            add(message.id.name.to_owned(), message.value.as_ref().expect("a title"));
            for attribute in &message.attributes {
                add(format!("{}.{}", message.id.name, attribute.id.name), &attribute.value);
            }
        }
    }
    keys
}

/// Names of the arguments, however deep.
fn arguments(pattern: &ast::Pattern<&str>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for element in &pattern.elements {
        let ast::PatternElement::Placeable { expression } = element else { continue };
        let (ast::Expression::Inline(inline) | ast::Expression::Select { selector: inline, .. }) = expression;
        if let ast::InlineExpression::VariableReference { id } = inline {
            names.insert(id.name.to_owned());
        }
        if let ast::Expression::Select { variants, .. } = expression {
            names.extend(variants.iter().flat_map(|variant| arguments(&variant.value)));
        }
    }
    names
}

/// The languages of the contract.
const LANGUAGES: [&str; 7] = ["de", "en", "es", "nl", "ru", "sv", "zh"];

#[test]
fn every_language_has_every_text() {
    let english = keys(&texts().join("en"));
    let folders: BTreeSet<String> = std::fs::read_dir(texts())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let built_in: Vec<String> = Lang::all().into_iter().map(Lang::tag).collect();
    assert!(folders.iter().eq(&built_in), "every folder is a language of the program: {folders:?}");
    assert_eq!(built_in, LANGUAGES);
    for folder in folders {
        assert_eq!(keys(&texts().join(&folder)), english, "{folder} against en");
    }
}

/// Words that are the same in English.
const SAME: [(&str, &str); 2] = [("de", "support-code"), ("nl", "support-code")];

#[test]
fn every_text_is_translated() {
    let english = Lang::default();
    let mut same = Vec::new();
    for lang in Lang::all() {
        for key in keys(&texts().join("en")).keys() {
            let text = lang.sample(key);
            // What Fluent cannot resolve it writes out as it is.
            assert!(!text.contains(['{', '}', '$']), "{}: {key} = {text}", lang.tag());
            assert!(!text.trim().is_empty() && text.trim() == text, "{}: {key} = {text:?}", lang.tag());
            // WeCom is called so everywhere but in China.
            let is_name = key == parts::WECOM && lang.tag() != "zh";
            if lang != english && !is_name && text == english.sample(key) {
                same.push((lang.tag(), key.clone()));
            }
        }
    }
    let same: Vec<(&str, &str)> = same.iter().map(|(lang, key)| (lang.as_str(), key.as_str())).collect();
    assert_eq!(same, SAME, "as in English");
}

#[test]
fn every_text_is_used_and_known() {
    let mut known: BTreeSet<String> = parts::ALL.iter().map(|&key| key.to_owned()).collect();
    let mut titles: BTreeSet<&str> = Failure::ALL.iter().map(|f| kinds::of(*f).key).collect();
    titles.extend([kinds::SIGNED_OUT.key, kinds::SIGN_IN.key, kinds::LOGOUT.key]);
    known.extend(titles.iter().map(|&key| key.to_owned()));
    for key in keys(&texts().join("en")).into_keys() {
        match key.split_once('.') {
            None => assert!(known.remove(&key), "{key} is not used"),
            Some((title, attribute)) => {
                assert!(titles.contains(title), "{key} is not used");
                assert!(["what", "do", "link"].contains(&attribute) || STEPS.contains(&attribute), "{key}");
            }
        }
    }
    assert!(known.is_empty(), "without a text: {known:?}");
}

// ---- Pages ----

#[test]
fn every_failure_has_a_page_in_every_language() {
    let english = Lang::default();
    for lang in Lang::all() {
        for failure in Failure::ALL {
            let rendered = render(&view(lang, Page::Failure(*failure)));
            let label = failure.response().label;
            assert_eq!(rendered.status, failure.response().status, "{label}");
            assert!(rendered.body.contains(&format!("<html lang=\"{}\">", lang.tag())), "{label}");
            let title = message(*failure, lang);
            assert!(rendered.body.contains(&format!("<h1>{title}</h1>")), "{label}: {title}");
            if lang != english {
                assert_ne!(title, message(*failure, english), "{label} is not translated");
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
                assert!(!words.replace(STYLE, "").contains(inside), "{label} says {inside}");
            }
        }
    }
}

#[test]
fn pages_that_wait_go_on_by_themselves() {
    let lang = Lang::default();
    let mut waiting = view(lang, Page::Failure(Failure::NocoBaseStarting));
    let again = render(&waiting).body;
    assert!(again.contains("content=\"5;url=/wecom-gate/login?rd=%2Fadmin%2Forders%3Fid%3D1\""), "{again}");
    waiting.retry = None;
    assert!(render(&waiting).body.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
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
    // Where it is offered, it is offered everywhere that signing in may not work.
    for page in [page, Page::SignedOut, Page::Failure(Failure::WeComUnreachable)] {
        let body = render(&view(Lang::default(), page)).body;
        assert!(body.contains("<a href=\"/signin\">Sign in with a password</a>"), "{body}");
    }
}

/// The default title is WeCom's name, which is another one in Chinese; a title that somebody chose stays.
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
fn the_first_time_leads_on_where_it_began() {
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

// ---- Safety ----

#[test]
fn r25_r27_every_page_carries_the_headers_that_keep_it_harmless() {
    for (name, rendered) in all() {
        for (header, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "SAMEORIGIN"),
        ] {
            assert_eq!(rendered.header(header), Some(value), "{name}");
        }
        assert!(name.ends_with(rendered.header("content-language").unwrap()), "{name}");
        let csp = rendered.header("content-security-policy").unwrap();
        for directive in
            ["default-src 'none'", "form-action 'self'", "frame-ancestors 'self'", "base-uri 'none'"]
        {
            assert!(csp.split("; ").any(|d| d == directive), "{name}: {csp}");
        }
        assert!(!csp.contains("unsafe") && !csp.contains("script-src 'self'"), "{name}: {csp}");
    }
}

#[test]
fn r27_a_page_in_a_frame_is_shown_there_and_opens_its_links_in_a_new_window() {
    for failure in [Failure::NoSession, Failure::SessionEnded] {
        let mut view = View::new(Lang::all()[0], Page::Failure(failure), "id", std::time::SystemTime::now());
        view.retry = Some("/admin");
        view.password = Some("/signin");
        view.framed = true;
        let framed = render(&view);
        assert_eq!(framed.header("x-frame-options"), None);
        assert!(framed.header("content-security-policy").unwrap().contains("frame-ancestors *;"));
        let links = framed.body.matches("<a ").count();
        assert!(links > 0);
        assert_eq!(
            framed.body.matches("target=\"_blank\" rel=\"noopener\"").count(),
            links,
            "{}",
            framed.body
        );
        assert!(!framed.body.contains("<form"), "nothing to be clicked by mistake");
        view.framed = false;
        assert!(!render(&view).body.contains("target="));
    }
}

#[test]
fn r27_the_policy_allows_exactly_the_one_style_and_the_one_script() {
    for (name, rendered) in all() {
        let styles: Vec<&str> = rendered
            .body
            .split("<style>")
            .skip(1)
            .filter_map(|s| s.split_once("</style>"))
            .map(|s| s.0)
            .collect();
        let [style] = styles[..] else { panic!("{name}: {} styles", styles.len()) };
        let hash = |text: &str| {
            let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            base64::engine::general_purpose::STANDARD.encode(hash.as_ref())
        };
        let csp = rendered.header("content-security-policy").unwrap();
        assert!(csp.contains(&format!("style-src 'sha256-{}'", hash(style))), "{name}");
        assert!(csp.contains(&format!("script-src 'sha256-{}'", hash(SCRIPT))), "{name}");
        let body = rendered.body.replace(&ours(), "");
        assert!(!body.contains(" style=\"") && !body.contains("<script"), "{name}");
    }
}

/// The one script, as it stands in pages with an address to copy, and in those that try again by themselves.
fn ours() -> String {
    format!("<script>{SCRIPT}</script>")
}

#[test]
fn r27_nothing_is_loaded_from_anywhere() {
    for (name, rendered) in all() {
        let body = rendered.body.replace(LINK, "");
        for outside in ["http://", "https://", "src=", "@import", "url(", "=\"//"] {
            assert!(!body.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn r27_what_comes_from_outside_is_escaped() {
    let entries = [Entry { title: HOSTILE, href: "/\"onclick=alert(3)>" }];
    let all = pages();
    for lang in Lang::all() {
        for (name, page) in &all {
            let body = render(&View {
                request_id: HOSTILE,
                retry: Some("/\"><script>alert(4)</script>"),
                home: "/'\"><script>alert(5)</script>",
                link: Some(HOSTILE),
                entries: &entries,
                password: Some("/\"><b>"),
                ..View::new(lang, *page, HOSTILE, now())
            })
            .body;
            let body = body.replace(&ours(), "");
            for raw in ["<script", "<img", "<b>", "\"onclick", "'><"] {
                assert!(!body.contains(raw), "{name}: {raw} in {body}");
            }
        }
    }
}

proptest! {
    #[test]
    fn r27_no_input_breaks_out_of_a_page(text in "\\PC{0,40}", path in "/?[\\PC\t\r\n]{0,40}") {
        let entries = [Entry { title: &text, href: &path }];
        for page in [Page::SignIn, Page::Failure(Failure::OpenInWeCom), Page::Failure(Failure::NocoBaseStarting)] {
            let tame_entries = [Entry { title: "x", href: "/x" }];
            let tame = View { entries: &tame_entries, retry: Some("/x"), link: Some("x"), password: Some("/x"), ..View::new(Lang::default(), page, "x", now()) };
            let wild = View { entries: &entries, request_id: &text, retry: Some(&path), link: Some(&text), password: Some(&path), home: &path, ..View::new(Lang::default(), page, &text, now()) };
            // A path that is refused takes its button away; nothing ever adds an element.
            let count = |body: &str| body.matches('<').count();
            prop_assert!(count(&render(&wild).body) <= count(&render(&tame).body));
        }
    }
}

#[test]
fn r25_json_errors_have_nocobases_shape() {
    let rendered = json_error(Failure::NoSession, "Please \"sign\" in", Some("/wecom-gate/login"));
    assert_eq!(rendered.status, 401);
    let body: serde_json::Value = serde_json::from_str(&rendered.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"errors": [{"message": "Please \"sign\" in", "code": "EMPTY_TOKEN"}]})
    );
    assert_eq!(rendered.header("X-WeCom-Gate-Login"), Some("/wecom-gate/login"));
    assert_eq!(rendered.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(rendered.header("cache-control"), Some("no-store"));
    let busy = json_error(Failure::WeComBusy, "busy", None);
    assert_eq!((busy.header("retry-after"), busy.header("X-WeCom-Gate-Login")), (Some("5"), None));
}

/// Writes all pages into the file `WECOM_GATE_PAGES`, for the test that looks at them in Chromium:
/// `WECOM_GATE_PAGES=/tmp/pages.json cargo test --lib pages::tests::write_pages -- --ignored`
#[test]
#[ignore = "writes a file to be looked at"]
fn write_pages() {
    let file = PathBuf::from(std::env::var_os("WECOM_GATE_PAGES").expect("WECOM_GATE_PAGES"));
    let pages = all().map(|(name, page)| {
        // Without the reload, which would take the page away from under the camera.
        let still = page.body.lines().filter(|line| !line.contains("http-equiv=\"refresh\""));
        let headers: BTreeMap<_, _> = page.headers.iter().map(|(name, value)| (*name, value)).collect();
        serde_json::json!({ "name": name, "headers": headers, "body": still.collect::<Vec<_>>().join("\n") })
    });
    std::fs::write(file, serde_json::Value::from_iter(pages).to_string()).unwrap();
}
