//! The requests that wait for a slot at NocoBase, and which is next. Plain data.
//!
//! Signed-in users go first, then members whom WeCom has named and who wait for their session, then newcomers, so that work in
//! progress continues; one slot in eight is for those who come later in this order. Within a class users take turns: a user with
//! many requests waits for them, and no one else does. Newcomers without a session take turns by address, several at a time, because
//! an address may be that of many people.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest wait for a slot: users leave or retry not long after it.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same for a sign-in: its member's code is spent, and to start over takes longer than to wait.
const SIGN_IN_PATIENCE: Duration = Duration::from_secs(8);
/// A request that would have to wait this long at the present rate is refused at once. Longer than [`PATIENCE`], since that is only
/// an estimate.
const LONGEST_ESTIMATE: Duration = Duration::from_millis(3_500);
/// The same for newcomers, of whom there may be a crowd. Shorter than [`PATIENCE`]: in a queue that is longer than that, everybody
/// waits until a moment before their turn, and is refused.
pub(super) const LONGEST_ESTIMATE_NEW: Duration = Duration::from_millis(2_750);
const LONGEST_SIGN_IN_ESTIMATE: Duration = Duration::from_secs(12);
/// Waiting requests for one node at most, and newcomers' among them.
const MAX_WAITING: usize = 4096;
const MAX_WAITING_NEW: usize = 3072;
/// Waiting requests of one user, or from one address, at most.
const MAX_WAITING_PER_USER: usize = 1024;
/// A newcomer's address may be that of an office: in its turn so many of its requests are next. More would let one address delay
/// everybody else.
const TURN_OF_ADDRESS: u32 = 8;
/// One slot in this many is for a lower class.
const LOWERS_TURN: u32 = 8;

/// Which requests go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Does not wait: it ends something.
    Urgent,
    /// From a signed-in user, or from a sign-in in progress.
    In,
    /// The first call of a sign-in: WeCom has named the member, whose code cannot be used again.
    SignIn,
    /// From a user whose session is not known yet, or who has none.
    New,
}

/// The user or client with whose requests others take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A NocoBase user.
    User(u64),
    /// A client without a session.
    Address(IpAddr),
    /// One of the gate's own calls, each separately.
    Call(u64),
}

impl Who {
    /// A client, by its address; over IPv6 by its network, since one client can have any number of addresses.
    pub(crate) fn at(address: IpAddr) -> Who {
        Who::Address(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// The user or address behind a request, and how urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Its class.
    pub class: Class,
    /// Its user or address.
    pub who: Who,
}

impl Turn {
    /// A separate turn for one call.
    pub(crate) fn of_call(class: Class) -> Turn {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        Turn { class, who: Who::Call(CALLS.fetch_add(1, Ordering::Relaxed)) }
    }

    /// How long it waits for a slot.
    pub(super) fn patience(self) -> Duration {
        if self.is_of_sign_in() { SIGN_IN_PATIENCE } else { PATIENCE }
    }

    /// It waits if that is likely to take no longer than this.
    pub(super) fn longest_estimate(self) -> Duration {
        match self.class {
            _ if self.is_of_sign_in() => LONGEST_SIGN_IN_ESTIMATE,
            Class::New => LONGEST_ESTIMATE_NEW,
            Class::In | Class::SignIn | Class::Urgent => LONGEST_ESTIMATE,
        }
    }

    fn is_of_sign_in(self) -> bool {
        matches!((self.class, self.who), (Class::SignIn, _) | (Class::In, Who::Call(_)))
    }
}

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// One class: users in the order of their turns, with their waiting requests.
#[derive(Debug)]
struct Ring<T> {
    turns: VecDeque<Who>,
    of: HashMap<Who, VecDeque<(u64, T)>>,
    len: usize,
    /// How many requests of an address are next in its turn.
    turn_of_address: u32,
    /// How many requests of the first have been next in this turn.
    in_turn: u32,
}

impl<T> Ring<T> {
    fn new(turn_of_address: u32) -> Self {
        Ring { turns: VecDeque::new(), of: HashMap::new(), len: 0, turn_of_address, in_turn: 0 }
    }

    fn turn_of(&self, who: Who) -> u32 {
        if matches!(who, Who::Address(_)) { self.turn_of_address } else { 1 }
    }

    fn push(&mut self, who: Who, id: u64, item: T) -> Result<(), Full> {
        let own = self.of.entry(who).or_default();
        if own.len() >= MAX_WAITING_PER_USER {
            return Err(Full);
        }
        if own.is_empty() {
            self.turns.push_back(who);
        }
        own.push_back((id, item));
        self.len += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<T> {
        let who = *self.turns.front()?;
        let turn = self.turn_of(who);
        let own = self.of.get_mut(&who)?;
        let (_, item) = own.pop_front()?;
        self.len -= 1;
        self.in_turn += 1;
        if own.is_empty() {
            self.leaves(who);
        } else if self.in_turn >= turn {
            self.turns.rotate_left(1);
            self.in_turn = 0;
        }
        Some(item)
    }

    /// Removes the one whose turn is last.
    fn pop_last(&mut self) -> Option<T> {
        let who = *self.turns.back()?;
        let own = self.of.get_mut(&who)?;
        let (_, item) = own.pop_back()?;
        self.len -= 1;
        if own.is_empty() {
            self.leaves(who);
        }
        Some(item)
    }

    fn remove(&mut self, who: Who, id: u64) -> Option<T> {
        let own = self.of.get_mut(&who)?;
        let at = own.iter().position(|(other, _)| *other == id)?;
        let (_, item) = own.remove(at)?;
        self.len -= 1;
        if own.is_empty() {
            self.leaves(who);
        }
        Some(item)
    }

    /// This user has no more requests.
    fn leaves(&mut self, who: Who) {
        self.of.remove(&who);
        if self.turns.front() == Some(&who) {
            self.turns.pop_front();
            self.in_turn = 0;
        } else if self.turns.back() == Some(&who) {
            self.turns.pop_back();
        } else {
            self.turns.retain(|other| *other != who);
        }
    }

    /// How many go before another request of this user.
    fn ahead(&self, who: Who) -> usize {
        let own = self.of.get(&who).map_or(0, VecDeque::len);
        let rounds = own / self.turn_of(who) as usize + 1;
        self.len.min(self.turns.len().saturating_mul(rounds).max(own))
    }
}

/// All waiting requests.
#[derive(Debug)]
pub(super) struct WaitQueue<T> {
    inside: Ring<T>,
    sign_ins: Ring<T>,
    new: Ring<T>,
    /// How many requests of signed-in users have gone before others.
    passed: u32,
    /// How many sign-ins have gone before newcomers.
    passed_new: u32,
}

impl<T> WaitQueue<T> {
    pub(super) fn new() -> Self {
        let (inside, sign_ins, new) = (Ring::new(1), Ring::new(1), Ring::new(TURN_OF_ADDRESS));
        WaitQueue { inside, sign_ins, new, passed: 0, passed_new: 0 }
    }

    fn ring(&mut self, class: Class) -> &mut Ring<T> {
        match class {
            Class::New => &mut self.new,
            Class::SignIn => &mut self.sign_ins,
            Class::In | Class::Urgent => &mut self.inside,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inside.len + self.sign_ins.len + self.new.len
    }

    /// Does a signed-in user wait?
    pub(super) fn has_signed_in(&self) -> bool {
        self.inside.len > 0
    }

    pub(super) fn push(&mut self, class: Class, who: Who, id: u64, item: T) -> Result<(), Full> {
        let most = if class == Class::New { MAX_WAITING_NEW } else { MAX_WAITING };
        if self.len() >= most {
            return Err(Full);
        }
        self.ring(class).push(who, id, item)
    }

    /// Roughly how many go before another request of this user.
    pub(super) fn ahead(&self, class: Class, who: Who) -> usize {
        match class {
            Class::New => self.inside.len + self.sign_ins.len + self.new.ahead(who),
            Class::SignIn => self.inside.len + self.sign_ins.ahead(who),
            Class::In | Class::Urgent => self.inside.ahead(who),
        }
    }

    /// Removes the next request.
    pub(super) fn pop(&mut self) -> Option<T> {
        let others = self.sign_ins.len + self.new.len;
        if !is_lowers_turn(&mut self.passed, self.inside.len, others) {
            self.inside.pop()
        } else if !is_lowers_turn(&mut self.passed_new, self.sign_ins.len, self.new.len) {
            self.sign_ins.pop()
        } else {
            self.new.pop()
        }
    }

    /// Removes the next request of a signed-in user.
    pub(super) fn pop_signed_in(&mut self) -> Option<T> {
        self.inside.pop()
    }

    /// Removes the newcomer whose turn is last.
    pub(super) fn pop_last_newcomer(&mut self) -> Option<T> {
        self.new.pop_last()
    }

    /// A request does not wait any more.
    pub(super) fn remove(&mut self, class: Class, who: Who, id: u64) -> Option<T> {
        self.ring(class).remove(who, id)
    }
}

/// Is it the turn of the lower of two classes, in which so many wait? `passed`: how often the upper one has been first while both
/// waited.
fn is_lowers_turn(passed: &mut u32, upper: usize, lower: usize) -> bool {
    let both = upper > 0 && lower > 0;
    let is_lowers = upper == 0 || (both && *passed + 1 >= LOWERS_TURN);
    *passed = if both && !is_lowers { *passed + 1 } else { 0 };
    is_lowers
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod turns;
