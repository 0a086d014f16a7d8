//! Open requests by session, so that none outlives its session: a WebSocket, an event stream, a long download (R32).
//!
//! Each request that is forwarded to NocoBase in a session is an [`OpenStream`] while it lasts. The session cache keeps those of
//! each session and ends them when the session ends. Bytes that pass cost nothing here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::session::Session;

/// An open request, and the session it belongs to.
pub(crate) struct OpenStream {
    /// From the cookie.
    pub(crate) session: Arc<Session>,
    /// The `Cookie` headers of the request: after a change of the keys they may no longer open.
    pub(crate) cookies: Vec<HeaderValue>,
    /// The configuration under which the cookies were last opened.
    generation: AtomicU64,
    ended: AtomicBool,
    at_end: Notify,
}

impl std::fmt::Debug for OpenStream {
    // The cookies are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl OpenStream {
    /// A request that begins.
    pub(crate) fn new(session: Arc<Session>, cookies: Vec<HeaderValue>, generation: u64) -> Arc<OpenStream> {
        Arc::new(OpenStream {
            session,
            cookies,
            generation: AtomicU64::new(generation),
            ended: AtomicBool::new(false),
            at_end: Notify::new(),
        })
    }

    /// Whether its session has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until it has.
    pub(crate) async fn until_ended(&self) {
        let mut ends = std::pin::pin!(self.at_end.notified());
        // Registers before it checks, so that an end between the two is not missed.
        ends.as_mut().enable();
        if !self.is_ended() {
            ends.await;
        }
    }

    /// Ends the stream.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.at_end.notify_waiters();
    }

    /// Whether its cookies have been opened under this configuration.
    pub(crate) fn is_of(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Relaxed) == generation
    }

    /// Notes that they have.
    pub(crate) fn opened_under(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }
}

/// The streams of one session. Nearly all sessions have none at any moment: then there is nothing behind the lock.
#[derive(Debug, Default)]
pub(super) struct StreamList(Mutex<Option<Box<Streams>>>);

#[derive(Debug, Default)]
struct Streams {
    open: Vec<Arc<OpenStream>>,
    /// The session is in [`Listed`].
    listed: bool,
}

impl StreamList {
    /// Adds a stream. `is_ended` returns whether the session has ended; it is called once the stream is in the list, so that an
    /// end in between is not missed. True: the session must be listed.
    pub(super) fn add(&self, stream: &Arc<OpenStream>, is_ended: impl FnOnce() -> bool) -> bool {
        let mut streams = self.0.lock();
        let streams = streams.get_or_insert_default();
        streams.open.push(stream.clone());
        if is_ended() {
            stream.end();
        }
        !std::mem::replace(&mut streams.listed, true)
    }

    /// Removes a stream.
    pub(super) fn remove(&self, stream: &Arc<OpenStream>) {
        let mut streams = self.0.lock();
        let Some(streams) = streams.as_mut() else { return };
        if let Some(at) = streams.open.iter().position(|other| Arc::ptr_eq(other, stream)) {
            streams.open.swap_remove(at);
        }
    }

    /// Ends all of them.
    pub(super) fn end(&self) {
        if let Some(streams) = self.0.lock().as_ref() {
            streams.open.iter().for_each(|stream| stream.end());
        }
    }

    /// Calls `look` with the open streams. False: there are none, and the session is not listed any more.
    pub(super) fn look(&self, look: impl FnOnce(&[Arc<OpenStream>])) -> bool {
        let mut streams = self.0.lock();
        let open = streams.as_ref().map_or(&[][..], |streams| &streams.open);
        if open.is_empty() {
            *streams = None;
            return false;
        }
        look(open);
        true
    }
}

/// Sessions that have had a stream since they were last checked.
#[derive(Debug)]
pub(super) struct Listed<S> {
    pub(super) sessions: Mutex<Vec<Arc<S>>>,
    /// Wakes the task that checks them.
    pub(super) look: Notify,
}

impl<S> Default for Listed<S> {
    fn default() -> Self {
        Listed { sessions: Mutex::default(), look: Notify::new() }
    }
}
