//! TLS session tickets: a returning client resumes its session without a full handshake, on every node, because the ticket keys
//! are derived from `session.keys` and follow them at a reload. The first key creates tickets, all open them: an old key still
//! opens the tickets that it created, and a removed one opens none. The keys also change with time, so that none is in use for
//! more than twelve hours.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::server::ProducesTickets;
use secrecy::ExposeSecret as _;

use crate::config::Config;

/// How long one key creates tickets, and how long a client may use one.
const PERIOD: Duration = Duration::from_secs(6 * 3600);
const PERIOD_BYTES: usize = 8;

/// Creates and opens tickets.
pub(super) struct Tickets {
    secrets: ArcSwap<Secrets>,
    random: SystemRandom,
}

/// The keys of tickets.
struct Secrets {
    /// The first creates tickets, all open them.
    keys: Vec<Prk>,
    /// The installation, so that copied keys do not open another installation's tickets.
    origin: Vec<u8>,
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").field("keys", &self.secrets.load().keys.len()).finish_non_exhaustive()
    }
}

impl Secrets {
    fn of(config: &Config) -> Secrets {
        let salt = Salt::new(HKDF_SHA256, b"wecom-gate TLS tickets");
        let keys = config.session.keys.iter().map(|key| salt.extract(key.expose_secret())).collect();
        Secrets { keys, origin: config.origin.url().into_bytes() }
    }

    fn key(&self, of: &Prk, period: [u8; PERIOD_BYTES]) -> Option<LessSafeKey> {
        let info = [&period[..], &self.origin];
        Some(LessSafeKey::new(UnboundKey::from(of.expand(&info, &AES_256_GCM).ok()?)))
    }
}

impl Tickets {
    /// With the keys of this configuration.
    pub(super) fn new(config: &Config) -> Tickets {
        Tickets { secrets: ArcSwap::from_pointee(Secrets::of(config)), random: SystemRandom::new() }
    }

    /// Uses the keys of this configuration from now on.
    pub(super) fn follow(&self, config: &Config) {
        self.secrets.store(Arc::new(Secrets::of(config)));
    }

    fn seal(&self, plain: &[u8], period: u64) -> Option<Vec<u8>> {
        let period = period.to_be_bytes();
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut body = plain.to_vec();
        let secrets = self.secrets.load();
        let key = secrets.key(secrets.keys.first()?, period)?;
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, Aad::from(period), &mut body).ok()?;
        Some([&period[..], &nonce, &body].concat())
    }

    /// `now`: the period; tickets of the previous one and, since clocks differ, of the next one are accepted too.
    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (period, rest) = ticket.split_first_chunk::<PERIOD_BYTES>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        if u64::from_be_bytes(*period).abs_diff(now) > 1 {
            return None;
        }
        let secrets = self.secrets.load();
        secrets.keys.iter().find_map(|key| {
            let mut body = body.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let plain =
                secrets.key(key, *period)?.open_in_place(nonce, Aad::from(*period), &mut body).ok()?;
            Some(plain.to_vec())
        })
    }
}

fn period() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() / PERIOD.as_secs()
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }
    fn lifetime(&self) -> u32 {
        u32::try_from(PERIOD.as_secs()).unwrap_or(u32::MAX)
    }
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, period())
    }
    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, period())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(keys: &[u8], origin: &str) -> Secrets {
        let salt = Salt::new(HKDF_SHA256, b"wecom-gate TLS tickets");
        let keys = keys.iter().map(|key| salt.extract(&[*key; 64])).collect();
        Secrets { keys, origin: origin.into() }
    }

    fn tickets(keys: &[u8], origin: &str) -> Tickets {
        Tickets { secrets: ArcSwap::from_pointee(secrets(keys, origin)), random: SystemRandom::new() }
    }

    #[test]
    fn r14_tickets_follow_the_keys() {
        let origin = "https://a.test";
        let gate = tickets(&[1], origin);
        let change = |keys: &[u8]| gate.secrets.store(Arc::new(secrets(keys, origin)));
        let old = gate.seal(b"state", 100).unwrap();
        change(&[2, 1]);
        assert!(gate.open(&old, 100).is_some(), "the key is on its way out");
        let new = gate.seal(b"state", 100).unwrap();
        assert!(tickets(&[2], origin).open(&new, 100).is_some(), "the first key makes them");
        change(&[2]);
        assert_eq!((gate.open(&old, 100), gate.open(&new, 100).is_some()), (None, true));
    }

    #[test]
    fn keys_change_every_six_hours() {
        let now = || UNIX_EPOCH.elapsed().unwrap().as_secs() / (6 * 3600);
        let before = now();
        assert!([before, before + 1].contains(&period()));
    }

    #[test]
    fn tickets_open_on_every_node_for_a_while_and_nowhere_else() {
        let (one, other) = (tickets(&[2], "https://a.test"), tickets(&[3, 2], "https://a.test"));
        let ticket = one.seal(b"state", 100).unwrap();
        for (now, opens) in [(98, false), (99, true), (100, true), (101, true), (102, false)] {
            assert_eq!(other.open(&ticket, now).is_some(), opens, "{now}");
        }
        assert_eq!(other.open(&ticket, 100).unwrap(), b"state");
        // Six hours each.
        assert_eq!((one.lifetime(), PERIOD.as_secs()), (6 * 3600, 6 * 3600));
        assert_eq!(tickets(&[3], "https://a.test").open(&ticket, 100), None);
        assert_eq!(tickets(&[2], "https://b.test").open(&ticket, 100), None);
        for i in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[i] ^= 1;
            assert_eq!(one.open(&changed, 100), None, "byte {i}");
            assert_eq!(one.open(&ticket[..i], 100), None, "cut at {i}");
        }
    }
}
