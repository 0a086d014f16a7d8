//! A company's own name, picture, colour, help and texts.

use super::*;
use crate::pages::{Accent, AppCard, Choices, OwnTexts, PerLanguage, Picture};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";

fn chinese() -> Lang {
    crate::pages::language(Some("zh"), None, None)
}

fn shown(choices: Choices, lang: Lang, page: Page) -> Rendered {
    let appearance = Appearance::new(choices);
    render(&View { appearance: &appearance, ..view(lang, page) })
}

const DENIED: Page = Page::Failure(Failure::BrowserDenied);

/// Pages of a company in each language, as `write_pages` names them.
pub(super) fn samples() -> impl Iterator<Item = (String, Rendered)> {
    let mut help = PerLanguage::default();
    help.set("", Some("Ask the IT desk, ext. 1234".into()));
    help.set("zh", Some("请联系 IT 服务台，分机 1234".into()));
    let mut help_link = PerLanguage::default();
    help_link.set("", Some("https://help.example.com".into()));
    let appearance = Appearance::new(Choices {
        title: Some("示例（上海）科技有限公司 Example Technology (Shanghai) Ltd".into()),
        logo: Picture::new(include_bytes!("../../../sim/src/api/logo.png")),
        accent: Accent::parse("#8a1538").ok(),
        help,
        help_link,
        ..Choices::default()
    });
    let app = AppCard::new("订单管理", None);
    let pages = [
        ("denied", DENIED),
        ("maintenance", Page::Failure(Failure::Maintenance)),
        ("no_matching_user", Page::Failure(Failure::NoMatchingUser)),
    ];
    let mut all = Vec::new();
    for lang in Lang::all() {
        for (name, page) in pages {
            let branded = View {
                appearance: &appearance,
                app: Some(&app),
                note: matches!(page, Page::Failure(Failure::Maintenance)).then_some("14:00"),
                ..view(lang, page)
            };
            all.push((format!("company-{name}.{}", lang.tag()), render(&branded)));
        }
    }
    all.into_iter()
}

#[test]
fn the_companys_name_picture_and_colour_are_on_every_page() {
    let english = Lang::default();
    for (name, page) in pages() {
        let choices = Choices {
            title: Some("Example & Sons".into()),
            logo: Picture::new(PNG),
            accent: Accent::parse("#8a1538").ok(),
            ..Choices::default()
        };
        let rendered = shown(choices, english, page);
        for part in [
            "· Example &#38; Sons</title>",
            "<span>Example &#38; Sons</span>",
            "src=\"data:image/png;base64,iVBO",
            "--main:#8a1538",
        ] {
            assert!(rendered.body.contains(part), "{name}: {part}: {}", rendered.body);
        }
        // The policy contains the hash of the style.
        let (_, style) = rendered.body.split_once("<style>").unwrap();
        let (style, _) = style.split_once("</style>").unwrap();
        let hash = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
        let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash.as_ref());
        let csp = rendered.header("content-security-policy").unwrap();
        assert!(csp.contains(&format!("style-src 'sha256-{hash}'")), "{name}: {csp}");
    }
}

#[test]
fn the_apps_name_and_picture_are_wecoms_unless_configured() {
    let app = AppCard::new(" 订单\n", Some(PNG));
    let with = |appearance: &Appearance| {
        render(&View { app: Some(&app), appearance, ..view(chinese(), DENIED) }).body
    };
    let theirs = with(Appearance::plain());
    assert!(theirs.contains("<span>订单</span>") && theirs.contains("image/png"), "{theirs}");
    assert!(theirs.contains("<li>向下滑动，打开“订单”。</li>"), "{theirs}");
    let title = Choices { title: Some("示例公司".into()), ..Choices::default() };
    let ours = with(&Appearance::new(title));
    assert!(ours.contains("<span>示例公司</span>") && !ours.contains("image/png"), "{ours}");
    // In WeCom's workbench, users look for the app's name.
    assert!(ours.contains("打开“订单”"), "{ours}");
    let none = render(&view(chinese(), DENIED)).body;
    assert!(none.contains("<li>向下滑动，打开该应用。</li>") && !none.contains("class=\"brand\""), "{none}");
}

#[test]
fn help_is_in_the_language_of_the_page() {
    let mut help = PerLanguage::default();
    help.set("", Some("Ask the IT desk".into()));
    help.set("zh", Some("请联系 IT 服务台".into()));
    let mut help_link = PerLanguage::default();
    help_link.set("zh", Some("tel:+8610114".into()));
    let body = |lang| {
        let choices = Choices { help: help.clone(), help_link: help_link.clone(), ..Choices::default() };
        shown(choices, lang, Page::Failure(Failure::Internal)).body
    };
    assert!(body(Lang::default()).contains("<p class=\"help\">Ask the IT desk</p>"));
    assert!(body(chinese()).contains("<p class=\"help\"><a href=\"tel:+8610114\">请联系 IT 服务台</a></p>"));
}

#[test]
fn own_texts_take_the_place_of_the_gates() {
    let texts = |file: &str| {
        let mut texts = OwnTexts::default();
        texts.add("en", file).map(|()| texts)
    };
    let own = "no-matching-user = Hello!\n    .do = Write to { -wecom } user IT.\nbrowser-denied =\n    .step3 = Tap { $app }\n";
    let page = |page| {
        shown(Choices { texts: texts(own).unwrap(), ..Choices::default() }, Lang::default(), page).body
    };
    let body = page(Page::Failure(Failure::NoMatchingUser));
    assert!(body.contains("<h1>Hello!</h1>") && body.contains("Write to WeCom user IT."), "{body}");
    assert!(body.contains("No account in this app matches"), "what is not there stays: {body}");
    let appearance = Appearance::new(Choices { texts: texts(own).unwrap(), ..Choices::default() });
    assert_eq!(message(Failure::NoMatchingUser, Lang::default(), &appearance), "Hello!");
    let app = AppCard::new("Orders", None);
    let named = View { app: Some(&app), appearance: &appearance, ..view(Lang::default(), DENIED) };
    assert!(render(&named).body.contains("<li>Tap Orders</li>"));
    // Other languages keep their own.
    let other = render(&View { appearance: &appearance, ..view(chinese(), DENIED) }).body;
    assert!(other.contains("向下滑动"), "{other}");
}

#[test]
fn own_texts_that_no_page_would_show_are_refused_all_at_once() {
    let problems =
        |language: &str, file: &str| OwnTexts::default().add(language, file).unwrap_err().join("; ");
    assert!(problems("fr", "x = y").contains("de, en, es, nl, ru, sv, zh"));
    let text = problems("zh", "no-matching-usr = x\nlogout =\n    .wht = y\n    .what = z\n");
    assert_eq!(
        text,
        "no-matching-usr: no page has a text with this key; logout.wht: no page has a text with this key"
    );
    let text = problems("en", "logout = Fine\n\nthis is no text\n");
    assert!(text.starts_with("line 3: "), "{text}");
}

/// All configured texts are treated as text.
#[test]
fn r27_what_is_chosen_is_escaped() {
    let mut texts = OwnTexts::default();
    texts
        .add("en", "browser-denied = <script>alert(3)</script>\n    .step3 = <img src=x> { $app }\n")
        .unwrap();
    let mut help = PerLanguage::default();
    help.set("", Some(HOSTILE.into()));
    let mut help_link = PerLanguage::default();
    help_link.set("", Some("https://help.example/?\"><script>".into()));
    let choices = Choices { title: Some(HOSTILE.into()), help, help_link, texts, ..Choices::default() };
    let appearance = Appearance::new(choices);
    let app = AppCard::new(HOSTILE, None);
    for (name, page) in pages() {
        let hostile = View {
            appearance: &appearance,
            app: Some(&app),
            note: Some(HOSTILE),
            ..view(Lang::default(), page)
        };
        let body = render(&hostile).body.replace(&format!("<script>{SCRIPT}</script>"), "");
        for bad in ["<script", "<img src=x", "\"'><", "?\"><"] {
            assert!(!body.contains(bad), "{name}: {bad}: {body}");
        }
    }
}

/// The address as a QR code for the phone's camera; not if it would be too dense to scan.
#[test]
fn pages_to_be_opened_in_wecom_have_a_code_to_scan() {
    for failure in [Failure::BrowserDenied, Failure::OpenInWeCom, Failure::FirstTimeInWeCom] {
        let body = render(&view(Lang::default(), Page::Failure(failure))).body;
        assert!(
            body.contains("src=\"data:image/svg+xml;base64,") && body.contains("Or scan this code"),
            "{body}"
        );
    }
    let long = format!("https://nocobase.example.com/{}", "x".repeat(600));
    let body = render(&View { link: Some(&long), ..view(Lang::default(), DENIED) }).body;
    assert!(body.contains(&long) && !body.contains("svg+xml"), "{body}");
    let other = render(&view(Lang::default(), Page::Failure(Failure::Internal))).body;
    assert!(!other.contains("svg+xml"), "{other}");
}
