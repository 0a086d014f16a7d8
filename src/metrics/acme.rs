//! Orders of certificates by ACME.

use prometheus::{IntCounterVec, Result};

use super::registrar::Registrar;

/// Counter of these orders.
pub struct AcmeOrders(IntCounterVec);

impl AcmeOrders {
    pub(super) fn new(registrar: &mut Registrar) -> Result<AcmeOrders> {
        let orders = registrar.counters(
            "acme_orders_total",
            "Certificates that the gate has ordered itself (listen.acme), by result.",
            &["result"],
        )?;
        for result in ["ok", "failed"] {
            let _ = orders.with_label_values(&[result]);
        }
        Ok(AcmeOrders(orders))
    }

    /// An order has ended.
    pub fn ordered(&self, ok: bool) {
        self.0.with_label_values(&[if ok { "ok" } else { "failed" }]).inc();
    }
}
