//! WeCom's events that have been processed.

use std::time::Duration;

use moka::sync::Cache;

/// WeCom repeats an event up to three times within seconds.
const REPEATED: Duration = Duration::from_secs(15 * 60);
/// Most events kept.
const CAPACITY: u64 = 10_000;

/// Events that have been processed, by entry and key.
#[derive(Clone)]
pub(super) struct SeenEvents(Cache<String, ()>);

impl SeenEvents {
    pub(super) fn new() -> SeenEvents {
        SeenEvents(Cache::builder().max_capacity(CAPACITY).time_to_live(REPEATED).build())
    }

    /// Is this the first arrival of the event? Of any number of concurrent arrivals exactly one is (R34).
    pub(super) fn is_first(&self, entry: &str, key: &str) -> bool {
        self.0.entry(format!("{entry}|{key}")).or_insert_with(|| ()).is_fresh()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::SeenEvents;

    /// With a check followed by a separate insertion, two threads were first after a few rounds on two cores.
    #[test]
    fn r34_of_arrivals_at_once_exactly_one_is_the_first() {
        const AT_ONCE: usize = 8;
        let (seen, start) = (SeenEvents::new(), Barrier::new(AT_ONCE));
        for round in 0..2_000 {
            let key = round.to_string();
            let arrive = || {
                start.wait();
                seen.is_first("main", &key)
            };
            let firsts = std::thread::scope(|threads| {
                let all: Vec<_> = (0..AT_ONCE).map(|_| threads.spawn(arrive)).collect();
                all.into_iter().map(|t| t.join().unwrap()).filter(|first| *first).count()
            });
            assert_eq!(firsts, 1, "round {round}");
        }
    }
}
