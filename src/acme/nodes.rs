//! One order for all nodes: the one whose turn it is orders, and the others take the certificate over.

use std::sync::Arc;
use std::time::Duration;

use super::challenges::Challenges;
use super::clock::now;
use super::error::AcmeError;
use super::order::{self, Proof};
use super::{files, schedule};
use crate::config::Acme;
use crate::shared::{AcmeOrder, OrderTurn, Shared};

/// Longest time for one order.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How long it keeps other nodes from ordering; most take a few seconds. A node that ends meanwhile gives nothing back.
const TURN: Duration = Duration::from_secs(2 * 60);
/// How long a failure does so at most: one node, or what was wrong, may have been restarted or mended.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Where a certificate has come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obtained {
    /// From the authority.
    Ordered,
    /// From another node, which has ordered it.
    TakenOver,
    /// From nowhere yet: another node orders it, or has just failed.
    Elsewhere,
}

/// Gets a certificate into its file. `pause`: how long this node will not order after a failure; the
/// others do not either, for a quarter of an hour at most.
///
/// # Errors
/// Why there is none; the file is as it was.
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
    // The node whose turn it was may have stored its certificate between the two.
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

/// True if another node has shared a certificate for all names that need not be renewed yet: then it is in its file.
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

/// Gives the certificate in the file to the other nodes, as long as it is valid.
async fn share(acme: &Acme, shared: &Shared, order: &AcmeOrder) -> Result<(), AcmeError> {
    let file = acme.files().cert;
    let Some(pem) = files::read(&file)?.and_then(|pem| String::from_utf8(pem).ok()) else { return Ok(()) };
    let leaf = order::check(&file, &acme.domains, now())?;
    let life = Duration::from_secs(leaf.not_after.saturating_sub(now()).max(0).unsigned_abs());
    shared.publish_certificate(order, &pem, life).await;
    Ok(())
}
