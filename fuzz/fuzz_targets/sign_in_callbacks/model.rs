//! The model: the expected result of each step of a sign-in.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use crate::input::{Arrival, edited};
use wecom_gate::decide::target;
use wecom_gate::error::Failure;
use wecom_gate::session::{
    Callback, CallbackDedup, CallbackRefused, Keyring, Names, OwnCookies, PendingSignIns, SignInRequest, UnixMillis,
};

const ORIGIN: &str = "https://gate.test";
const BEGIN: u64 = 1_800_000_000_000;
pub(crate) const BROWSERS: usize = 3;
const NODES: usize = 2;

static SIGN_INS: LazyLock<PendingSignIns> = LazyLock::new(|| {
    let keyring = Keyring::new(&[vec![7; 64].into()], ORIGIN).expect("keys");
    PendingSignIns::new(Arc::new(keyring), NAMES.clone())
});
static NAMES: LazyLock<Names> = LazyLock::new(|| Names::new(true, "wecom_gate"));
static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));

/// A pending sign-in, in the model.
pub(crate) struct PendingSignIn {
    state: String,
    pub(crate) name: String,
    value: String,
    request: SignInRequest,
    begun: u64,
}

#[derive(Clone)]
pub(crate) struct Cookie {
    pub(crate) value: String,
    ends: u64,
}

pub(crate) type Jar = HashMap<String, Cookie>;

/// A session: the code that it was created with, and whose it is.
#[derive(Debug, Clone, PartialEq)]
struct SignedIn {
    id: usize,
    code: u8,
    target: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Session(SignedIn),
    CodeRejected,
}

/// What a node remembers of a state, in the model.
struct Used {
    code: u8,
    cookie: String,
    at: u64,
    outcome: Option<Outcome>,
}

/// WeCom: each code is valid once.
struct WeCom {
    /// How often each code was used.
    spent: [AtomicUsize; 256],
    sessions: AtomicUsize,
}

impl WeCom {
    fn new() -> Self {
        WeCom { spent: [const { AtomicUsize::new(0) }; 256], sessions: AtomicUsize::new(0) }
    }

    fn spend(&self, code: u8, target: &str) -> Outcome {
        if self.spent[usize::from(code)].fetch_add(1, Ordering::SeqCst) > 0 {
            return Outcome::CodeRejected;
        }
        let id = self.sessions.fetch_add(1, Ordering::SeqCst);
        Outcome::Session(SignedIn { id, code, target: target.to_owned() })
    }
}

/// Browsers, nodes and WeCom, and what the model knows about them.
pub(crate) struct World {
    pub(crate) now: u64,
    ahead: i64,
    pub(crate) jars: [Jar; BROWSERS],
    pub(crate) pending: Vec<PendingSignIn>,
    nodes: [CallbackDedup<Outcome>; NODES],
    used: [HashMap<String, Used>; NODES],
    wecom: Arc<WeCom>,
    /// The result of each code, in the model.
    codes: HashMap<u8, SignedIn>,
}

fn header(jar: &Jar, now: u64) -> String {
    let mut pairs: Vec<String> =
        jar.iter().filter(|(_, c)| c.ends > now).map(|(name, c)| format!("{name}={}", c.value)).collect();
    pairs.sort();
    pairs.join("; ")
}

/// Stores a `Set-Cookie` line as a browser does.
fn take(jar: &mut Jar, line: &str, now: u64) {
    let mut parts = line.split("; ");
    let (name, value) = parts.next().and_then(|p| p.split_once('=')).expect("a name and a value");
    assert!(line.contains("; Secure") && line.contains("; HttpOnly") && line.contains("; Path=/"), "{line}");
    assert!(name.starts_with("__Host-") && !line.contains("Domain"), "{line}");
    let age =
        parts.find_map(|p| p.strip_prefix("Max-Age=")).expect("an end").parse::<u64>().expect("seconds");
    if age == 0 {
        jar.remove(name);
    } else {
        jar.insert(name.to_owned(), Cookie { value: value.to_owned(), ends: now + age * 1000 });
    }
}

/// The browser follows a redirect: it must lead to the gate's own host.
fn lands_here(location: &str) {
    let base = url::Url::parse(ORIGIN).expect("an address");
    let there = base.join(location).expect("a redirect that a browser can follow");
    assert_eq!(there.origin(), base.origin(), "{location:?}");
    assert!(
        location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'),
        "{location:?}"
    );
    assert!(location.bytes().all(|b| b.is_ascii_graphic()), "{location:?}");
}

impl World {
    /// `ahead`: how many seconds the clock of the second node is ahead.
    pub(crate) fn new(ahead: i64) -> Self {
        World {
            now: BEGIN,
            ahead: ahead * 1000,
            jars: Default::default(),
            pending: Vec::new(),
            nodes: [CallbackDedup::new(), CallbackDedup::new()],
            used: Default::default(),
            wecom: Arc::new(WeCom::new()),
            codes: HashMap::new(),
        }
    }

    fn clock(&self, node: usize) -> u64 {
        self.now.saturating_add_signed(if node == 1 { self.ahead } else { 0 })
    }

    pub(crate) fn begin(&mut self, browser: usize, node: usize, rd: &str, mut request: SignInRequest, attempt: u8) {
        // As in `routes/sign_in.rs`.
        request.target = target::sanitize(rd).unwrap_or_else(|| "/".into());
        lands_here(&request.target);
        let clock = self.clock(node);
        let header = header(&self.jars[browser], self.now);
        let begun = {
            let cookies =
                OwnCookies::parse(&NAMES, [header.as_bytes()]).expect("no more cookies than the gate sets");
            SIGN_INS.begin(&cookies, request.clone(), attempt, UnixMillis(clock)).expect("a flow")
        };
        let jar = &mut self.jars[browser];
        for line in &begun.set_cookies {
            take(jar, line, self.now);
        }
        let state = begun.flow.state().to_owned();
        let name = format!("{}{}", NAMES.flow_prefix(), &state[..8]);
        let value = jar.get(&name).expect("the flow's own cookie").value.clone();
        assert!(state.len() == 32 && state.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(state.as_bytes()[0], b'0' + attempt.min(9));
        let now = self.now;
        let bytes: usize =
            jar.iter().filter(|(_, c)| c.ends > now).map(|(n, c)| n.len() + c.value.len() + 3).sum();
        // Nearly 8 KiB; one response deletes 20 cookies, the next the others.
        assert!(bytes <= 7 * 1024 + 512 || begun.set_cookies.len() == 21, "{bytes} bytes of cookies");
        self.pending.push(PendingSignIn { state, name, value, request, begun: clock });
    }

    /// Why this callback is refused, according to the model, or the number of its flow.
    fn checked(&self, arrival: &Arrival, state: &str) -> Result<usize, Failure> {
        let shape = state.len() == 32 && state.bytes().all(|b| b.is_ascii_alphanumeric());
        if !shape || !state.as_bytes()[0].is_ascii_digit() {
            return Err(Failure::BadCallback);
        }
        let jar = &self.jars[usize::from(arrival.browser) % BROWSERS];
        let flow = self.pending.iter().position(|f| f.state == state).ok_or(Failure::FlowMissing)?;
        let PendingSignIn { name, value, begun, .. } = &self.pending[flow];
        if !jar.get(name).is_some_and(|c| c.value == *value && c.ends > self.now) {
            return Err(Failure::FlowMissing);
        }
        let now = self.clock(arrival.node.into());
        // Ten minutes; clocks may be five minutes apart.
        if now.saturating_sub(*begun) >= 600_000 || *begun > now + 300_000 {
            return Err(Failure::FlowExpired);
        }
        Ok(flow)
    }

    /// The expected result of a callback whose flow is valid; `None`: it is processed now.
    fn expected(
        &self,
        node: usize,
        state: &str,
        code: u8,
        cookie: &str,
    ) -> Option<Result<Option<Outcome>, CallbackRefused>> {
        let used = self.used[node].get(state)?;
        let same = used.code == code && used.cookie == cookie;
        let again = self.clock(node).saturating_sub(used.at) < 60_000;
        Some(if same && again { Ok(used.outcome.clone()) } else { Err(CallbackRefused::Replayed) })
    }

    /// Callbacks that arrive at once. `give_up`: the first browser disconnects.
    pub(crate) fn callbacks(&mut self, arrivals: &[&Arrival], give_up: bool) {
        // Each with its index among the arrivals.
        let mut good = Vec::new();
        let states: Vec<String> = arrivals
            .iter()
            .map(|a| {
                let count = self.pending.len();
                let state = if count == 0 { "" } else { &self.pending[usize::from(a.flow) % count].state };
                if state.is_empty() { String::new() } else { edited(state, &a.edit) }
            })
            .collect();
        let headers: Vec<String> = arrivals
            .iter()
            .map(|a| header(&self.jars[usize::from(a.browser) % BROWSERS], self.now))
            .collect();
        for (place, (arrival, state)) in arrivals.iter().zip(&states).enumerate() {
            let node = usize::from(arrival.node);
            let cookies = OwnCookies::parse(&NAMES, [headers[place].as_bytes()]).expect("cookies");
            let result = SIGN_INS.check(&cookies, state, UnixMillis(self.clock(node)));
            match (result, self.checked(arrival, state)) {
                (Ok(checked), Ok(flow)) => {
                    assert_eq!(checked.flow.state(), state);
                    assert_eq!(checked.flow.request, self.pending[flow].request);
                    assert_eq!(checked.cookie, self.pending[flow].value.as_bytes());
                    let keep = SIGN_INS.keep_briefly(&checked).expect("a line");
                    let delete = SIGN_INS.delete(&checked.flow).expect("a line");
                    good.push((place, flow, keep, delete));
                }
                (result, expected) => assert_eq!(result.map(|_| 0).err(), expected.err(), "{arrival:?}"),
            }
        }
        let mut waiting = Vec::new();
        for (place, flow, ..) in &good {
            let arrival = arrivals[*place];
            let (node, flow) = (usize::from(arrival.node), &self.pending[*flow]);
            let (wecom, code, target) = (self.wecom.clone(), arrival.code, flow.request.target.clone());
            let work = async move {
                tokio::task::yield_now().await;
                wecom.spend(code, &target)
            };
            let (dedup, now) = (self.nodes[node].clone(), UnixMillis(self.clock(node)));
            let (state, cookie) = (flow.state.clone(), flow.value.clone());
            let once = async move {
                let code = code.to_string();
                dedup
                    .once(Callback { code: &code, state: &state, cookie: cookie.as_bytes() }, now, work)
                    .await
            };
            waiting.push(Box::pin(once));
        }
        let results = RUNTIME.block_on(async {
            let mut results = Vec::new();
            if give_up {
                for mut once in waiting {
                    // Begun, and dropped before its end: the work continues.
                    std::future::poll_fn(|cx| {
                        let _ = once.as_mut().poll(cx);
                        std::task::Poll::Ready(())
                    })
                    .await;
                }
                for _ in 0..1000 {
                    tokio::task::yield_now().await;
                    if good.iter().all(|(place, ..)| {
                        self.wecom.spent[usize::from(arrivals[*place].code)].load(Ordering::SeqCst) > 0
                    }) {
                        break;
                    }
                }
            } else {
                let running: Vec<_> = waiting.into_iter().map(tokio::spawn).collect();
                for run in running {
                    results.push(run.await.expect("no panic"));
                }
            }
            results
        });
        for (number, (place, flow, keep, delete)) in good.into_iter().enumerate() {
            let arrival = arrivals[place];
            let (node, code) = (usize::from(arrival.node), arrival.code);
            let (state, cookie) = (self.pending[flow].state.clone(), self.pending[flow].value.clone());
            let target = self.pending[flow].request.target.clone();
            let expected = self.expected(node, &state, code, &cookie);
            if give_up {
                let used = self.used[node].len();
                let at = self.clock(node);
                self.used[node].entry(state).or_insert(Used { code, cookie, at, outcome: None });
                if self.used[node].len() > used {
                    let spent = self.wecom.spent[usize::from(code)].load(Ordering::SeqCst);
                    assert!(spent > 0, "the work of a cancelled callback has stopped");
                }
                continue;
            }
            let result = results[number].clone();
            match expected {
                Some(Err(refused)) => assert_eq!(result, Err(refused)),
                // One that was cancelled before: WeCom knows its result.
                Some(Ok(None)) => assert!(result.is_ok()),
                Some(Ok(Some(outcome))) => assert_eq!(result, Ok(outcome)),
                None => assert!(result.is_ok()),
            }
            let Ok(outcome) = result else { continue };
            let jar = &mut self.jars[usize::from(arrival.browser) % BROWSERS];
            match &outcome {
                Outcome::Session(session) => {
                    assert_eq!((session.code, &session.target), (code, &target));
                    // One code, one session.
                    let first = self.codes.entry(code).or_insert_with(|| session.clone());
                    assert_eq!(first, session);
                    let mobile = self.pending[flow].request.mobile;
                    lands_here(target::landing(&target, "/admin/home", "/m/home", mobile, "/"));
                    take(jar, &keep, self.now);
                }
                Outcome::CodeRejected => take(jar, &delete, self.now),
            }
            let at = self.clock(node);
            let used = self.used[node].entry(state).or_insert(Used { code, cookie, at, outcome: None });
            used.outcome = Some(outcome);
        }
    }
}
