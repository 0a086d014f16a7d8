//! One order for all nodes: the node with the lease orders, and the others take the certificate over.

use std::sync::Arc;
use std::time::Duration;

use super::challenges::Challenges;
use super::clock::now;
use super::error::AcmeError;
use super::order::{self, Proof};
use super::{files, schedule};
use crate::config::Acme;
use crate::shared::{AcmeOrder, OrderTurn, Shared};

/// Timeout of an order.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How long the lease excludes other nodes; most orders take a few seconds. A node that stops meanwhile does not release it.
const TURN: Duration = Duration::from_secs(2 * 60);
/// Maximum time for which a failure excludes other nodes: a node may have been restarted, or the cause removed.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Origin of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obtained {
    /// Issued by the authority to this node.
    Ordered,
    /// Taken over from the node that ordered it.
    TakenOver,
    /// Not available yet: another node is ordering it, or has just failed.
    Elsewhere,
}

/// Gets a certificate into its file. `pause`: how long this node does not order after a failure; the others do not either, but
/// for at most a quarter of an hour.
///
/// # Errors
/// The reason why there is none; the file is unchanged.
pub(crate) async fn obtain(
    acme: &Acme,
    challenges: &Arc<Challenges>,
    proof: Proof,
    shared: Option<&Shared>,
    pause: Duration,
) -> Result<Obtained, AcmeError> {
    let Some(shared) = shared else {
        return bounded(acme, challenges, proof, None).await.map(|()| Obtained::Ordered);
    };
    let order = AcmeOrder::of(acme.directory.as_str(), &acme.domains);
    if take_over(acme, shared, &order).await? {
        return Ok(Obtained::TakenOver);
    }
    let turn = shared.take_order_turn(&order, TURN).await;
    if turn == OrderTurn::Other {
        return Ok(Obtained::Elsewhere);
    }
    // The node with the previous lease may have stored its certificate meanwhile.
    if turn == OrderTurn::Ours && take_over(acme, shared, &order).await? {
        shared.end_order_turn(&order, None).await;
        return Ok(Obtained::TakenOver);
    }
    let ordered = bounded(acme, challenges, proof, Some(shared)).await;
    if ordered.is_ok() {
        share(acme, shared, &order).await?;
    }
    shared.end_order_turn(&order, ordered.is_err().then_some(pause.min(LONGEST_PAUSE))).await;
    ordered.map(|()| Obtained::Ordered)
}

/// Takes over a newer certificate that another node has ordered before the time, as its authority suggested; true if there was one.
///
/// # Errors
/// It cannot be written.
pub(crate) async fn take_newer(acme: &Acme, shared: &Shared) -> Result<bool, AcmeError> {
    take_over(acme, shared, &AcmeOrder::of(acme.directory.as_str(), &acme.domains)).await
}

async fn bounded(
    acme: &Acme,
    challenges: &Arc<Challenges>,
    proof: Proof,
    shared: Option<&Shared>,
) -> Result<(), AcmeError> {
    match tokio::time::timeout(PATIENCE, order::order(acme, challenges, proof, shared)).await {
        Ok(ordered) => ordered,
        Err(_) => {
            Err(AcmeError::Authority { step: "the order", why: "no certificate within ten minutes".into() })
        }
    }
}

/// True if another node has shared a certificate for all names that is not due for renewal: it is in the file then.
async fn take_over(acme: &Acme, shared: &Shared, order: &AcmeOrder) -> Result<bool, AcmeError> {
    let Some(pem) = shared.certificate(order).await else { return Ok(false) };
    files::make_folder(&acme.folder())?;
    let file = acme.files().cert;
    let own = order::check(&file, &acme.domains, now()).ok();
    let taken = files::write(&file, pem.as_bytes(), |new| {
        let leaf = order::check(new, &acme.domains, now())?;
        let newer = own.as_ref().is_none_or(|own| leaf.not_after > own.not_after);
        match newer && !schedule::is_due(Some(&leaf), &acme.domains, now(), 0.0) {
            true => Ok(()),
            false => Err(AcmeError::Unusable("is to be renewed".into())),
        }
    });
    match taken {
        Ok(()) => Ok(true),
        Err(AcmeError::Unusable(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Shares the certificate in the file with the other nodes, as long as it is valid.
async fn share(acme: &Acme, shared: &Shared, order: &AcmeOrder) -> Result<(), AcmeError> {
    let file = acme.files().cert;
    let Some(pem) = files::read(&file)?.and_then(|pem| String::from_utf8(pem).ok()) else { return Ok(()) };
    let leaf = order::check(&file, &acme.domains, now())?;
    let life = Duration::from_secs(leaf.not_after.saturating_sub(now()).max(0).unsigned_abs());
    shared.publish_certificate(order, &pem, life).await;
    Ok(())
}
