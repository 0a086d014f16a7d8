//! The simulator's state, behind one lock that is never held across an await.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::sync::watch;

use crate::data::Data;
use crate::fault::Fault;
use crate::limit::Limiter;
use crate::settings::Settings;

/// Most log lines of requests.
const LOG_LIMIT: usize = 2000;
/// Codes, tokens and tickets are dropped this long after they have expired, in milliseconds: until then WeCom distinguishes
/// "used" and "expired" from "unknown".
const AFTERLIFE: i64 = 86_400_000;

/// Shared by the listener's tasks and the handles.
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    offset_ms: AtomicI64,
    /// Becomes true when the simulator stops: ends hanging calls.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) http: reqwest::Client,
}

/// The state itself.
pub(crate) struct Inner {
    pub(crate) data: Data,
    pub(crate) settings: Settings,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) tickets: HashMap<String, Ticket>,
    pub(crate) consents: HashMap<ConsentKey, ConsentGiven>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) calls: BTreeMap<String, Calls>,
    pub(crate) limiter: Limiter,
    pub(crate) log: VecDeque<LogLine>,
    pub(crate) serial: u64,
    swept_ms: i64,
    /// The state that a reset restores.
    first: (Data, Settings),
}

/// An access token: of an app, or (no agent) of the contact-sync assistant.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) corp: String,
    pub(crate) agent: Option<u64>,
    pub(crate) until_ms: i64,
}

/// The person using a WeCom client, as the company that owns the app sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Person {
    /// A member: userid.
    Member(String),
    /// A member of a linked company.
    Linked { corp: String, userid: String },
    /// Someone who is not a member.
    External { openid: String },
}

/// An authorisation code.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) corp: String,
    /// The app; `None` if the link named none.
    pub(crate) agent: Option<u64>,
    pub(crate) person: Person,
    /// Fields agreed to; `None`: silent scope or web login, so no ticket.
    pub(crate) consent: Option<BTreeSet<String>>,
    /// Where the code was sent; `None` if a test asked for the code itself.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) until_ms: i64,
    pub(crate) used: bool,
}

/// A `user_ticket`.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) corp: String,
    pub(crate) agent: u64,
    pub(crate) userid: String,
    pub(crate) fields: BTreeSet<String>,
    pub(crate) until_ms: i64,
}

/// The key of a consent: corp, agent, userid in lower case.
pub(crate) type ConsentKey = (String, u64, String);

/// A consent given by a member.
#[derive(Clone)]
pub(crate) struct ConsentGiven {
    pub(crate) fields: BTreeSet<String>,
    pub(crate) until_ms: i64,
}

/// How often a path has been called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// In total.
    pub calls: u64,
    /// How many of these did not end with errcode 0 (pages: not with the requested page or redirect).
    pub failed: u64,
}

/// One request, without secrets, tokens, codes or tickets.
#[derive(Debug, Clone, Serialize)]
pub struct LogLine {
    /// When, in milliseconds since 1970 on the simulator's clock.
    pub at_ms: i64,
    /// Who called.
    pub ip: IpAddr,
    /// The requested host (and port).
    pub host: String,
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Parameters; secret values are `***`.
    pub query: String,
    /// WeCom's errcode, if there is one.
    pub errcode: Option<i64>,
    /// HTTP status; 0 when the caller got no response.
    pub status: u16,
}

/// A random text of letters and digits, at least as hard to guess as WeCom's.
pub(crate) fn random(prefix: &str, length: usize) -> String {
    let mut s = String::from(prefix);
    while s.len() < length {
        s.push_str(&uuid::Uuid::new_v4().simple().to_string());
    }
    s.truncate(length);
    s
}

impl Shared {
    pub(crate) fn new(
        data: Data,
        settings: Settings,
        stop: watch::Receiver<bool>,
        http: reqwest::Client,
    ) -> Shared {
        let inner = Mutex::new(Inner::new(data, settings));
        Shared { inner, offset_ms: AtomicI64::new(0), stop, http }
    }

    /// The state. A panic elsewhere must not bring the simulator down.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Milliseconds since 1970 on the simulator's clock.
    pub(crate) fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(real.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// How far the simulator's clock is ahead of the real one, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_offset_ms(&self, ms: i64) {
        self.offset_ms.store(ms, Ordering::Relaxed);
    }

    /// Waits until the simulator stops.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        let _ = stop.wait_for(|s| *s).await;
    }
}

impl Inner {
    fn new(data: Data, settings: Settings) -> Inner {
        Inner {
            first: (data.clone(), settings.clone()),
            data,
            settings,
            tokens: HashMap::new(),
            codes: HashMap::new(),
            tickets: HashMap::new(),
            consents: HashMap::new(),
            faults: Vec::new(),
            calls: BTreeMap::new(),
            limiter: Limiter::default(),
            log: VecDeque::new(),
            serial: 0,
            swept_ms: 0,
        }
    }

    /// Restores the initial state.
    pub(crate) fn reset(&mut self) {
        let (data, settings) = self.first.clone();
        *self = Inner::new(data, settings);
    }

    pub(crate) fn count(&mut self, path: &str) {
        self.serial += 1;
        self.calls.entry(path.to_owned()).or_default().calls += 1;
    }

    pub(crate) fn write_log(&mut self, line: LogLine) {
        // An API response without an errcode is not WeCom's.
        let ok = line.errcode == Some(0) || (line.errcode.is_none() && !line.path.starts_with("/cgi-bin/"));
        let failed = line.status == 0 || line.status >= 400 || !ok;
        if let (true, Some(c)) = (failed, self.calls.get_mut(&line.path)) {
            c.failed += 1;
        }
        if self.log.len() >= LOG_LIMIT {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    /// Drops what expired long ago.
    pub(crate) fn sweep(&mut self, now: i64) {
        if now - self.swept_ms < 60_000 {
            return;
        }
        self.swept_ms = now;
        self.tokens.retain(|_, t| now - t.until_ms < AFTERLIFE);
        self.codes.retain(|_, c| now - c.until_ms < AFTERLIFE);
        self.tickets.retain(|_, t| now - t.until_ms < AFTERLIFE);
    }

    /// Creates a code.
    pub(crate) fn new_code(&mut self, code: Code) -> String {
        let name = random("SimCode", 64);
        self.codes.insert(name.clone(), code);
        name
    }

    /// The person, as this company sees them. `key`: userid of a member, `corpid/userid`, or an openid.
    pub(crate) fn person(&self, corp: &str, key: &str) -> Option<Person> {
        let company = self.data.company(corp)?;
        let (home, id) = key.split_once('/').unwrap_or((corp, key));
        if home == corp {
            if let Some(m) = company.member(id) {
                return Some(Person::Member(m.userid.clone()));
            }
            let e = company.externals.iter().find(|e| e.openid == id)?;
            return Some(Person::External { openid: e.openid.clone() });
        }
        let other = self.data.company(home)?;
        match other.member(id) {
            Some(m) if company.linked.iter().any(|l| l == home) => {
                Some(Person::Linked { corp: home.to_owned(), userid: m.userid.clone() })
            }
            // A member of an unrelated company is a stranger.
            Some(m) => Some(Person::External { openid: foreign_openid(corp, home, &m.userid) }),
            None => {
                let e = other.externals.iter().find(|e| e.openid == id)?;
                Some(Person::External { openid: foreign_openid(corp, home, &e.openid) })
            }
        }
    }

    /// Fields that the member agreed to share with this app, if the consent has not expired.
    pub(crate) fn consent(&self, key: &ConsentKey, now: i64) -> Option<&BTreeSet<String>> {
        self.consents.get(key).filter(|c| now < c.until_ms).map(|c| &c.fields)
    }
}

/// An openid is unique within the company that sees it, and reveals nothing about the person.
fn foreign_openid(corp: &str, home: &str, id: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{corp}|{home}|{id}").as_bytes());
    let hex: String = digest.as_ref().iter().take(13).map(|b| format!("{b:02x}")).collect();
    format!("oX{hex}")
}
