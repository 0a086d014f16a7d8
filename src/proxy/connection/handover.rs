//! Takes an established WebSocket, or an event stream, from Pingora.
//!
//! Pingora keeps the state of a whole request, about 50 KiB, for as long as it lasts, which may be days. So once the client has
//! the head, the request is dropped, and `phases::tunnel` or `phases::events` carries on with its connections.
//!
//! When that may happen is for the phases to decide (`phases::upgrade`, `phases::events`): nothing that is still needed may be left in
//! Pingora's buffers.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pingora::protocols::Stream;

/// What is done with a connection after its request.
pub(crate) type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Gets the connection to the client.
type Carry = Box<dyn FnOnce(Stream) -> Rest + Send>;

/// What remains of a request that is dropped.
#[derive(Default)]
pub(super) struct Handover {
    due: AtomicBool,
    client: Mutex<Option<Stream>>,
    carry: Mutex<Option<Carry>>,
}

impl Handover {
    /// The request is to be dropped now.
    pub(super) fn set_due(&self) {
        self.due.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_due(&self) -> bool {
        self.due.load(Ordering::Relaxed)
    }

    /// The connection to the client, from the request while it is dropped.
    pub(super) fn keep_client(&self, client: Stream) {
        *self.client.lock() = Some(client);
    }

    /// What to do with it, likewise.
    pub(super) fn set_carry(&self, carry: Carry) {
        *self.carry.lock() = Some(carry);
    }

    /// What remains, once the request has been dropped.
    pub(super) fn rest(&self) -> Option<Rest> {
        let (client, carry) = (self.client.lock().take()?, self.carry.lock().take()?);
        Some(carry(client))
    }
}
