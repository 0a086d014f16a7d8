//! The console's pages.

use base64::Engine as _;

use super::*;
use crate::message::{Message, message};
use crate::pages::console::{
    self, Bar, Check, CheckStep, Finding, Frame, Member, Members, Now, Outcome, PartStatus, Program, Refusal,
    Refusals, SessionRow, StepOutcome,
};
use crate::pages::rendered::{CONSOLE_SCRIPT, CONSOLE_STYLE};

fn state(name: &str, problem: Option<&str>) -> PartStatus {
    PartStatus { name: name.to_owned(), problem: problem.map(Message::verbatim) }
}

fn sample(text: &str) -> (Now, Refusals) {
    let bar = |n: u32| Bar { signed_in: n % 7, refused: n % 3 };
    let now = Now {
        nodes: vec![state("127.0.0.1:13000", None), state("127.0.0.1:13001", Some("unreachable"))],
        wecom: vec![state("wecom", None), state(text, Some(text))],
        redis: Some(state("127.0.0.1:6379", Some(text))),
        certificates: vec![
            ("/etc/wecom-gate/a.pem".to_owned(), now() + Duration::from_secs(90 * 86_400)),
            (text.to_owned(), now() - Duration::from_secs(1)),
        ],
        reloads: vec![state("configuration", Some(text))],
        loaded: now(),
        version: "0.1.0",
        sessions: 120,
        requests: 3,
        since: now(),
        bars: (0..144).map(bar).collect(),
        outcomes: vec![
            Outcome { failure: None, hour: 12, day: 431 },
            Outcome { failure: Some(Failure::NoMatchingUser), hour: 0, day: 4 },
        ],
    };
    let row = Refusal {
        at: self::now(),
        member: Some(format!("wecom/{text}")),
        name: Some(text.to_owned()),
        failure: Failure::NoMatchingUser,
        reason: Some(text.to_owned()),
        request_id: Some(text.to_owned()),
        client: Some("192.0.2.7".to_owned()),
    };
    let stranger =
        Refusal { member: None, name: None, reason: None, failure: Failure::CookiesBlocked, ..row.clone() };
    (now, Refusals { query: text.to_owned(), since: Some(self::now()), rows: vec![row, stranger] })
}

fn member(text: &str) -> Members {
    let member =
        Member { entry: "wecom".to_owned(), userid: text.to_owned(), name: text.to_owned(), user: 7 };
    let sessions = vec![
        SessionRow {
            id: "4f7c0d5e".to_owned(),
            since: Some(now()),
            last_seen: Some(now()),
            on_all_nodes: false,
            program: Some(Program::WeCom),
            system: Some("iPhone"),
        },
        SessionRow {
            id: text.to_owned(),
            since: None,
            last_seen: None,
            on_all_nodes: false,
            program: None,
            system: None,
        },
    ];
    Members {
        query: text.to_owned(),
        found: vec![member],
        sessions: Some(sessions),
        roles: vec![text.to_owned()],
        departments: vec![format!("{text} (2)"), "3".to_owned()],
        unbind_denied: true,
    }
}

fn checked(text: &str) -> Check {
    let step = |outcome| CheckStep {
        title: message!("Connection to NocoBase"),
        name: format!("nocobase_reachable ({text})"),
        outcome,
        detail: Message::verbatim(text),
        findings: vec![Finding {
            about: text.to_owned(),
            what: message!("{url} cannot be reached from this machine: {why}", url = text, why = text),
            remedy: message!(
                "one of: {names}",
                names = message!("{first}, {second}", first = text, second = text)
            ),
        }],
    };
    let outcomes = [StepOutcome::Ok, StepOutcome::Warning, StepOutcome::Failed, StepOutcome::Skipped];
    Check { member: Some(format!("wecom/{text}")), steps: outcomes.map(step).to_vec() }
}

fn pages_with(lang: Lang, text: &str) -> [Rendered; 6] {
    let (now, refused) = sample(text);
    let frame = Frame { lang, who: text, now: self::now() };
    let nothing = Refusals { rows: Vec::new(), ..refused.clone() };
    let one = member(text);
    let two =
        Members { found: [one.found.clone(), one.found.clone()].concat(), sessions: None, ..one.clone() };
    [
        console::now(&frame, &now),
        console::refused(&frame, &refused),
        console::refused(&frame, &nothing),
        console::members(&frame, &one),
        console::members(&frame, &two),
        console::check(&frame, &checked(text)),
    ]
}

/// Each page in each language, as `write_pages` names them.
pub(super) fn samples() -> impl Iterator<Item = (String, Rendered)> {
    Lang::all().into_iter().flat_map(|lang| {
        ["now", "refused", "nothing", "member", "members", "check"]
            .into_iter()
            .zip(pages_with(lang, "zhang.san-of_a-company.with-a-long-name@example.com"))
            .map(move |(name, page)| (format!("console-{name}.{}", lang.tag()), page))
    })
}

#[test]
fn r25_r27_the_console_runs_its_own_script_alone_and_loads_nothing() {
    let hash = |text: &str| {
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        base64::engine::general_purpose::STANDARD.encode(hash.as_ref())
    };
    let (script, style) = (hash(CONSOLE_SCRIPT), hash(CONSOLE_STYLE));
    for word in ["fetch", "XMLHttpRequest", "innerHTML", "location", "eval"] {
        assert!(!CONSOLE_SCRIPT.contains(word), "{word}");
    }
    for lang in Lang::all() {
        for page in pages_with(lang, HOSTILE) {
            assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
            let policy = page.header("content-security-policy").unwrap();
            let exact = format!(
                "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; form-action \
                 'self'; frame-ancestors 'none'; base-uri 'none'"
            );
            assert_eq!(policy, exact);
            assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
            assert!(page.body.contains(&format!("<script>{CONSOLE_SCRIPT}</script>")));
            assert!(page.body.contains(&format!("<style>{CONSOLE_STYLE}</style>")));
            for bad in ["<img", "<link rel=\"style", " style=", " onerror=alert(2)>", "http:", "https:"] {
                assert!(!page.body.contains(bad), "{bad}: {}", page.body);
            }
        }
    }
}

#[test]
fn the_console_is_in_the_language_of_its_user() {
    for lang in Lang::all() {
        for page in pages_with(lang, "x") {
            assert!(page.body.contains(&format!("<html lang=\"{}\">", lang.tag())));
            assert_eq!(page.header("content-language"), Some(lang.tag().as_str()));
            assert!(!page.body.contains("console-"), "a key in place of its text: {}", page.body);
        }
    }
}

/// The English texts are those of `wecom-gate check`; in another language nothing of them is left.
#[test]
fn what_the_check_found_is_in_the_language_of_the_page() {
    const ENGLISH: [&str; 3] = ["Connection to NocoBase", "cannot be reached from this machine", "one of:"];
    for lang in Lang::all() {
        let [.., check] = pages_with(lang, "word");
        let (_, list) = check.body.split_once("<ol class=\"rows\">").unwrap();
        let (list, _) = list.split_once("</ol>").unwrap();
        assert_eq!(list.matches("word").count(), 7 * 4, "each argument: {list}");
        for english in ENGLISH {
            assert_eq!(
                list.contains(english),
                lang == Lang::default(),
                "{english} in {}: {list}",
                lang.tag()
            );
        }
        assert!(!list.contains(['{', '}']), "{list}");
    }
}

const TIME: &str = "<time datetime=\"2026-01-02T03:04:05Z\">2026-01-02 03:04:05 UTC</time>";

#[test]
fn what_is_wrong_is_marked_and_what_happened_is_drawn() {
    let [now, refused, nothing, one, two, check] = pages_with(Lang::default(), "word");
    assert_eq!(now.body.matches("<li class=\"bad\">").count(), 5, "{}", now.body);
    assert!(
        now.body
            .contains("Expired on <time datetime=\"2026-01-02T03:04:04Z\">2026-01-02 03:04:04 UTC</time>"),
        "{}",
        now.body
    );
    assert!(
        now.body
            .contains("Valid until <time datetime=\"2026-04-02T03:04:05Z\">2026-04-02 03:04:05 UTC</time>"),
        "{}",
        now.body
    );
    assert!(
        now.body.contains("<rect class=\"in\" x=\"1\"") && now.body.contains("<rect class=\"out\" x=\"1\"")
    );
    assert!(!now.body.contains("<rect class=\"in\" x=\"0\""), "nothing where there were no sign-ins");
    assert!(now.body.contains("no_matching_user</code></th><td>0</td><td>4</td>"), "{}", now.body);
    assert_eq!(refused.body.matches("<li>").count(), 2, "{}", refused.body);
    assert!(refused.body.contains("value=\"word\"") && refused.body.contains("2026-01-02 03:04:05 UTC"));
    assert!(nothing.body.contains("Nothing was found."), "{}", nothing.body);
    let form = "<form method=\"post\" action=\"/wecom-gate/console/members?q=wecom%2Fword\">";
    assert!(one.body.contains(form), "{}", one.body);
    assert!(
        one.body.contains(&format!(
            "Signed in since {TIME}<br>Last seen {TIME}, on this node of the gate<br>WeCom, iPhone <form"
        )),
        "{}",
        one.body
    );
    for action in [
        "members?q=wecom%2Fword&#38;session=4f7c0d5e",
        "members?q=wecom%2Fword&#38;unbind=1",
        "check?q=wecom%2Fword",
    ] {
        let form = format!("<form method=\"post\" action=\"/wecom-gate/console/{action}\">");
        assert!(one.body.contains(&form), "{action}: {}", one.body);
    }
    assert!(one.body.contains("<dd><span>word (2)</span>, <span>3</span></dd>"), "{}", one.body);
    let zh = Lang::all().into_iter().find(|lang| lang.tag() == "zh").unwrap();
    assert!(pages_with(zh, "word")[3].body.contains("企业微信, iPhone"));
    assert!(!two.body.contains("method=\"post\""), "one member at a time");
    assert!(refused.body.contains("What to do:"), "{}", refused.body);
    for outcome in ["good\">OK<", "bad\">Look at this<", "bad\">Failed<", "good\">Skipped<"] {
        assert!(check.body.contains(outcome), "{outcome}: {}", check.body);
    }
    let link = "href=\"/wecom-gate/console/members?q=wecom%2Fword\"";
    assert_eq!(two.body.matches(link).count(), 2, "{}", two.body);
}

/// The chart shows every number, and no bar is too small to see.
#[test]
fn bars_stay_within_the_chart() {
    let (mut now, _) = sample("");
    for most in [(0, 0), (1, 0), (0, 1), (u32::MAX, 1), (u32::MAX, u32::MAX), (1_000_000, 1)] {
        now.bars = vec![Bar { signed_in: most.0, refused: most.1 }, Bar { signed_in: 0, refused: 0 }];
        let frame = Frame { lang: Lang::default(), who: "", now: self::now() };
        let body = console::now(&frame, &now).body;
        assert_eq!(body.contains("class=\"in\""), most.0 > 0, "{most:?}");
        assert_eq!(body.contains("class=\"out\""), most.1 > 0, "{most:?}");
        for height in body.split("height=\"").skip(1) {
            let height: u32 = height.split('"').next().unwrap().parse().unwrap();
            assert!(height <= 40, "{most:?}: {height}");
        }
    }
}
