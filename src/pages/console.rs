//! The console's pages, for the administrators named in `access.admins`.
//!
//! Plain data in, a finished response out, as for every other page. Their one script shows
//! times in the zone of the person who reads them; without it they are in UTC.

mod check;
pub(super) mod texts;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use askama::Template;

use check::{CHECK, encoded};
pub(crate) use check::{Check, CheckStep, Finding, StepOutcome};

use super::catalog;
use super::kinds;
use super::lang::Lang;
use super::remedies;
use super::rendered::{self, CONSOLE_SCRIPT, CONSOLE_STYLE, Rendered};
use crate::error::Failure;
use crate::message::Message;

/// Shown on every page of the console.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// See [`super::language`].
    pub lang: Lang,
    /// The name of the administrator.
    pub who: &'a str,
    /// In UTC.
    pub now: SystemTime,
}

/// The status of a node, an entry, Redis or a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartStatus {
    /// Its name.
    pub name: String,
    /// The problem and its remedy; `None`: it works.
    pub problem: Option<Message>,
}

/// The sign-ins of ten minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Those that ended in a session.
    pub signed_in: u32,
    /// Those that did not.
    pub refused: u32,
}

/// The number of sign-ins with this outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// A session, or this failure.
    pub failure: Option<Failure>,
    /// Within the last hour.
    pub hour: u32,
    /// Within the last day.
    pub day: u32,
}

/// The state of the gate.
#[derive(Debug, Clone)]
pub(crate) struct Now {
    /// NocoBase's nodes.
    pub nodes: Vec<PartStatus>,
    /// The WeCom entries.
    pub wecom: Vec<PartStatus>,
    /// Redis, if it is configured.
    pub redis: Option<PartStatus>,
    /// The certificate files, and the expiry of each.
    pub certificates: Vec<(String, SystemTime)>,
    /// Failed reloads, with the reasons.
    pub reloads: Vec<PartStatus>,
    /// Since when the configuration is in use.
    pub loaded: SystemTime,
    /// Version of the program.
    pub version: &'static str,
    /// Sessions in the memory of this process.
    pub sessions: u64,
    /// Requests in progress.
    pub requests: usize,
    /// Since when sign-ins are counted.
    pub since: SystemTime,
    /// The last 24 hours, oldest first.
    pub bars: Vec<Bar>,
    /// The same by outcome.
    pub outcomes: Vec<Outcome>,
}

/// A refused sign-in, or a page that could not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// When.
    pub at: SystemTime,
    /// `entry/userid`, as far as known.
    pub member: Option<String>,
    /// The member's name in WeCom.
    pub name: Option<String>,
    /// What was wrong.
    pub failure: Failure,
    /// The reason according to the log.
    pub reason: Option<String>,
    /// The id that the person sees on the page.
    pub request_id: Option<String>,
    /// The client's address.
    pub client: Option<String>,
}

/// Refused sign-ins and pages.
#[derive(Debug, Clone)]
pub(crate) struct Refusals {
    /// What was searched for.
    pub query: String,
    /// Since when this process keeps them; `None`: those of all nodes are included.
    pub since: Option<SystemTime>,
    /// Newest first.
    pub rows: Vec<Refusal>,
}

/// A member found by a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Name of the WeCom entry.
    pub entry: String,
    /// Their userid.
    pub userid: String,
    /// Their name when they were bound.
    pub name: String,
    /// Id of the NocoBase user.
    pub user: u64,
}

impl Member {
    fn id(&self) -> String {
        format!("{}/{}", self.entry, self.userid)
    }

    /// The page about this member.
    fn href(&self) -> String {
        format!("{MEMBERS}?q={}", encoded(&self.id()))
    }

    /// The request that ends the session with this (short) id.
    fn ends(&self, session: &SessionRow) -> String {
        format!("{}&session={}", self.href(), encoded(&session.id))
    }

    /// The request that removes the binding.
    fn unbinds(&self) -> String {
        format!("{}&unbind=1", self.href())
    }

    /// The request that tries the member's sign-in.
    fn tries(&self) -> String {
        format!("{CHECK}?q={}", encoded(&self.id()))
    }
}

/// A session that NocoBase accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionRow {
    /// The first characters of its id, as in the audit log.
    pub id: String,
    /// When it began, if that is visible.
    pub since: Option<SystemTime>,
    /// Its last request, to the minute.
    pub last_seen: Option<SystemTime>,
    /// Of all nodes of the gate; else of this one.
    pub on_all_nodes: bool,
    /// The program that sent it, as far as it is known.
    pub program: Option<Program>,
    /// Name of the system that it runs on, likewise.
    pub system: Option<&'static str>,
}

/// A browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// WeCom's own, which has another name in each language.
    WeCom,
    /// Another, by its name.
    Named(&'static str),
}

/// Members, and the sessions of one of them.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    /// What was searched for.
    pub query: String,
    /// The members that were found.
    pub found: Vec<Member>,
    /// The sessions, if exactly one member was found.
    pub sessions: Option<Vec<SessionRow>>,
    /// The names of the user's roles, if exactly one member was found and they are visible.
    pub roles: Vec<String>,
    /// The member's departments in WeCom, likewise.
    pub departments: Vec<String>,
    /// NocoBase did not let the gate's account remove the binding.
    pub unbind_denied: bool,
}

/// Path of the page about refused sign-ins.
const REFUSED: &str = "/wecom-gate/console/refused";

/// Path of the page about members; POST ends all sessions of the member `q`, or only the one given by `session`, or removes the
/// binding (`unbind`).
pub(crate) const MEMBERS: &str = "/wecom-gate/console/members";

/// The page "Members".
pub(crate) fn members(frame: &Frame<'_>, members: &Members) -> Rendered {
    finish(frame, MembersTemplate { page: Page::of(frame, Tab::Members), members }.render())
}

/// The page "Now".
pub(crate) fn now(frame: &Frame<'_>, now: &Now) -> Rendered {
    finish(frame, NowTemplate { page: Page::of(frame, Tab::Now), now }.render())
}

/// The page "Not let in".
pub(crate) fn refused(frame: &Frame<'_>, refused: &Refusals) -> Rendered {
    finish(frame, RefusedTemplate { page: Page::of(frame, Tab::Refused), refused }.render())
}

/// The page "Check".
pub(crate) fn check(frame: &Frame<'_>, check: &Check) -> Rendered {
    finish(frame, CheckTemplate { page: Page::of(frame, Tab::Check), check }.render())
}

fn finish(frame: &Frame<'_>, body: askama::Result<String>) -> Rendered {
    // Writing to a string does not fail.
    rendered::console(body.unwrap_or_default(), frame.lang.tag())
}

/// Which page of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Now,
    Refused,
    Members,
    Check,
}

/// The data of the templates.
struct Page<'a> {
    frame: &'a Frame<'a>,
    tab: Tab,
}

impl<'a> Page<'a> {
    fn of(frame: &'a Frame<'a>, tab: Tab) -> Self {
        Page { frame, tab }
    }

    fn tag(&self) -> String {
        self.frame.lang.tag()
    }

    fn style(&self) -> &'static str {
        CONSOLE_STYLE
    }

    fn text(&self, key: &str) -> String {
        self.frame.lang.text(key)
    }

    fn message(&self, message: &Message) -> String {
        catalog::translated(message, self.frame.lang)
    }

    fn script(&self) -> &'static str {
        CONSOLE_SCRIPT
    }

    /// Markup: a text with a time in it.
    fn with_time(&self, key: &'static str, time: &SystemTime) -> String {
        /// Occurs in no text.
        const HERE: &str = "\u{e000}";
        let text = self.frame.lang.text_with_name(key, HERE);
        let (before, after) = text.split_once(HERE).unwrap_or((text.as_str(), ""));
        format!("{}{}{}", escaped(before), self.time(time), escaped(after))
    }

    /// Markup: a time, which the script shows in the person's own zone.
    fn time(&self, time: &SystemTime) -> String {
        let exact = humantime::format_rfc3339_seconds((*time).max(UNIX_EPOCH)).to_string();
        let utc = exact.replace('T', " ").replace('Z', " UTC");
        format!("<time datetime=\"{exact}\">{utc}</time>")
    }

    /// The browser in words; empty: not known.
    fn browser(&self, session: &SessionRow) -> String {
        let program = session.program.map(|program| match program {
            Program::WeCom => self.text(texts::WECOM_NAME),
            Program::Named(name) => name.to_owned(),
        });
        let words: Vec<String> = program.into_iter().chain(session.system.map(str::to_owned)).collect();
        words.join(", ")
    }

    /// The text about a failure for members.
    fn failure(&self, failure: &Failure) -> String {
        self.frame.lang.text(kinds::of(*failure).key)
    }

    /// What an administrator can do about it.
    fn remedy(&self, failure: &Failure) -> Option<String> {
        remedies::remedy(*failure, self.frame.lang)
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        outcome.failure.map_or_else(|| self.text(texts::SIGNED_IN), |failure| self.failure(&failure))
    }

    fn is_over(&self, end: &SystemTime) -> bool {
        *end <= self.frame.now
    }

    fn is_soon(&self, end: &SystemTime) -> bool {
        *end <= self.frame.now + SOON
    }
}

fn escaped(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html).map(|text| text.to_string()).unwrap_or_default()
}

/// A certificate that expires within this time should have been renewed.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// Height of the chart, in its own units.
const HEIGHT: u32 = 40;

/// One bar of the chart: its position, and the height of each part.
struct Drawn {
    x: usize,
    signed_in: u32,
    refused: u32,
    /// Where the first part begins.
    below: u32,
    /// Where the second part, which stands on the first, begins.
    above: u32,
}

impl Now {
    fn drawn(&self) -> Vec<Drawn> {
        let most =
            self.bars.iter().map(|bar| bar.signed_in.saturating_add(bar.refused)).max().unwrap_or(0).max(1);
        // Even a single sign-in is visible.
        let height = |n: u32| match u64::from(n) * u64::from(HEIGHT) / u64::from(most) {
            0 if n > 0 => 1,
            height => u32::try_from(height).unwrap_or(HEIGHT),
        };
        let bars = self.bars.iter().enumerate();
        bars.filter(|(_, bar)| **bar != Bar::default())
            .map(|(x, bar)| {
                let (signed_in, refused) = (height(bar.signed_in), height(bar.refused));
                let below = HEIGHT.saturating_sub(signed_in);
                Drawn { x, signed_in, refused, below, above: below.saturating_sub(refused) }
            })
            .collect()
    }

    fn in_all(&self) -> (u32, u32) {
        let add = |(all, bad): (u32, u32), bar: &Bar| {
            (all.saturating_add(bar.signed_in), bad.saturating_add(bar.refused))
        };
        self.bars.iter().fold((0, 0), add)
    }
}

#[derive(Template)]
#[template(path = "console_now.html", config = "src/pages/askama.toml")]
struct NowTemplate<'a> {
    page: Page<'a>,
    now: &'a Now,
}

#[derive(Template)]
#[template(path = "console_refused.html", config = "src/pages/askama.toml")]
struct RefusedTemplate<'a> {
    page: Page<'a>,
    refused: &'a Refusals,
}

#[derive(Template)]
#[template(path = "console_members.html", config = "src/pages/askama.toml")]
struct MembersTemplate<'a> {
    page: Page<'a>,
    members: &'a Members,
}

#[derive(Template)]
#[template(path = "console_check.html", config = "src/pages/askama.toml")]
struct CheckTemplate<'a> {
    page: Page<'a>,
    check: &'a Check,
}
