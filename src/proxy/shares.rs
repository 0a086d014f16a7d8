//! Slots of which one client must leave some to others, as plain data: how many are taken, and by which client (R34, R38).

use std::collections::HashMap;

use crate::nocobase::Who;

/// One client never takes more than this many times what it leaves to others.
const SHARE: usize = 3;
/// Slots that one client may always have, as long as any are free.
pub(super) const LEAST: usize = 8;
/// The slots, as plain data: how many are taken, and by which address.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) most: usize,
    pub(super) taken: usize,
    pub(super) of: HashMap<Who, usize>,
}

impl Ledger {
    pub(super) fn new(most: usize) -> Ledger {
        Ledger { most, taken: 0, of: HashMap::new() }
    }

    /// Takes a slot, if there is one for `who`: `None` for an address that many clients share, such as a load balancer's.
    pub(super) fn take(&mut self, who: Option<Who>) -> bool {
        let free = self.most.saturating_sub(self.taken);
        let own = who.and_then(|who| self.of.get(&who).copied()).unwrap_or(0);
        if free == 0 || (own >= LEAST && own >= free.saturating_mul(SHARE)) {
            return false;
        }
        self.taken += 1;
        if let Some(who) = who {
            self.of.insert(who, own + 1);
        }
        true
    }

    pub(super) fn give_back(&mut self, who: Option<Who>) {
        self.taken = self.taken.saturating_sub(1);
        let Some(who) = who else { return };
        match self.of.get_mut(&who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(self.of.remove(&who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// With many free slots one address may have many; with few, only the minimum per address.
    #[test]
    fn r38_a_share_is_of_what_is_free() {
        let who = |n: u8| Some(Who::at(IpAddr::from([192, 0, 2, n])));
        let mut ledger = Ledger::new(LEAST + 1);
        assert!((0..LEAST).all(|_| ledger.take(who(1))));
        // One is free: a client that has this many does not get it, but another does.
        assert!(!ledger.take(who(1)));
        assert!(ledger.take(who(2)));
        assert!(!ledger.take(who(3)) && !ledger.take(None), "all are taken");
        ledger.give_back(who(2));
        assert!(ledger.take(None));
        assert_eq!(ledger.taken, LEAST + 1);
    }
}
