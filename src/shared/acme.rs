//! The certificate that one node orders for all (`listen.acme`), and the challenges for which the authority may connect to any
//! node.

use std::time::Duration;

use redis::cmd;
use serde::{Deserialize, Serialize};

use super::node::Shared;
use super::payload::fingerprint;
use crate::metrics::RedisOperation::Acme as OPERATION;
use crate::session::Purpose;

/// Maximum duration of an order.
const CHALLENGE_LIFE: Duration = Duration::from_secs(15 * 60);
/// Bytes of a certificate in one sealed text, which must be short.
const PART: usize = 2500;
/// More parts than this are invalid.
const MOST_PARTS: usize = 32;

/// Identifies an order: the same authority and names are the same on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AcmeOrder([u8; 32]);

impl AcmeOrder {
    /// The order of these names, at this authority's directory.
    pub(crate) fn of(directory: &str, domains: &[String]) -> AcmeOrder {
        let parts: Vec<&str> = std::iter::once(directory).chain(domains.iter().map(String::as_str)).collect();
        AcmeOrder(fingerprint(&parts))
    }
}

/// Which node orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderTurn {
    /// This node has the lease.
    Ours,
    /// Another node has it, or has just failed.
    Other,
    /// Unknown, because Redis is unreachable: this node orders.
    Alone,
}

/// A part of a certificate. A change of the fields needs a new label of [`Purpose::AcmeCertificate`].
#[derive(Serialize, Deserialize)]
struct Part {
    whole: [u8; 32],
    index: u16,
    count: u16,
    text: String,
}

impl Shared {
    /// Takes the lease for orders, for at most this time.
    pub(crate) async fn take_order_turn(&self, order: &AcmeOrder, within: Duration) -> OrderTurn {
        let mut set = cmd("SET");
        set.arg(self.names.acme_turn(&order.0)).arg("1").arg("NX").arg("PX").arg(millis(within));
        match self.link.ask::<Option<String>>(OPERATION, &set).await {
            None => OrderTurn::Alone,
            Some(Some(_)) => OrderTurn::Ours,
            Some(None) => OrderTurn::Other,
        }
    }

    /// Releases this node's lease; after a failure no node gets it for this `pause`.
    pub(crate) async fn end_order_turn(&self, order: &AcmeOrder, pause: Option<Duration>) {
        let name = self.names.acme_turn(&order.0);
        let mut end = cmd(if pause.is_some() { "SET" } else { "DEL" });
        end.arg(name);
        if let Some(pause) = pause {
            end.arg("1").arg("PX").arg(millis(pause));
        }
        self.link.ask::<()>(OPERATION, &end).await;
    }

    /// Lets every node respond to this challenge.
    pub(crate) async fn publish_challenge(&self, token: &str, key_authorization: &str) {
        let name = self.names.acme_challenge(&fingerprint(&[token]));
        let value = key_authorization.to_owned();
        let Ok(sealed) = self.keyring.seal(Purpose::AcmeChallenge, name.as_bytes(), &value) else { return };
        let mut set = cmd("SET");
        set.arg(&name).arg(sealed).arg("PX").arg(millis(CHALLENGE_LIFE));
        self.link.ask::<()>(OPERATION, &set).await;
    }

    /// The challenge has ended.
    pub(crate) async fn end_challenge(&self, token: &str) {
        let mut del = cmd("DEL");
        del.arg(self.names.acme_challenge(&fingerprint(&[token])));
        self.link.ask::<()>(OPERATION, &del).await;
    }

    /// The key authorization of a challenge that another node has published.
    pub(crate) async fn challenge(&self, token: &str) -> Option<String> {
        let name = self.names.acme_challenge(&fingerprint(&[token]));
        let mut get = cmd("GET");
        get.arg(&name);
        let text = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await??;
        let opened = self.keyring.open::<String>(Purpose::AcmeChallenge, name.as_bytes(), &text);
        if opened.is_none() {
            self.ignored(OPERATION, 1);
        }
        opened
    }

    /// Shares the certificate with its key (PEM) with the other nodes, for this time.
    pub(crate) async fn publish_certificate(&self, order: &AcmeOrder, pem: &str, life: Duration) {
        let name = self.names.acme_certificate(&order.0);
        let sealed: Option<Vec<String>> = parts(pem)
            .iter()
            .map(|part| self.keyring.seal(Purpose::AcmeCertificate, name.as_bytes(), part).ok())
            .collect();
        let Some(sealed) = sealed else { return };
        let mut set = cmd("SET");
        set.arg(&name).arg(sealed.join(".")).arg("PX").arg(millis(life));
        self.link.ask::<()>(OPERATION, &set).await;
    }

    /// The certificate with its key (PEM) that another node has ordered.
    pub(crate) async fn certificate(&self, order: &AcmeOrder) -> Option<String> {
        let name = self.names.acme_certificate(&order.0);
        let mut get = cmd("GET");
        get.arg(&name);
        let text = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await??;
        let opened: Option<Vec<Part>> = text
            .split(|byte| *byte == b'.')
            .take(MOST_PARTS + 1)
            .map(|part| self.keyring.open(Purpose::AcmeCertificate, name.as_bytes(), part))
            .collect();
        let whole = opened.and_then(|parts| whole(&parts));
        if whole.is_none() {
            self.ignored(OPERATION, 1);
        }
        whole
    }
}

fn parts(pem: &str) -> Vec<Part> {
    // PEM is ASCII: anything else is invalid.
    let pieces: Vec<String> =
        pem.as_bytes().chunks(PART).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
    let count = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
    let all = (0..).zip(pieces);
    all.map(|(index, text)| Part { whole: fingerprint(&[pem]), index, count, text }).collect()
}

/// The whole, from all its parts in order; `None` otherwise.
fn whole(parts: &[Part]) -> Option<String> {
    let first = parts.first()?;
    let in_order = (0..).zip(parts).all(|(index, part)| part.index == index && part.whole == first.whole);
    let text: String = parts.iter().map(|part| part.text.as_str()).collect();
    let complete = usize::from(first.count) == parts.len() && parts.len() <= MOST_PARTS;
    (in_order && complete && fingerprint(&[&text]) == first.whole).then_some(text)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_put_together_only_from_all_its_parts() {
        let pem = "0123456789".repeat(700);
        let all = || parts(&pem);
        assert_eq!(all().len(), 3);
        assert_eq!(whole(&all()).as_deref(), Some(pem.as_str()));
        let mut swapped = all();
        swapped.swap(0, 1);
        let mut mixed = all();
        mixed[1] = parts(&"9876543210".repeat(700)).remove(1);
        let (mut short, mut long) = (all(), all());
        short.pop();
        long.push(all().remove(2));
        for (what, parts) in
            [("swapped", swapped), ("mixed", mixed), ("short", short), ("long", long), ("none", vec![])]
        {
            assert_eq!(whole(&parts), None, "{what}");
        }
    }

    #[test]
    fn orders_differ_by_authority_and_names() {
        let of = |directory: &str, names: &[&str]| {
            AcmeOrder::of(directory, &names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        };
        let one = of("https://ca/dir", &["a.test", "b.test"]);
        assert_eq!(one, of("https://ca/dir", &["a.test", "b.test"]));
        for other in [
            of("https://ca/dir", &["a.test"]),
            of("https://other/dir", &["a.test", "b.test"]),
            of("https://ca/dir", &["a.testb.test"]),
        ] {
            assert_ne!(one, other);
        }
    }
}
