//! How many connections there may be: in total, per address, and a few more that only get the gate's own pages, so that a gate
//! whose connections are all taken still responds (R38).

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::nocobase::Who;
use crate::proxy::shares::Ledger;

/// The reserve, as a fraction of all places, and its limits: it has to fit into the descriptors that are left for the operator.
const RESERVE_PART: usize = 16;
const MIN_RESERVE: usize = 4;
const MAX_RESERVE: usize = 32;

/// All places.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Mutex<Ledger>>,
    reserve: Arc<Mutex<Ledger>>,
    is_shared: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl Places {
    /// `is_shared`: is this the address of a proxy, whose connections belong to many clients?
    pub(super) fn new(most: usize, is_shared: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Places {
        let reserve = (most / RESERVE_PART).clamp(MIN_RESERVE, MAX_RESERVE);
        Places {
            all: Arc::new(Mutex::new(Ledger::new(most))),
            reserve: Arc::new(Mutex::new(Ledger::new(reserve))),
            is_shared: Arc::new(is_shared),
        }
    }

    /// How many are taken, without the reserve.
    pub(super) fn taken(&self) -> usize {
        self.all.lock().taken
    }

    /// A place for a connection from this address, or one of the reserve.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let who = address.filter(|address| !(self.is_shared)(*address)).map(Who::at);
        [(&self.all, false), (&self.reserve, true)].into_iter().find_map(|(ledger, reserve)| {
            let taken = ledger.lock().take(who);
            taken.then(|| Place { ledger: ledger.clone(), who, reserve })
        })
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    ledger: Arc<Mutex<Ledger>>,
    who: Option<Who>,
    /// Only for the gate's own pages.
    pub(super) reserve: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ledger.lock().give_back(self.who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(places: &Places, address: &str, many: usize) -> Vec<Place> {
        (0..many).filter_map(|_| places.take(Some(address.parse().unwrap()))).filter(|p| !p.reserve).collect()
    }

    #[test]
    fn r38_one_address_leaves_capacity_for_others() {
        let places = Places::new(1000, |_| false);
        let one = from(&places, "192.0.2.1", 2000);
        assert_eq!(one.len(), 750);
        let two = from(&places, "192.0.2.2", 2000);
        assert!((180..=190).contains(&two.len()), "{}", two.len());
        assert_eq!(from(&places, "192.0.2.3", 6).len(), 6);
        drop((one, two));
        assert_eq!(places.taken(), 0);
        assert!(places.all.lock().of.is_empty());
    }

    #[test]
    fn r38_a_balancer_may_have_all_connections() {
        let places = Places::new(1000, |address| address.to_string() == "192.0.2.1");
        assert_eq!(from(&places, "192.0.2.1", 2000).len(), 1000);
    }

    #[test]
    fn r38_when_all_are_taken_there_is_a_reserve() {
        let places = Places::new(6, |_| false);
        let all = from(&places, "192.0.2.1", 6);
        assert_eq!(all.len(), 6);
        let over: Vec<_> = (0..9).filter_map(|_| places.take(None)).collect();
        assert_eq!((over.len(), over.iter().all(|place| place.reserve)), (4, true));
    }
}

#[cfg(test)]
mod counts;
