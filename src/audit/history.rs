//! What the console shows of the last day: refused sign-ins, and how many there were. Kept in the memory of this process only.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::error::Failure;

/// How many are kept of each kind. Failed sign-ins have a list of their own: only sign-ins, whose number is limited, can push
/// them out, not other requests of strangers.
const MAX_ENTRIES: usize = 200;
/// Characters of a text that are kept.
const MAX_CHARS: usize = 300;
/// The time that one bar of the chart covers.
const SLOT: Duration = Duration::from_secs(600);
/// Bars per day.
pub(crate) const SLOTS: usize = 144;
/// Bars per hour.
const BARS_PER_HOUR: u64 = 6;

/// A refused sign-in, or a page that could not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) at: SystemTime,
    /// Name of the WeCom entry.
    pub(crate) entry: Option<String>,
    /// The member's userid.
    pub(crate) userid: Option<String>,
    /// The member's name.
    pub(crate) name: Option<String>,
    pub(crate) failure: Failure,
    /// Why, in words.
    pub(crate) reason: Option<String>,
    /// The request id that the person sees.
    pub(crate) request_id: Option<String>,
    pub(crate) client: Option<IpAddr>,
}

impl Refusal {
    /// `word`: in lower case.
    fn is_about(&self, word: &str) -> bool {
        let texts = [&self.userid, &self.name, &self.request_id];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains(word))
    }
}

/// Outcomes of sign-ins within one slot; `None`: a session.
struct Slot {
    number: u64,
    outcomes: HashMap<Option<Failure>, u32>,
}

/// The number of each outcome, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Sessions and failures of the last [`SLOTS`] slots, the oldest first.
    pub(crate) slots: Vec<(u32, u32)>,
    /// Outcome (`None`: a session), last hour, last day; sessions first, then by frequency.
    pub(crate) outcomes: Vec<(Option<Failure>, u32, u32)>,
}

/// The last day of this process.
pub(crate) struct History {
    since: SystemTime,
    sign_ins: Mutex<VecDeque<Refusal>>,
    pages: Mutex<VecDeque<Refusal>>,
    /// Those that the other nodes do not know yet.
    pending: Mutex<VecDeque<Refusal>>,
    slots: Mutex<VecDeque<Slot>>,
}

impl History {
    pub(super) fn new(since: SystemTime) -> History {
        History {
            since,
            sign_ins: Mutex::default(),
            pages: Mutex::default(),
            pending: Mutex::default(),
            slots: Mutex::default(),
        }
    }

    /// When it began.
    pub(crate) fn since(&self) -> SystemTime {
        self.since
    }

    /// A sign-in failed.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.count(Some(refusal.failure), refusal.at);
        self.keep(&self.sign_ins, refusal);
    }

    /// A sign-in succeeded.
    pub(super) fn signed_in(&self, at: SystemTime) {
        self.count(None, at);
    }

    /// A person was shown a page instead of what they requested.
    pub(crate) fn page(&self, refusal: Refusal) {
        self.keep(&self.pages, refusal);
    }

    fn keep(&self, list: &Mutex<VecDeque<Refusal>>, refusal: Refusal) {
        let refusal = bounded(refusal);
        push(&self.pending, refusal.clone());
        push(list, refusal);
    }

    /// Those added since the last call, oldest first.
    pub(crate) fn take_pending(&self) -> Vec<Refusal> {
        self.pending.lock().drain(..).collect()
    }

    fn count(&self, outcome: Option<Failure>, at: SystemTime) {
        let number = slot(at);
        let mut slots = self.slots.lock();
        // If the clock was set back, it counts into the latest slot.
        if slots.back().is_none_or(|last| last.number < number) {
            slots.push_back(Slot { number, outcomes: HashMap::new() });
            if slots.len() > SLOTS {
                slots.pop_front();
            }
        }
        if let Some(last) = slots.back_mut() {
            let n = last.outcomes.entry(outcome).or_default();
            *n = n.saturating_add(1);
        }
    }

    /// Those about this member or request, or all if `query` is empty; newest first, each request once. `others`: what the nodes
    /// have shared, including this node's own.
    pub(crate) fn refusals(&self, query: &str, others: Vec<Refusal>) -> Vec<Refusal> {
        let word = query.trim().to_lowercase();
        let mut all: Vec<Refusal> = self.sign_ins.lock().iter().rev().cloned().collect();
        let same_request =
            |one: &Refusal, other: &Refusal| one.request_id.is_some() && one.request_id == other.request_id;
        for page in self.pages.lock().iter().rev() {
            // A failed sign-in is listed with its member already.
            if !all.iter().any(|one| same_request(one, page)) {
                all.push(page.clone());
            }
        }
        for other in others {
            let same = |one: &Refusal| {
                (millis(one.at), &one.userid, one.failure) == (millis(other.at), &other.userid, other.failure)
            };
            if !all.iter().any(|one| same_request(one, &other) || same(one)) {
                all.push(other);
            }
        }
        all.retain(|refusal| word.is_empty() || refusal.is_about(&word));
        all.sort_by_key(|refusal| std::cmp::Reverse(refusal.at));
        all.truncate(MAX_ENTRIES);
        all
    }

    /// The number of each outcome within the day before `now`.
    pub(crate) fn counts(&self, now: SystemTime) -> Counts {
        let newest = slot(now);
        let mut slots = vec![(0u32, 0u32); SLOTS];
        let mut outcomes: HashMap<Option<Failure>, (u32, u32)> = HashMap::from([(None, (0, 0))]);
        for slot in &*self.slots.lock() {
            let age = newest.saturating_sub(slot.number);
            let place = usize::try_from(age).ok().and_then(|age| SLOTS.checked_sub(1)?.checked_sub(age));
            let Some(bar) = place.and_then(|place| slots.get_mut(place)) else { continue };
            for (outcome, n) in &slot.outcomes {
                let part = if outcome.is_none() { &mut bar.0 } else { &mut bar.1 };
                *part = part.saturating_add(*n);
                let (hour, day) = outcomes.entry(*outcome).or_default();
                *day = day.saturating_add(*n);
                if age < BARS_PER_HOUR {
                    *hour = hour.saturating_add(*n);
                }
            }
        }
        let mut outcomes: Vec<_> = outcomes.into_iter().map(|(outcome, (h, d))| (outcome, h, d)).collect();
        outcomes.sort_by_key(|(outcome, _, day)| {
            (outcome.is_some(), std::cmp::Reverse(*day), outcome.map(|f| f.response().label))
        });
        Counts { slots, outcomes }
    }
}

fn slot(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / SLOT.as_secs()
}

/// As shared between nodes.
fn millis(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// Without empty texts and overlong ones.
fn bounded(mut refusal: Refusal) -> Refusal {
    for text in [&mut refusal.entry, &mut refusal.userid, &mut refusal.name, &mut refusal.reason] {
        *text =
            text.take().filter(|text| !text.is_empty()).map(|text| text.chars().take(MAX_CHARS).collect());
    }
    refusal
}

fn push(list: &Mutex<VecDeque<Refusal>>, refusal: Refusal) {
    let mut list = list.lock();
    list.push_back(refusal);
    if list.len() > MAX_ENTRIES {
        list.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        START + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn refusal(seconds: u64, userid: &str, id: &str) -> Refusal {
        Refusal {
            at: at(seconds),
            entry: Some("wecom".into()),
            userid: Some(userid.into()),
            name: None,
            failure: Failure::NotAllowed,
            reason: None,
            request_id: Some(id.into()),
            client: None,
        }
    }

    fn users(found: &[Refusal]) -> Vec<&str> {
        found.iter().map(|r| r.userid.as_deref().unwrap_or("-")).collect()
    }

    #[test]
    fn they_are_found_by_member_and_by_request() {
        let history = History::new(at(0));
        history.refused(refusal(1, "ZhangSan", "aa11"));
        history.refused(Refusal { name: Some("李四".into()), ..refusal(2, "lisi", "bb22") });
        history.page(refusal(3, "", "cc33"));
        history.page(refusal(4, "", "bb22"));
        assert_eq!(
            users(&history.refusals("", Vec::new())),
            ["-", "lisi", "ZhangSan"],
            "each once, the latest first"
        );
        assert_eq!(users(&history.refusals(" zhang ", Vec::new())), ["ZhangSan"]);
        assert_eq!(users(&history.refusals("李四", Vec::new())), ["lisi"]);
        assert_eq!(users(&history.refusals("BB22", Vec::new())), ["lisi"]);
        assert_eq!(users(&history.refusals("cc33", Vec::new())), ["-"]);
        assert!(history.refusals("nobody", Vec::new()).is_empty());
    }

    #[test]
    fn strangers_pages_push_no_sign_in_out_and_memory_is_bounded() {
        let history = History::new(at(0));
        history.refused(refusal(0, "first", "0"));
        for i in 1..5_000 {
            history.page(Refusal { reason: Some("x".repeat(9_000)), ..refusal(i, "", &i.to_string()) });
        }
        let all = history.refusals("first", Vec::new());
        assert_eq!(users(&all), ["first"]);
        let kept = history.pages.lock().len();
        assert_eq!((kept, history.refusals("", Vec::new()).len()), (MAX_ENTRIES, MAX_ENTRIES));
        assert_eq!(history.pages.lock()[0].reason.as_ref().map(String::len), Some(MAX_CHARS));
        for i in 0..5_000 {
            history.refused(refusal(i, &i.to_string(), &format!("s{i}")));
        }
        assert_eq!(history.sign_ins.lock().len(), MAX_ENTRIES);
    }

    #[test]
    fn a_day_is_counted_in_slots_and_what_is_older_is_forgotten() {
        let history = History::new(at(0));
        history.signed_in(at(0));
        history.signed_in(at(0));
        history.refused(refusal(0, "a", "1"));
        let counts = history.counts(at(0));
        assert_eq!(counts.slots.len(), SLOTS);
        assert_eq!(counts.slots.last(), Some(&(2, 1)));
        assert_eq!(counts.outcomes, [(None, 2, 2), (Some(Failure::NotAllowed), 1, 1)]);
        let later = history.counts(at(3600));
        assert_eq!(later.slots[SLOTS - 7], (2, 1), "an hour is six slots");
        assert_eq!(later.outcomes, [(None, 0, 2), (Some(Failure::NotAllowed), 0, 1)]);
        assert_eq!(history.counts(at(24 * 3600)).outcomes, [(None, 0, 0)]);
        for i in 0..1_000 {
            history.signed_in(at(i * 600));
        }
        assert_eq!(history.slots.lock().len(), SLOTS);
        // A clock that is set back loses nothing.
        history.signed_in(at(5));
        assert_eq!(history.counts(at(999 * 600)).slots.last(), Some(&(2, 0)));
    }

    #[test]
    fn refusals_of_other_nodes_are_listed_once_and_this_nodes_own_are_shared_once() {
        let history = History::new(UNIX_EPOCH);
        let at = UNIX_EPOCH + Duration::new(1_000, 999);
        let refusal = |userid: &str, request_id: Option<&str>| Refusal {
            at,
            entry: None,
            userid: Some(userid.to_owned()),
            name: None,
            failure: Failure::NoMatchingUser,
            reason: None,
            request_id: request_id.map(str::to_owned),
            client: None,
        };
        history.refused(refusal("lisi", Some("a1")));
        history.page(refusal("anna", None));
        let told = history.take_pending();
        assert_eq!((told.len(), history.take_pending().len()), (2, 0));
        // As they return: in milliseconds.
        let back =
            |refusal: &Refusal| Refusal { at: UNIX_EPOCH + Duration::from_secs(1_000), ..refusal.clone() };
        let mut others: Vec<Refusal> = told.iter().map(back).collect();
        others.push(Refusal { at: at + Duration::from_secs(1), ..refusal("zhangsan", Some("b2")) });
        let found: Vec<_> = history.refusals("", others).into_iter().filter_map(|one| one.userid).collect();
        assert_eq!(found, ["zhangsan", "lisi", "anna"]);
    }
}
