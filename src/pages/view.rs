//! One page, from plain data to a finished response.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use askama::Template;
use base64::Engine as _;
use qrcode::render::svg;

use super::account_form::{Account, AccountForm};
use super::app_card::AppCard;
use super::appearance::{Appearance, Picture};
use super::kinds::{self, Icon, Kind, NextStep};
use super::lang::{Lang, WECOM};
use super::parts;
use super::rendered::{self, Rendered};
use crate::error::Failure;

/// Path at which a sign-in begins.
pub(super) const LOGIN: &str = "/wecom-gate/login";
/// Path of the sign-out.
const LOGOUT: &str = "/wecom-gate/logout";

/// Which page.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Page {
    /// A failure.
    Failure(Failure),
    /// Shown after signing out: does not sign in again automatically.
    SignedOut,
    /// The gate's own sign-in page.
    SignIn,
    /// Asks before signing out (`POST /wecom-gate/logout`).
    Logout,
}

/// A button that begins a sign-in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The button's text after "Sign in with".
    pub title: &'a str,
    /// A path of this origin.
    pub href: &'a str,
}

/// All that a page is made from. Everything in it may come from outside: it is escaped, and what is to be clicked must
/// be a path of this origin, else it is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// See [`super::language`].
    pub lang: Lang,
    /// Which page.
    pub page: Page,
    /// For support; shown on failures.
    pub request_id: &'a str,
    /// For support; shown on failures, in UTC.
    pub now: SystemTime,
    /// Path that tries again, mostly `/wecom-gate/login?rd=...`.
    pub retry: Option<&'a str>,
    /// In place of the failure's own `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// Path of the start page.
    pub home: &'a str,
    /// Whole address to open in WeCom, shown as text.
    pub link: Option<&'a str>,
    /// A button each, on pages where one chooses with which company to sign in.
    pub entries: &'a [Entry<'a>],
    /// The page is shown in a frame, perhaps of another site: what is to be clicked opens in a new window.
    pub framed: bool,
    /// Path of NocoBase's password form, where it is offered.
    pub password: Option<&'a str>,
    /// What an administrator has to add.
    pub note: Option<&'a str>,
    /// An account can be linked.
    pub account_form: Option<AccountForm<'a>>,
    /// How pages look here.
    pub appearance: &'a Appearance,
    /// The app in WeCom, where it is known.
    pub app: Option<&'a AppCard>,
}

impl<'a> View<'a> {
    /// A page with only its own text.
    pub(crate) fn new(lang: Lang, page: Page, request_id: &'a str, now: SystemTime) -> Self {
        View {
            lang,
            page,
            request_id,
            now,
            retry: None,
            retry_after: None,
            home: "/",
            link: None,
            entries: &[],
            framed: false,
            password: None,
            note: None,
            account_form: None,
            appearance: Appearance::plain(),
            app: None,
        }
    }
}

/// What a person reads about a failure in one line, for JSON responses that NocoBase's page shows.
pub(crate) fn message(failure: Failure, lang: Lang, appearance: &Appearance) -> String {
    appearance.text(lang, kinds::of(failure).key)
}

/// Makes the page. The status is the failure's, 200 for pages that are not about a failure.
pub(crate) fn render(view: &View<'_>) -> Rendered {
    let (status, retry_after) = match view.page {
        Page::Failure(failure) => {
            (failure.response().status, view.retry_after.or(failure.response().retry_after))
        }
        _ => (200, None),
    };
    let page = PageTemplate::of(view, retry_after);
    // Writing to a string does not fail; should it ever, the title alone is enough.
    let body = page.render().unwrap_or_else(|_| "<!doctype html><title>wecom-gate</title>".to_owned());
    let csp = view.appearance.csp(view.framed);
    rendered::html(status, body, view.lang.tag(), retry_after, (csp, view.framed))
}

#[derive(Template)]
#[template(path = "page.html", config = "src/pages/askama.toml")]
struct PageTemplate<'a> {
    lang: String,
    framed: bool,
    style: &'a str,
    brand: Brand<'a>,
    /// `content` of the refresh.
    refresh: Option<String>,
    icon: Drawing,
    title: String,
    what: Option<String>,
    note: Option<&'a str>,
    steps: Vec<String>,
    remedy: Option<String>,
    link: Option<Link<'a>>,
    script: &'static str,
    reloads: String,
    form: Option<Form>,
    account: Option<Account<'a>>,
    buttons: Vec<Button<'a>>,
    password: Option<Button<'a>>,
    help: Option<Help<'a>>,
    support: Option<Support<'a>>,
}

/// The company's or the app's name and picture.
struct Brand<'a> {
    name: Option<&'a str>,
    picture: Option<&'a str>,
}

struct Help<'a> {
    text: &'a str,
    link: Option<&'a str>,
}

struct Drawing {
    name: &'static str,
    path: &'static str,
}

struct Link<'a> {
    label: String,
    address: &'a str,
    /// The same as a picture for the phone's camera, and what to do with it.
    code: Option<String>,
    scan: String,
    copy: String,
    copied: String,
    here: bool,
}

struct Form {
    action: &'static str,
    label: String,
}

struct Button<'a> {
    href: &'a str,
    label: String,
    main: bool,
}

struct Support<'a> {
    label: String,
    code_label: String,
    code: &'static str,
    request_label: String,
    request: &'a str,
    time_label: String,
    time: String,
}

impl<'a> PageTemplate<'a> {
    fn of(view: &View<'a>, retry_after: Option<u32>) -> Self {
        let lang = view.lang;
        let kind = match view.page {
            Page::Failure(failure) => kinds::of(failure),
            Page::SignedOut => kinds::SIGNED_OUT,
            Page::SignIn => kinds::SIGN_IN,
            Page::Logout => kinds::LOGOUT,
        };
        let look = view.appearance;
        let app = view.app.and_then(AppCard::name);
        // A company that gives a name wants to be seen under it, not under the app's picture.
        let theirs =
            view.app.and_then(AppCard::picture).filter(|_| look.title().is_none()).map(Picture::source);
        let text = |key: &str| look.text(lang, key);
        let part = |attribute: &str| look.find(lang, &format!("{}.{attribute}", kind.key), app);
        let retry = view.retry.filter(|href| is_own_path(href));
        PageTemplate {
            lang: lang.tag(),
            framed: view.framed,
            style: look.style(),
            brand: Brand { name: look.title().or(app), picture: look.logo().or(theirs) },
            refresh: retry_after.map(|seconds| match retry {
                Some(href) => format!("{seconds};url={href}"),
                None => seconds.to_string(),
            }),
            icon: drawing(kind.icon),
            title: text(kind.key),
            what: part("what"),
            note: view.note,
            steps: STEPS.iter().map_while(|step| part(step)).collect(),
            remedy: part("do"),
            link: view.link.filter(|_| kind.link).zip(part("link")).map(|(address, label)| Link {
                label,
                address,
                code: code(address),
                scan: text(parts::SCAN),
                copy: text(parts::COPY),
                copied: text(parts::COPIED),
                here: matches!(view.page, Page::Failure(Failure::OpenInWeCom | Failure::BrowserDenied)),
            }),
            script: rendered::SCRIPT,
            reloads: text(parts::RELOADS),
            form: matches!(view.page, Page::Logout)
                .then(|| Form { action: LOGOUT, label: text(parts::SIGN_OUT) }),
            account: view.account_form.map(|form| Account::of(form, lang, look)),
            buttons: buttons(view, kind, retry),
            password: view.password.filter(|href| is_own_path(href)).map(|href| Button {
                href,
                label: text(parts::PASSWORD),
                main: false,
            }),
            help: look.help(lang).map(|(text, link)| Help { text, link }),
            support: match view.page {
                Page::Failure(failure) => Some(support(view, failure)),
                _ => None,
            },
        }
    }
}

/// The address as a QR code, ready for `src`; none if it is too long for one that a camera reads from a screen.
fn code(address: &str) -> Option<String> {
    const LONGEST: usize = 500;
    if address.len() > LONGEST {
        return None;
    }
    let code = qrcode::QrCode::with_error_correction_level(address, qrcode::EcLevel::L).ok()?;
    let picture = code.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
    Some(format!("data:image/svg+xml;base64,{}", base64::engine::general_purpose::STANDARD.encode(picture)))
}

/// Numbered steps of a message, as many as it has.
pub(super) const STEPS: [&str; 4] = ["step1", "step2", "step3", "step4"];

fn buttons<'a>(view: &View<'a>, kind: Kind, retry: Option<&'a str>) -> Vec<Button<'a>> {
    let button = |href: &'a str, text: &str, main: bool| Button {
        href,
        label: view.appearance.text(view.lang, text),
        main,
    };
    let entries = view.entries.iter().filter(|entry| is_own_path(entry.href)).map(|entry| Button {
        href: entry.href,
        label: view.appearance.text_with_name(view.lang, parts::SIGN_IN_WITH, &title(view, entry.title)),
        main: true,
    });
    match (view.page, kind.way) {
        (Page::SignIn, _) => entries.collect(),
        // The only page that is shown at another host: it links to the origin.
        (Page::Failure(Failure::UnknownHost), _) => {
            view.link.map(|href| button(href, parts::START, true)).into_iter().collect()
        }
        (Page::SignedOut, _) if view.entries.len() > 1 => entries.collect(),
        (Page::Logout, _) => vec![button(retry.unwrap_or(own(view.home)), parts::STAY, false)],
        (Page::SignedOut, _) => vec![button(retry.unwrap_or(LOGIN), parts::SIGN_IN_AGAIN, true)],
        (_, NextStep::SignIn) => vec![button(retry.unwrap_or(LOGIN), parts::SIGN_IN, true)],
        (_, NextStep::Again) => retry.map(|href| button(href, parts::TRY_AGAIN, true)).into_iter().collect(),
        // Not with this company: perhaps with another.
        (_, NextStep::AgainLater) => {
            entries.chain(retry.map(|href| button(href, parts::TRY_AGAIN, false))).collect()
        }
        (_, NextStep::Start) => vec![button(own(view.home), parts::START, true)],
        (_, NextStep::Nowhere) => Vec::new(),
    }
}

fn support<'a>(view: &View<'a>, failure: Failure) -> Support<'a> {
    let mut time = String::new();
    let text = |key: &str| view.appearance.text(view.lang, key);
    // A clock before 1970 or after 9999 leaves the time out, nothing worse.
    let _ = write!(time, "{}", humantime::format_rfc3339_seconds(view.now.max(UNIX_EPOCH)));
    Support {
        label: text(parts::SUPPORT),
        code_label: text(parts::SUPPORT_CODE),
        code: failure.response().label,
        request_label: text(parts::SUPPORT_REQUEST),
        request: view.request_id,
        time_label: text(parts::SUPPORT_TIME),
        time,
    }
}

/// Whether this stays on our origin when a browser follows it: one slash first (browsers read `\` as `/`), nothing
/// that they drop before they look (tabs, line ends).
fn is_own_path(href: &str) -> bool {
    let mut bytes = href.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && !href.bytes().any(|b| b.is_ascii_control())
}

fn own(href: &str) -> &str {
    if is_own_path(href) { href } else { "/" }
}

const fn drawing(icon: Icon) -> Drawing {
    let (name, path) = match icon {
        Icon::Key => ("info", "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5a7.5 7.5 0 0 1 15 0"),
        Icon::Check => ("good", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8 12.4l2.8 2.8L16 9.6"),
        Icon::Lock => (
            "wait",
            "M8 11V8a4 4 0 0 1 8 0v3M6.5 11h11a1.5 1.5 0 0 1 1.5 1.5v6a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 \
             5 18.5v-6A1.5 1.5 0 0 1 6.5 11zM12 14.5v2",
        ),
        Icon::Clock => ("info", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.4 2"),
        Icon::Info => ("info", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5.2M12 7.7v.1"),
        Icon::Alert => ("bad", "M12 4 2.8 19.8h18.4zM12 10.4v4.4M12 17.2v.1"),
        Icon::Phone => (
            "info",
            "M8 2.5h8A1.5 1.5 0 0 1 17.5 4v16a1.5 1.5 0 0 1-1.5 1.5H8A1.5 1.5 0 0 1 6.5 20V4A1.5 1.5 0 0 1 8 \
             2.5zM11 18.5h2",
        ),
    };
    Drawing { name, path }
}

/// What the button of an entry names. The title that is there unless another is configured is WeCom's name, and each
/// language has its own.
fn title<'a>(view: &View<'_>, configured: &'a str) -> Cow<'a, str> {
    if configured == "WeCom" { view.appearance.text(view.lang, WECOM).into() } else { configured.into() }
}

#[cfg(test)]
mod tests {
    use super::is_own_path;

    #[test]
    fn only_paths_of_this_origin_can_be_clicked() {
        for good in ["/", "/wecom-gate/login?rd=%2Fadmin", "/a//b", "/?x=https://else.where"] {
            assert!(is_own_path(good), "{good}");
        }
        for bad in
            ["", "//x", "/\\x", "\\/x", "javascript:alert(1)", "https://x", "/\t/x", "/a\r\nb", " /a", "a"]
        {
            assert!(!is_own_path(bad), "{bad:?}");
        }
    }
}
