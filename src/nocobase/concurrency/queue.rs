//! The requests that wait for a slot at NocoBase, and which is next. Plain data.
//!
//! Signed-in users go before newcomers, so that work in progress continues; one slot in eight is for a newcomer. Within a class
//! users take turns: a user with many requests waits for them, and no one else does.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

/// Waiting requests for one node at most.
const MAX_WAITING: usize = 4096;
/// Waiting requests of one user, or from one address, at most.
const MAX_WAITING_PER_USER: usize = 1024;
/// One slot in this many is for a newcomer.
const NEWCOMERS_TURN: u32 = 8;

/// Which requests go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Does not wait: it ends something.
    Urgent,
    /// From a signed-in user, or from a started sign-in.
    In,
    /// From a user who has not signed in yet.
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
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Ring { turns: VecDeque::new(), of: HashMap::new(), len: 0 }
    }
}

impl<T> Ring<T> {
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
        let who = self.turns.pop_front()?;
        let own = self.of.get_mut(&who)?;
        let (_, item) = own.pop_front()?;
        self.len -= 1;
        if own.is_empty() {
            self.of.remove(&who);
        } else {
            self.turns.push_back(who);
        }
        Some(item)
    }

    fn remove(&mut self, who: Who, id: u64) -> Option<T> {
        let own = self.of.get_mut(&who)?;
        let at = own.iter().position(|(other, _)| *other == id)?;
        let (_, item) = own.remove(at)?;
        self.len -= 1;
        if own.is_empty() {
            self.of.remove(&who);
            self.turns.retain(|other| *other != who);
        }
        Some(item)
    }

    /// How many go before another request of this user.
    fn ahead(&self, who: Who) -> usize {
        let rounds = self.of.get(&who).map_or(0, VecDeque::len) + 1;
        self.len.min(self.turns.len().saturating_mul(rounds))
    }
}

/// All waiting requests.
#[derive(Debug)]
pub(super) struct WaitQueue<T> {
    inside: Ring<T>,
    new: Ring<T>,
    /// How many requests of signed-in users have gone before newcomers.
    passed: u32,
}

impl<T> WaitQueue<T> {
    pub(super) fn new() -> Self {
        WaitQueue { inside: Ring::default(), new: Ring::default(), passed: 0 }
    }

    fn ring(&mut self, class: Class) -> &mut Ring<T> {
        match class {
            Class::New => &mut self.new,
            Class::In | Class::Urgent => &mut self.inside,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inside.len + self.new.len
    }

    pub(super) fn push(&mut self, class: Class, who: Who, id: u64, item: T) -> Result<(), Full> {
        if self.len() >= MAX_WAITING {
            return Err(Full);
        }
        self.ring(class).push(who, id, item)
    }

    /// Roughly how many go before another request of this user.
    pub(super) fn ahead(&self, class: Class, who: Who) -> usize {
        match class {
            Class::New => self.inside.len + self.new.ahead(who),
            Class::In | Class::Urgent => self.inside.ahead(who),
        }
    }

    /// Removes the next request.
    pub(super) fn pop(&mut self) -> Option<T> {
        let both = self.inside.len > 0 && self.new.len > 0;
        if self.inside.len == 0 || (both && self.passed + 1 >= NEWCOMERS_TURN) {
            self.passed = 0;
            return self.new.pop();
        }
        self.passed = if both { self.passed + 1 } else { 0 };
        self.inside.pop()
    }

    /// A request does not wait any more.
    pub(super) fn remove(&mut self, class: Class, who: Who, id: u64) -> Option<T> {
        self.ring(class).remove(who, id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(queue: &mut WaitQueue<u64>) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn people_take_turns() {
        let mut queue = WaitQueue::new();
        for id in 0..6 {
            queue.push(Class::In, Who::User(1), id, id).unwrap();
        }
        queue.push(Class::In, Who::User(2), 6, 6).unwrap();
        assert_eq!(queue.ahead(Class::In, Who::User(3)), 2);
        assert_eq!(queue.ahead(Class::In, Who::User(1)), 7);
        queue.push(Class::In, Who::User(3), 7, 7).unwrap();
        assert_eq!(all(&mut queue), [0, 6, 7, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn signed_in_users_go_first_and_newcomers_get_one_place_in_eight() {
        let mut queue = WaitQueue::new();
        for id in 0..20 {
            queue.push(Class::New, Who::Call(id), id, id).unwrap();
            queue.push(Class::In, Who::User(id), id, 100 + id).unwrap();
        }
        let first: Vec<_> = (0..16).filter_map(|_| queue.pop()).collect();
        assert_eq!(first.iter().filter(|n| **n < 100).copied().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(first.last(), Some(&1));
    }

    #[test]
    fn one_person_cannot_fill_it() {
        let mut queue = WaitQueue::new();
        let mut id = 0;
        while queue.push(Class::New, Who::User(1), id, id).is_ok() {
            id += 1;
        }
        assert_eq!(id, 1024);
        assert_eq!(queue.push(Class::New, Who::User(2), id, id), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let at = |text: &str| Who::at(text.parse().unwrap());
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(bool, u64),
        Pop,
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (any::<bool>(), 0u64..5).prop_map(|(new, who)| Step::Push(new, who)),
            2 => Just(Step::Pop),
            1 => (0usize..50).prop_map(Step::Remove),
        ]
    }

    proptest! {
        /// Each request leaves once, none is lost, and each user's leave in their order.
        #[test]
        fn no_waiting_request_is_lost(steps in proptest::collection::vec(step(), 0..300)) {
            let mut queue = WaitQueue::new();
            let mut inside: Vec<(Class, Who, u64)> = Vec::new();
            for (id, step) in (0u64..).zip(steps) {
                match step {
                    Step::Push(new, who) => {
                        let class = if new { Class::New } else { Class::In };
                        let who = Who::User(who);
                        let ahead = queue.ahead(class, who);
                        prop_assert!(ahead <= queue.len());
                        queue.push(class, who, id, id).unwrap();
                        inside.push((class, who, id));
                    }
                    Step::Pop => match queue.pop() {
                        None => prop_assert!(inside.is_empty()),
                        Some(id) => {
                            let at = inside.iter().position(|(_, _, other)| *other == id).unwrap();
                            let (class, who, _) = inside.remove(at);
                            prop_assert!(inside.iter().all(|(c, w, i)| (*c, *w) != (class, who) || *i > id));
                        }
                    },
                    Step::Remove(at) => if at < inside.len() {
                        let (class, who, id) = inside.remove(at);
                        prop_assert_eq!(queue.remove(class, who, id), Some(id));
                        prop_assert_eq!(queue.remove(class, who, id), None);
                    },
                }
                prop_assert_eq!(queue.len(), inside.len());
                prop_assert_eq!(queue.inside.turns.len(), queue.inside.of.len());
                prop_assert_eq!(queue.new.turns.len(), queue.new.of.len());
            }
            prop_assert_eq!(all(&mut queue).len(), inside.len());
        }
    }
}

#[cfg(test)]
mod turns;
