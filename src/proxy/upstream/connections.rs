//! Connections to one node that wait for their next request.
//!
//! Pingora has a pool of its own, but each idle connection there costs a task that watches it, and a request can lose a connection to that
//! task: Pingora then closes it, and opens another. Here an idle connection is only looked at when it is taken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pingora::prelude::*;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Tcp;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

use crate::proxy::lost_peers;

/// How long a connection may be idle. Below Node.js's own keep-alive timeout (5 s by default), so that a request is not sent on a
/// connection that is just being closed.
const LONGEST_IDLE: Duration = Duration::from_secs(4);
/// Parts with a lock each, so that threads seldom meet at one.
const PARTS: usize = 16;

/// A connection, and since when it is idle.
struct Idle {
    stream: Stream,
    since: Instant,
}

/// Idle connections; in each part, those used last are at the end.
#[derive(Default)]
pub(super) struct Connections {
    parts: [Mutex<VecDeque<Idle>>; PARTS],
    count: AtomicUsize,
}

impl Connections {
    /// The connection that was used last, if it is still open.
    pub(super) fn take(&self) -> Option<Stream> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let own = part_of_thread();
        let mut is_contended = false;
        for next in 0..PARTS {
            let part = self.parts.get((own + next) % PARTS)?;
            // Another thread's only if it is free, at first.
            let part = if next == 0 { Some(part.lock()) } else { part.try_lock() };
            let Some(mut part) = part else {
                is_contended = true;
                continue;
            };
            if let Some(stream) = self.take_of(&mut part) {
                return Some(stream);
            }
        }
        // It is held for a microsecond: to wait is better than to open a connection.
        is_contended.then(|| self.parts.iter().find_map(|part| self.take_of(&mut part.lock())))?
    }

    fn take_of(&self, part: &mut VecDeque<Idle>) -> Option<Stream> {
        while let Some(mut idle) = part.pop_back() {
            self.count.fetch_sub(1, Ordering::Relaxed);
            if idle.since.elapsed() < LONGEST_IDLE && is_open(&mut idle.stream) {
                return Some(idle.stream);
            }
        }
        None
    }

    /// Keeps a connection whose response is complete. Beyond `most` of them, one is closed: of this thread's, the one that has been idle
    /// for longest. That of all would need every lock.
    pub(super) fn keep(&self, stream: Stream, most: usize) {
        let Some(part) = self.parts.get(part_of_thread()) else { return };
        let mut part = part.lock();
        part.push_back(Idle { stream, since: Instant::now() });
        if self.count.fetch_add(1, Ordering::Relaxed) >= most {
            part.pop_front();
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Closes those that have been idle for too long, and those that the node has closed.
    pub(super) fn close_old(&self) {
        for part in &self.parts {
            part.lock().retain_mut(|idle| {
                let kept = idle.since.elapsed() < LONGEST_IDLE && is_open(&mut idle.stream);
                if !kept {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                }
                kept
            });
        }
    }
}

/// Which part this thread uses first.
fn part_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
    }
    PART.with(|part| *part)
}

/// Is there nothing to read? A node sends nothing unasked: bytes, an end and an error are alike.
fn is_open(stream: &mut Stream) -> bool {
    let mut room = [0];
    Pin::new(stream)
        .poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut room))
        .is_pending()
}

/// Opens a TCP connection.
///
/// # Errors
/// The node does not accept it, or not in time.
pub(super) async fn open(address: std::net::SocketAddr, within: Duration) -> Result<Stream> {
    let stream = tokio::time::timeout(within, TcpStream::connect(address))
        .await
        .or_err(ConnectTimedout, "NocoBase's node")?
        .or_err(ConnectError, "NocoBase's node")?;
    stream.set_nodelay(true).or_err(ConnectError, "TCP_NODELAY")?;
    lost_peers::find(SockRef::from(&stream)).or_err(ConnectError, "TCP keep-alive")?;
    Ok(Box::new(Tcp::from(stream)))
}

#[cfg(test)]
mod tests;
