//! How many sign-ins one address may begin, how many rejected callbacks it may bring, and how many sign-ins are worked
//! on at once. Asked on the way in only: a request with a session never comes here.
//!
//! One address may be a whole company at nine o'clock, so what a real sign-in needs is cheap and what only an attacker
//! does is dear: a callback counts when its state or code turns out to be worth nothing, because that is what uses up
//! WeCom's 10 000 calls a minute for everybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config;
use crate::error::Failure;

/// What a rate is counted over, and how long a line in the log stands for the refusals after it.
const WINDOW: Duration = Duration::from_secs(60);
/// Most addresses remembered per rate. Beyond that, moka keeps those that come again and again.
const ADDRESSES: u64 = 50_000;
/// Bits of an IPv6 address that name one customer's network (RFC 6177).
const V6_PREFIX: u32 = 64;

/// The bounds of `[limits]` on signing in.
pub(crate) struct Throttle {
    born: Instant,
    starts: Option<Rate>,
    rejected: Option<Rate>,
    at_once: Arc<Semaphore>,
    said: AtomicU64,
}

impl Throttle {
    /// As configured.
    pub(crate) fn new(limits: &config::Limits) -> Throttle {
        Throttle {
            born: Instant::now(),
            starts: Rate::new(limits.sign_ins_per_minute),
            rejected: Rate::new(limits.bad_callbacks_per_minute),
            at_once: Arc::new(Semaphore::new(limits.sign_ins_at_once.min(Semaphore::MAX_PERMITS))),
            said: AtomicU64::new(0),
        }
    }

    /// A sign-in begins.
    ///
    /// # Errors
    /// [`Failure::TooManyRequests`] when this address has begun too many.
    pub(crate) fn start(&self, client: IpAddr, now: Instant) -> Result<(), Failure> {
        let Some(rate) = &self.starts else { return Ok(()) };
        let now = self.nanos(now);
        rate.take(client, now).map_err(|over| refuse(client, "limits.sign_ins_per_minute", over.first))
    }

    /// A callback has arrived. It does not count yet.
    ///
    /// # Errors
    /// [`Failure::TooManyRequests`] when this address has brought too many rejected ones.
    pub(crate) fn callback(&self, client: IpAddr, now: Instant) -> Result<(), Failure> {
        let Some(rate) = &self.rejected else { return Ok(()) };
        let now = self.nanos(now);
        rate.look(client, now).map_err(|over| refuse(client, "limits.bad_callbacks_per_minute", over.first))
    }

    /// The callback's state or code was worth nothing.
    pub(crate) fn was_rejected(&self, client: IpAddr, now: Instant) {
        if let Some(rate) = &self.rejected {
            // It has been let in already; the next one is refused.
            let _ = rate.take(client, self.nanos(now));
        }
    }

    /// A permit to work on a sign-in, held until it is dropped.
    ///
    /// # Errors
    /// [`Failure::TooManyRequests`] when all are taken.
    pub(crate) fn permit(&self, client: IpAddr, now: Instant) -> Result<OwnedSemaphorePermit, Failure> {
        self.at_once
            .clone()
            .try_acquire_owned()
            .map_err(|_| refuse(client, "limits.sign_ins_at_once", first(&self.said, self.nanos(now))))
    }

    /// Nanoseconds since this was made; the year 2500 is far enough.
    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

/// One line for each address and minute, however many are refused: the log must not grow with an attack.
fn refuse(client: IpAddr, key: &'static str, first: bool) -> Failure {
    let failure = Failure::TooManyRequests;
    if first {
        tracing::warn!(
            event = "throttled",
            label = failure.response().label,
            %client,
            key,
            "too many sign-ins: further ones of this minute are refused without a line"
        );
    }
    failure
}

/// Over the rate.
#[derive(Debug)]
struct Over {
    /// The first within the window: it is logged.
    first: bool,
}

/// So many per window and address: all at once or spread out, and as many again over each further window (GCRA, the
/// generic cell rate algorithm, which needs one number per address).
struct Rate {
    every: u64,
    seen: Cache<IpAddr, Arc<Address>>,
}

#[derive(Default)]
struct Address {
    /// When the last one would have been due at even intervals.
    due: AtomicU64,
    said: AtomicU64,
}

impl Rate {
    /// `None`: no bound.
    fn new(per_window: u32) -> Option<Rate> {
        let every = window().checked_div(per_window.into())?;
        // After a window without a request an address is as good as new.
        let seen = Cache::builder().max_capacity(ADDRESSES).time_to_idle(WINDOW).build();
        Some(Rate { every, seen })
    }

    /// Is there room for one more? Takes none of it.
    fn look(&self, client: IpAddr, now: u64) -> Result<(), Over> {
        let Some(address) = self.seen.get(&network(client)) else { return Ok(()) };
        self.next(address.due.load(Ordering::Relaxed), now)
            .map(drop)
            .ok_or_else(|| Over { first: first(&address.said, now) })
    }

    fn take(&self, client: IpAddr, now: u64) -> Result<(), Over> {
        let address = self.seen.get_with(network(client), Arc::default);
        address
            .due
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| self.next(due, now))
            .map(drop)
            .map_err(|_| Over { first: first(&address.said, now) })
    }

    fn next(&self, due: u64, now: u64) -> Option<u64> {
        let next = due.max(now).saturating_add(self.every);
        (next <= now.saturating_add(window())).then_some(next)
    }
}

fn window() -> u64 {
    u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX)
}

/// Has nothing been said for a window? Says it now.
fn first(said: &AtomicU64, now: u64) -> bool {
    // 0 is never.
    let next = |last: u64| (last == 0 || now >= last.saturating_add(window())).then_some(now.max(1));
    said.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

/// What counts as one address: IPv6 customers have whole networks to choose from. Clients that cannot be told
/// (`decide::address::UNKNOWN`) are one address together, and nobody else's: not that of `::1`, which is in the same network.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (u128::BITS - V6_PREFIX))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn passes(rate: &Rate, client: &str, now: u64, tries: usize) -> usize {
        (0..tries).filter(|_| rate.take(ip(client), now).is_ok()).count()
    }

    #[test]
    fn r17_as_many_at_once_and_again_over_the_next_minute() {
        let rate = Rate::new(60).unwrap();
        assert_eq!(passes(&rate, "10.0.0.1", 5 * S, 100), 60);
        assert_eq!(passes(&rate, "10.0.0.1", 5 * S + S / 2, 100), 0);
        assert_eq!(passes(&rate, "10.0.0.1", 15 * S, 100), 10);
        assert_eq!(passes(&rate, "10.0.0.1", 600 * S, 100), 60);
        assert_eq!(passes(&rate, "10.0.0.2", 5 * S, 100), 60, "another address has a measure of its own");
        // Evenly, for ever.
        assert!((0..1000).all(|i| passes(&rate, "10.0.0.3", i * S, 1) == 1));
    }

    #[test]
    fn r17_looking_takes_nothing() {
        let rate = Rate::new(2).unwrap();
        assert!((0..10).all(|_| rate.look(ip("10.0.0.1"), S).is_ok()));
        assert_eq!(passes(&rate, "10.0.0.1", S, 5), 2);
        assert!(rate.look(ip("10.0.0.1"), S).is_err());
        assert!(rate.look(ip("10.0.0.1"), 40 * S).is_ok());
    }

    #[test]
    fn r17_an_ipv6_network_is_one_address() {
        let rate = Rate::new(2).unwrap();
        assert_eq!(passes(&rate, "2001:db8:0:1::1", S, 1), 1);
        assert_eq!(passes(&rate, "2001:db8:0:1:ffff::2", S, 5), 1);
        assert_eq!(passes(&rate, "2001:db8:0:2::1", S, 5), 2);
        assert_eq!(network(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
    }

    #[test]
    fn r17_one_line_per_minute_and_address() {
        let rate = Rate::new(1).unwrap();
        let line = |client, now| rate.take(ip(client), now).err().is_some_and(|over| over.first);
        assert_eq!(passes(&rate, "10.0.0.1", S, 1), 1);
        assert_eq!(passes(&rate, "10.0.0.2", S, 1), 1);
        assert!(line("10.0.0.1", 2 * S));
        assert!((0..100).all(|_| !line("10.0.0.1", 3 * S)));
        assert!(line("10.0.0.2", 3 * S));
        assert_eq!(passes(&rate, "10.0.0.1", 62 * S, 1), 1);
        assert!(line("10.0.0.1", 63 * S));
    }

    #[test]
    fn r17_zero_is_no_bound() {
        assert!(Rate::new(0).is_none());
    }

    #[test]
    fn r17_a_flood_of_addresses_takes_bounded_room_and_hides_nobody() {
        let rate = Rate::new(3).unwrap();
        assert_eq!(passes(&rate, "10.0.0.1", S, 10), 3);
        for i in 0..200_000_u32 {
            let _ = rate.take(IpAddr::V4((0x0b00_0000 + i).into()), S);
            if i % 1000 == 0 {
                assert!(rate.take(ip("10.0.0.1"), S).is_err(), "forgotten after {i} others");
            }
        }
        rate.seen.run_pending_tasks();
        assert!(rate.seen.entry_count() <= ADDRESSES, "{}", rate.seen.entry_count());
    }
}
