//! Limits on how many sign-ins one address may begin, on its rejected callbacks, and on sign-ins in progress at once. Applied
//! only to sign-ins: a request with a session never gets here.
//!
//! One address may be a whole company at nine o'clock, so what a real sign-in needs is cheap and what only an attacker does is
//! expensive: a callback counts if its state or code is rejected, because that is what uses up WeCom's 10 000 calls per minute
//! for everyone. Limits also hold for concurrent requests (R34): a callback is counted before it is processed, and no longer once
//! it is accepted; one address gets at most a share of the slots for sign-ins in progress.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config;
use crate::error::Failure;

mod gcra;
mod links;

pub(crate) use gcra::Charge;
use gcra::{ADDRESSES, Address, Over, WINDOW, first, nanos, next};
use links::Links;
pub(crate) use links::{ATTEMPTS as LINK_ATTEMPTS, LinkCharge, SPAN as LINK_SPAN, counted};

/// One address may take one in this many of the slots of `limits.sign_ins_at_once`.
const SHARE: usize = 4;
/// Redirects of one address to NocoBase's form per minute, for browsers without a counter cookie: new ones, and those that keep
/// no cookies. Beyond this they get the gate's page instead of the form, which costs a click.
const FORMS_PER_MINUTE: u32 = 60;
/// Prefix length that identifies one customer's IPv6 network (RFC 6177).
const V6_PREFIX: u32 = 64;

/// The limits of `[limits]` on signing in.
pub(crate) struct Throttle {
    born: Instant,
    starts: Option<Rate>,
    rejected: Option<Rate>,
    forms: Option<Rate>,
    links: Links,
    at_once: Arc<Semaphore>,
    shares: Arc<Shares>,
    logged_at: AtomicU64,
}

impl Throttle {
    /// As configured.
    pub(crate) fn new(limits: &config::Limits) -> Throttle {
        Throttle {
            born: Instant::now(),
            starts: Rate::new(limits.sign_ins_per_minute),
            rejected: Rate::new(limits.bad_callbacks_per_minute),
            forms: Rate::new(FORMS_PER_MINUTE),
            links: Links::new(),
            at_once: Arc::new(Semaphore::new(limits.sign_ins_at_once.min(Semaphore::MAX_PERMITS))),
            shares: Arc::new(Shares::new(limits.sign_ins_at_once)),
            logged_at: AtomicU64::new(0),
        }
    }

    /// A sign-in begins.
    ///
    /// # Errors
    /// [`Failure::TooManyRequests`] when this address has begun too many.
    pub(crate) fn start(&self, client: IpAddr, now: Instant) -> Result<(), Failure> {
        let Some(rate) = &self.starts else { return Ok(()) };
        let now = self.nanos(now);
        rate.take(client, now)
            .map(drop)
            .map_err(|over| refuse(client, "limits.sign_ins_per_minute", over.first))
    }

    /// May a browser without a counter cookie be redirected to NocoBase's form? NocoBase's page may redirect away from there, and
    /// without cookies that would never end.
    pub(crate) fn form(&self, client: IpAddr, now: Instant) -> bool {
        self.forms.as_ref().is_none_or(|rate| rate.take(client, self.nanos(now)).is_ok())
    }

    /// A callback has arrived. It counts until the charge is dropped, and for the whole minute if [`Charge::keep`] records that
    /// its state or code was rejected.
    ///
    /// # Errors
    /// [`Failure::TooManyRequests`] if this address has sent too many rejected callbacks, or would have if all those in progress
    /// were rejected.
    pub(crate) fn callback(&self, client: IpAddr, now: Instant) -> Result<Charge, Failure> {
        let Some(rate) = &self.rejected else { return Ok(Charge(None)) };
        rate.take(client, self.nanos(now))
            .map(|address| Charge(Some((address, rate.every))))
            .map_err(|over| refuse(client, "limits.bad_callbacks_per_minute", over.first))
    }

    /// A member tries to link this account by its password. It counts until the charge is dropped, and for good if
    /// [`LinkCharge::keep`] records that it was wrong.
    ///
    /// # Errors
    /// [`Failure::TooManyRequests`] when there were too many of this member or for this account, or another attempt is in progress.
    pub(crate) fn link(
        &self,
        client: IpAddr,
        member: &str,
        account: &str,
        now: Instant,
    ) -> Result<LinkCharge, Failure> {
        let taken = self.links.take(member, account, self.nanos(now));
        taken.map_err(|over| refuse(client, "nocobase.link_by_password", over.first))
    }

    /// The nodes together refuse such an attempt.
    pub(crate) fn refuse_link(&self, client: IpAddr, now: Instant) -> Failure {
        refuse(client, "nocobase.link_by_password", first(&self.logged_at, self.nanos(now)))
    }

    /// A slot in which to process a sign-in, held until it is dropped.
    ///
    /// # Errors
    /// [`Failure::TooManyRequests`] if all are taken, or this address has its share.
    pub(crate) fn slot(&self, client: IpAddr, now: Instant) -> Result<Slot, Failure> {
        let slot = self.shares.take(client).and_then(|share| {
            Some(Slot { _permit: self.at_once.clone().try_acquire_owned().ok()?, _share: share })
        });
        slot.ok_or_else(|| refuse(client, "limits.sign_ins_at_once", first(&self.logged_at, self.nanos(now))))
    }

    /// Nanoseconds since the creation of this value, up to the year 2500.
    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

/// Taken by a sign-in in progress.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

/// How many slots each address has taken. There are at most as many addresses as slots.
struct Shares {
    most: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl Shares {
    fn new(slots: usize) -> Shares {
        Shares { most: slots.div_ceil(SHARE), taken: Mutex::default() }
    }

    fn take(self: &Arc<Self>, client: IpAddr) -> Option<Share> {
        let of = network(client);
        let mut taken = self.taken.lock();
        let count = taken.entry(of).or_default();
        (*count < self.most).then(|| {
            *count += 1;
            Share { shares: self.clone(), of }
        })
    }
}

struct Share {
    shares: Arc<Shares>,
    of: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock();
        if let Some(count) = taken.get_mut(&self.of) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

/// One line per address and minute, however many are refused: the log must not grow with an attack.
fn refuse(client: IpAddr, key: &'static str, first: bool) -> Failure {
    let failure = Failure::TooManyRequests;
    if first {
        tracing::warn!(
            event = "throttled",
            label = failure.response().label,
            %client,
            key,
            "too many sign-ins: further ones are refused, without another line in this minute"
        );
    }
    failure
}

/// A number of requests per period and address, at once or spread out, and the same number again in each further period (GCRA,
/// the generic cell rate algorithm, which needs one number per address).
struct Rate {
    every: u64,
    seen: Cache<IpAddr, Arc<Address>>,
}

impl Rate {
    /// `None`: no limit.
    fn new(per_window: u32) -> Option<Rate> {
        let every = window().checked_div(per_window.into())?;
        // After a period without a request, an address counts as new.
        let seen = Cache::builder().max_capacity(ADDRESSES).time_to_idle(WINDOW).build();
        Some(Rate { every, seen })
    }

    fn take(&self, client: IpAddr, now: u64) -> Result<Arc<Address>, Over> {
        let address = self.seen.get_with(network(client), Arc::default);
        let step = (self.every, window());
        let taken =
            address.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| next(due, now, step));
        match taken {
            Ok(_) => Ok(address),
            Err(_) => Err(Over { first: first(&address.logged_at, now) }),
        }
    }
}

fn window() -> u64 {
    nanos(WINDOW)
}

/// What counts as one address: IPv6 customers can choose from whole networks. All clients with unknown addresses
/// (`decide::address::UNKNOWN`) count as one address, separate from `::1`, which is in the same network.
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
mod minutes;
#[cfg(test)]
mod tests;
