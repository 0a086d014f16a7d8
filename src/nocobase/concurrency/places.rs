//! The slots of one node: how many are taken. One atomic word, so that all of them can be released at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// One more generation; below it is the count.
const NEXT: u64 = 1 << 32;

/// Slots that are released at once belong to one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// How many slots are taken, and in the upper half their generation.
#[derive(Debug, Default)]
pub(super) struct Places(AtomicU64);

impl Places {
    pub(super) fn taken(&self) -> usize {
        count(self.0.load(Ordering::Relaxed))
    }

    /// Takes one, if fewer than `limit` are taken.
    pub(super) fn take(&self, limit: usize) -> Option<Generation> {
        let one_more = |word| (count(word) < limit).then_some(word + 1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok().map(generation)
    }

    /// Takes one, whatever the limit is.
    pub(super) fn take_more(&self) -> Generation {
        generation(self.0.fetch_add(1, Ordering::SeqCst))
    }

    /// Releases one of this generation; one of an earlier generation is free already.
    pub(super) fn give_back(&self, place: Generation) {
        let one_less = |word| (generation(word) == place && count(word) > 0).then(|| word - 1);
        // An error means that there is nothing to release.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
    }

    /// Releases all of them; those taken from now on belong to another generation.
    pub(super) fn free_all(&self) {
        let next = |word: u64| Some((word | (NEXT - 1)).wrapping_add(1));
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    /// Is a slot of this generation still taken?
    pub(super) fn is_current(&self, place: Generation) -> bool {
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
        let places = Places::default();
        let (one, two) = (places.take(2).unwrap(), places.take(2).unwrap());
        assert_eq!((places.take(2), places.taken()), (None, 2));
        let more = places.take_more();
        assert_eq!((places.take(3), places.taken()), (None, 3));
        for place in [one, two, more, one] {
            places.give_back(place);
        }
        assert_eq!(places.taken(), 0, "and never fewer");
    }

    #[test]
    fn places_that_were_made_free_are_not_given_back_again() {
        let places = Places(AtomicU64::new(u64::MAX - 4));
        let before = places.take_more();
        places.free_all();
        assert_eq!((places.taken(), places.is_current(before)), (0, false));
        let after = places.take(1).unwrap();
        places.give_back(before);
        assert_eq!((places.taken(), places.is_current(after)), (1, true));
        places.give_back(after);
        assert_eq!(places.taken(), 0);
    }
}
