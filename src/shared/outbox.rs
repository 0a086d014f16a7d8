//! Endings that this node publishes: kept until Redis has them, and for some time after that, because Redis may lose them.

use std::collections::VecDeque;
use std::time::Duration;

use super::payload::Ending;
use crate::session::UnixMillis;

/// Most entries kept; beyond this the oldest are dropped. NocoBase has recorded them too, and is asked about every session at
/// each `session.recheck`.
const CAPACITY: usize = 20_000;
/// How long a published entry is kept.
const MEMORY: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Outbox {
    all: VecDeque<Entry>,
    /// Serial number of the newest entry.
    serial: u64,
    /// Serial number of the newest published entry.
    published: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    serial: u64,
    at: UnixMillis,
    ending: Ending,
}

impl Outbox {
    /// Adds an ending to be published.
    pub(super) fn add(&mut self, ending: Ending, now: UnixMillis) {
        let published = self.published;
        while self.all.len() >= CAPACITY
            || self.all.front().is_some_and(|e| e.serial <= published && now.since(e.at) > MEMORY)
        {
            self.all.pop_front();
        }
        self.serial += 1;
        self.all.push_back(Entry { serial: self.serial, at: now, ending });
    }

    /// The next ending to publish, and its serial number for [`Outbox::mark_published`].
    pub(super) fn next(&self) -> Option<(u64, Ending)> {
        let at = self.all.partition_point(|e| e.serial <= self.published);
        self.all.get(at).map(|e| (e.serial, e.ending.clone()))
    }

    /// The entry with this serial number has been published.
    pub(super) fn mark_published(&mut self, serial: u64) {
        self.published = self.published.max(serial);
    }

    /// Entries added since then must be published again.
    pub(super) fn republish_since(&mut self, since: UnixMillis) {
        let before = self.all.iter().rev().find(|e| e.at < since).map_or(0, |e| e.serial);
        self.published = self.published.min(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis(1_700_000_000_000 + seconds * 1000)
    }
    fn ending(n: u8) -> Ending {
        Ending::Session([n; 16])
    }
    /// Publishes everything.
    fn publish(outbox: &mut Outbox) -> Vec<Ending> {
        let mut out = Vec::new();
        while let Some((serial, ending)) = outbox.next() {
            outbox.mark_published(serial);
            out.push(ending);
        }
        out
    }

    #[test]
    fn everything_is_published_once_in_order() {
        let mut outbox = Outbox::default();
        assert!(outbox.next().is_none());
        outbox.add(ending(1), at(0));
        outbox.add(ending(2), at(0));
        assert_eq!(outbox.next(), outbox.next(), "until it is published");
        assert_eq!(publish(&mut outbox), [ending(1), ending(2)]);
        outbox.add(ending(3), at(1));
        assert_eq!(publish(&mut outbox), [ending(3)]);
    }

    #[test]
    fn what_redis_may_have_lost_is_published_again() {
        let mut outbox = Outbox::default();
        for n in 1..=4 {
            outbox.add(ending(n), at(u64::from(n) * 10));
        }
        assert_eq!(publish(&mut outbox).len(), 4);
        outbox.add(ending(5), at(50));
        outbox.republish_since(at(30));
        assert_eq!(publish(&mut outbox), [ending(3), ending(4), ending(5)]);
        outbox.republish_since(at(1000));
        assert!(outbox.next().is_none());
        outbox.republish_since(at(0));
        assert_eq!(publish(&mut outbox).len(), 5);
    }

    #[test]
    fn republishing_skips_nothing_that_is_still_unpublished() {
        let mut outbox = Outbox::default();
        outbox.add(ending(1), at(0));
        outbox.republish_since(at(100));
        assert_eq!(publish(&mut outbox), [ending(1)]);
    }

    #[test]
    fn it_is_bounded_and_the_oldest_go() {
        let mut outbox = Outbox::default();
        outbox.add(ending(1), at(0));
        let in_flight = outbox.next().unwrap().0;
        for n in 0..CAPACITY {
            outbox.add(ending(u8::try_from(n % 200).unwrap()), at(1));
        }
        assert_eq!(outbox.all.len(), CAPACITY);
        outbox.mark_published(in_flight);
        assert_eq!(outbox.next().unwrap().1, ending(0), "and none is taken for another");
        publish(&mut outbox);
        outbox.add(ending(9), at(2 * 3600));
        assert_eq!(outbox.all.len(), 1, "what was published an hour ago is dropped");
    }
}

#[cfg(test)]
mod hour;
