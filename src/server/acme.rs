//! Orders the certificate of `listen.acme` if there is none, and renews it in time.

use std::time::{Duration, Instant};

use super::certificates::Certificates;
use crate::acme::{self, Obtained};
use crate::certificate::Leaf;
use crate::config::Acme;
use crate::proxy::{CurrentGate, Gate};

/// Interval at which it checks whether an order is due.
const LOOK: Duration = Duration::from_secs(1);
/// Interval at which it checks whether the node with the lease has a certificate.
const OTHER_ORDERS: Duration = Duration::from_secs(2);
/// Interval at which the authority is asked when it suggests a renewal.
const ASK_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// Timeout of that request.
const ASK_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of warnings while orders fail.
const WARN_EVERY: Duration = Duration::from_secs(3600);

/// Consecutive failed orders.
#[derive(Default)]
struct Failures {
    count: usize,
    next: Option<Instant>,
    /// The missing certificate has been logged.
    announced: bool,
    warned: Option<Instant>,
}

/// The renewal that the authority suggests for the certificate in use.
#[derive(Default)]
struct Suggestion {
    asked: Option<Instant>,
    /// End of the certificate that the suggestion is for, in seconds since 1970.
    not_after: i64,
    renew_at: Option<i64>,
}

impl Suggestion {
    /// Whether this certificate is due for renewal. The authority is asked at the start, and then every six hours, so that its
    /// suggestions never lead to more orders than that.
    async fn is_due(&mut self, acme: &Acme, leaf: &Leaf, jitter: f64) -> bool {
        if self.must_ask() {
            self.asked = Some(Instant::now());
            self.not_after = leaf.not_after;
            self.renew_at =
                tokio::time::timeout(ASK_TIMEOUT, acme::suggested(acme, jitter)).await.ok().flatten();
        }
        self.not_after == leaf.not_after && self.renew_at.is_some_and(|at| acme::now() >= at)
    }

    fn must_ask(&self) -> bool {
        self.asked.is_none_or(|at| at.elapsed() >= ASK_INTERVAL)
    }
}

/// Runs for ever. After a reload the new configuration is used, and what failed before is retried at once.
pub(super) async fn renew(current: &CurrentGate, certificates: &Certificates) {
    let jitter = jitter();
    let mut failures = Failures::default();
    let mut suggestion = Suggestion::default();
    let mut before: Option<Acme> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let gate = current.now();
        let Some(acme) = &gate.config.listen.acme else { continue };
        if before.as_ref() != Some(acme) {
            before = Some(acme.clone());
            failures = Failures::default();
            suggestion = Suggestion::default();
            gate.acme.set_problem(None);
        }
        let leaf = certificates.ordered();
        let mut is_due = acme::is_due(leaf.as_ref(), &acme.domains, acme::now(), jitter);
        if let (false, Some(leaf)) = (is_due, &leaf) {
            if suggestion.must_ask() && take_newer(&gate, acme, certificates).await {
                continue;
            }
            is_due = suggestion.is_due(acme, leaf, jitter).await;
        }
        if !is_due {
            if failures.count > 0 || failures.announced {
                // Another process with the same folder has ordered it.
                failures = Failures::default();
                gate.acme.set_problem(None);
            }
            continue;
        }
        if failures.next.is_some_and(|next| Instant::now() < next) {
            continue;
        }
        if leaf.is_none() && !failures.announced {
            failures.announced = true;
            let why = "there is no certificate yet: it is being ordered, and a self-signed one is in use until then";
            gate.acme.set_problem(Some(why.into()));
            tracing::info!(event = "acme", domains = acme.domains.join(","), "{why}");
        }
        order(&gate, acme, certificates, &mut failures).await;
    }
}

/// True if another node had a newer certificate, which is in use now.
async fn take_newer(gate: &Gate, acme: &Acme, certificates: &Certificates) -> bool {
    let Some(shared) = gate.sessions.shared() else { return false };
    let taken = acme::take_newer(acme, shared).await.unwrap_or(false);
    if taken {
        certificates.reload(&gate.config.listen.pairs(), &gate.metrics.state);
    }
    taken
}

async fn order(gate: &Gate, acme: &Acme, certificates: &Certificates, failures: &mut Failures) {
    let domains = acme.domains.join(",");
    let shared = gate.sessions.shared().map(|shared| &**shared);
    // Other nodes can respond by HTTP for this one, but not in a TLS handshake.
    let turns = if shared.is_some() { 0 } else { failures.count };
    let proof = acme::Proof::choose(!gate.config.listen.http.is_empty(), turns);
    let pause = acme::pause(failures.count.saturating_add(1), jitter());
    let obtained = acme::obtain(acme, &gate.acme.challenges, proof, shared, pause).await;
    let (error, remedy) = match obtained {
        Ok(Obtained::Elsewhere) => {
            failures.next = Instant::now().checked_add(OTHER_ORDERS);
            return;
        }
        Ok(obtained) => {
            *failures = Failures::default();
            gate.acme.set_problem(None);
            match obtained {
                Obtained::Ordered => {
                    gate.metrics.acme_orders.ordered(true);
                    tracing::info!(event = "acme", domains, "a new certificate has come");
                }
                _ => tracing::info!(event = "acme", domains, "another node has ordered a new certificate"),
            }
            certificates.reload(&gate.config.listen.pairs(), &gate.metrics.state);
            return;
        }
        Err(error) => (error.to_string(), error.remedy()),
    };
    gate.metrics.acme_orders.ordered(false);
    failures.count = failures.count.saturating_add(1);
    failures.next = Instant::now().checked_add(pause);
    gate.acme.set_problem(Some(format!("{error}; {remedy}")));
    let seconds = pause.as_secs();
    if failures.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
        failures.warned = Some(Instant::now());
        tracing::warn!(
            event = "acme",
            domains,
            error,
            remedy,
            challenge = proof.name(),
            seconds,
            "no new certificate: the one in use stays, and the gate tries again"
        );
    } else {
        tracing::debug!(
            event = "acme",
            domains,
            error,
            remedy,
            challenge = proof.name(),
            seconds,
            "no new certificate yet"
        );
    }
}

/// A random number from 0 to 1.
fn jitter() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_u128() as u16) / f64::from(u16::MAX)
}
