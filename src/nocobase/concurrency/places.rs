//! The slots of one node: how many are taken. One atomic word, so that all of them can be released at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Of this many slots one is kept for signed-in users, unless there are fewer than [`SHARED`].
const KEPT_ONE_IN: usize = 16;
const SHARED: usize = 8;
/// One more generation; below it is the count.
const NEXT: u64 = 1 << 32;

/// Of this many slots, those that are kept for signed-in users.
fn kept(limit: usize) -> usize {
    if limit < SHARED { 0 } else { limit.div_ceil(KEPT_ONE_IN) }
}

/// Of this many slots, those that newcomers may have.
pub(super) fn for_newcomers(limit: usize) -> usize {
    limit.saturating_sub(kept(limit))
}

/// Slots that are released at once belong to one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation(u64);

/// A slot that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    generation: Generation,
    /// It is one of those for signed-in users.
    pub(super) is_kept: bool,
}

/// All slots. Those of newcomers, who wait for responses that take long, become free in bursts, or not at all while the limit
/// shrinks: some are kept for signed-in users.
#[derive(Debug, Default)]
pub(super) struct Places {
    all: Slots,
    kept: Slots,
}

impl Places {
    pub(super) fn taken(&self) -> usize {
        self.all.taken() + self.kept.taken()
    }

    /// Takes one, if there is one within `limit` for such a user.
    pub(super) fn take(&self, limit: usize, is_signed_in: bool) -> Option<Place> {
        if is_signed_in && let Some(generation) = self.kept.take(kept(limit)) {
            return Some(Place { generation, is_kept: true });
        }
        let generation = self.all.take(for_newcomers(limit))?;
        Some(Place { generation, is_kept: false })
    }

    /// Takes one, whatever the limit is.
    pub(super) fn take_more(&self) -> Place {
        Place { generation: self.all.take_more(), is_kept: false }
    }

    /// Releases one; if it was released with all of them, it is free already.
    pub(super) fn give_back(&self, place: Place) {
        self.slots_of(place).give_back(place.generation);
    }

    /// Releases all of them.
    pub(super) fn free_all(&self) {
        self.all.free_all();
        self.kept.free_all();
    }

    /// Is it still taken?
    pub(super) fn is_current(&self, place: Place) -> bool {
        self.slots_of(place).is_current(place.generation)
    }

    fn slots_of(&self, place: Place) -> &Slots {
        if place.is_kept { &self.kept } else { &self.all }
    }
}

/// How many slots are taken, and in the upper half their generation.
#[derive(Debug, Default)]
struct Slots(AtomicU64);

impl Slots {
    fn taken(&self) -> usize {
        count(self.0.load(Ordering::Relaxed))
    }

    /// Takes one, if fewer than `limit` are taken.
    fn take(&self, limit: usize) -> Option<Generation> {
        let one_more = |word| (count(word) < limit).then_some(word + 1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok().map(generation)
    }

    /// Takes one, whatever the limit is.
    fn take_more(&self) -> Generation {
        generation(self.0.fetch_add(1, Ordering::SeqCst))
    }

    /// Releases one of this generation; one of an earlier generation is free already.
    fn give_back(&self, place: Generation) {
        let one_less = |word| (generation(word) == place && count(word) > 0).then(|| word - 1);
        // An error means that there is nothing to release.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
    }

    /// Releases all of them; those taken from now on belong to another generation.
    fn free_all(&self) {
        let next = |word: u64| Some((word | (NEXT - 1)).wrapping_add(1));
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    /// Is a slot of this generation still taken?
    fn is_current(&self, place: Generation) -> bool {
        generation(self.0.load(Ordering::Relaxed)) == place
    }
}

fn count(word: u64) -> usize {
    usize::try_from(word & (NEXT - 1)).unwrap_or(usize::MAX)
}

fn generation(word: u64) -> Generation {
    Generation(word & !(NEXT - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r34_places_are_counted_and_given_back() {
        let slots = Slots::default();
        let (one, two) = (slots.take(2).unwrap(), slots.take(2).unwrap());
        assert_eq!((slots.take(2), slots.taken()), (None, 2));
        let more = slots.take_more();
        assert_eq!((slots.take(3), slots.taken()), (None, 3));
        for place in [one, two, more, one] {
            slots.give_back(place);
        }
        assert_eq!(slots.taken(), 0, "and never fewer");
    }

    #[test]
    fn places_that_were_made_free_are_not_given_back_again() {
        let slots = Slots(AtomicU64::new(u64::MAX - 4));
        let before = slots.take_more();
        slots.free_all();
        assert_eq!((slots.taken(), slots.is_current(before)), (0, false));
        let after = slots.take(1).unwrap();
        slots.give_back(before);
        assert_eq!((slots.taken(), slots.is_current(after)), (1, true));
        slots.give_back(after);
        assert_eq!(slots.taken(), 0);
    }

    #[test]
    fn of_few_slots_none_is_kept_and_of_many_some_are() {
        for (limit, all) in [(1, 1), (7, 7), (8, 7), (16, 15), (17, 15), (50, 46), (64, 60), (1024, 960)] {
            let places = Places::default();
            let newcomers = std::iter::from_fn(|| places.take(limit, false)).count();
            let signed_in = std::iter::from_fn(|| places.take(limit, true)).count();
            assert_eq!((newcomers, newcomers + signed_in), (all, limit), "{limit}");
        }
        let unlimited = Places::default();
        assert!(unlimited.take(usize::MAX, false).is_some() && unlimited.take(usize::MAX, true).is_some());
    }

    /// Also while there are more requests than the limit, because it has shrunk.
    #[test]
    fn a_place_is_kept_for_signed_in_users_whatever_others_have() {
        let places = Places::default();
        let others: Vec<_> = std::iter::from_fn(|| places.take(64, false)).collect();
        assert_eq!(places.take(32, false), None);
        let (one, two) = (places.take(32, true).unwrap(), places.take(32, true).unwrap());
        assert_eq!((places.take(32, true), places.taken()), (None, others.len() + 2));
        assert!(one.is_kept && places.is_current(one));
        places.give_back(one);
        assert!(places.take(32, true).is_some());
        places.free_all();
        assert_eq!((places.taken(), places.is_current(two), places.is_current(others[0])), (0, false, false));
        places.give_back(two);
        places.give_back(others[0]);
        assert_eq!(places.taken(), 0);
    }
}
