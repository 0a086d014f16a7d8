//! Requests whose body is still on its way to NocoBase. They hold no slot there (`nocobase::concurrency`) while it
//! arrives, but a slot of their own, of which one client must leave some to others: slow uploads take no capacity from others
//! (R34).

use std::sync::Arc;

use parking_lot::Mutex;

use crate::nocobase::Who;
use crate::proxy::shares::Ledger;

/// Uploads, as a part of the connections to NocoBase, and the fewest.
const PART: usize = 4;
const LEAST: usize = 8;

/// Slots for uploads.
pub(crate) struct Uploads(Arc<Mutex<Ledger>>);

impl Default for Uploads {
    /// Without a limit.
    fn default() -> Uploads {
        Uploads(Arc::new(Mutex::new(Ledger::new(usize::MAX))))
    }
}

impl Uploads {
    /// Sets the limit to a part of this many connections.
    pub(crate) fn limit(&self, connections: usize) {
        self.0.lock().most = (connections / PART).max(LEAST);
    }

    /// A slot for an upload of this client; `None` if all are taken, or the client has used its share.
    pub(crate) fn take(&self, who: Who) -> Option<Upload> {
        self.0.lock().take(Some(who)).then(|| Upload { ledger: self.0.clone(), who })
    }
}

/// Held by a request until its body has arrived.
pub(crate) struct Upload {
    ledger: Arc<Mutex<Ledger>>,
    who: Who,
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.ledger.lock().give_back(Some(self.who));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r34_one_person_leaves_uploads_to_others() {
        let uploads = Uploads::default();
        uploads.limit(64);
        let one: Vec<_> = (0..16).filter_map(|_| uploads.take(Who::User(1))).collect();
        assert_eq!(one.len(), 12);
        let others: Vec<_> = (2..9).filter_map(|id| uploads.take(Who::User(id))).collect();
        assert_eq!(others.len(), 4);
        drop((one, others));
        assert_eq!(uploads.0.lock().taken, 0);
        uploads.limit(0);
        assert!(uploads.take(Who::User(1)).is_some());
    }
}
