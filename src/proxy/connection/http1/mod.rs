//! One HTTP/1 connection: wait, let Pingora serve a request, wait for the next.
//!
//! Pingora has such a loop itself (`ServerApp::process_new` of `pingora_core::apps`), but creates a request before its first byte
//! has arrived: an idle connection then holds buffers and the state of a whole request, more than 20 KiB. Here a request is
//! created with its first bytes, which Pingora treats as left over from the previous request.

mod request_line;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use pingora::apps::{HttpPersistentSettings, HttpServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt, ReadBuf};

use self::request_line::{self as line, RequestLine};
use super::closing::Closing;
use super::refusal::RequestName;
use super::stream::{Guarded, Times};

/// How much of a request's head is read at first, as in Pingora. Most heads fit.
const HEAD: usize = 4096;
/// Pingora's own default for the first request of a connection, in seconds. The phases set it again when they see the request.
const KEEPALIVE: u64 = 60;

/// How long a connection without a request stays open when the gate stops. A request that is on its way at that moment is served,
/// with `Connection: close`, and not lost.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// How long a client may take to close its side of a connection that the gate has closed.
const CLOSING: Duration = Duration::from_millis(250);

/// Serves the connection until it ends, the gate stops (`shutdown`), or a deadline passes.
pub(super) async fn serve<A>(
    app: &Arc<A>,
    mut stream: Stream,
    times: Times,
    (closing, mut shutdown): (Closing, ShutdownWatch),
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut settings: Option<HttpPersistentSettings> = None;
    let mut idle = None;
    loop {
        let Some(first) = first_bytes(&mut stream, &mut shutdown).await else { return };
        drop(idle);
        arm(&stream, times.head);
        let Some(first) = request_line(&mut stream, first).await else { return };
        let mut session = ServerSession::new_http1(stream);
        match settings.take() {
            Some(_) if *shutdown.borrow() => session.set_keepalive(None),
            Some(settings) => settings.apply_to_session(&mut session),
            None => {
                session.set_keepalive((!*shutdown.borrow()).then_some(KEEPALIVE));
                let limit = app.server_options().and_then(|options| options.keepalive_request_limit);
                session.set_keepalive_reuses_remaining(limit);
            }
        }
        // Nothing else is stored there: Pingora fills it with requests that arrived early (pipelining), but only if configured
        // to; otherwise it closes the connection, and we never see it again.
        session.set_pipelined_prefix(first);
        let Some(reused) = app.process_new_http(session, &shutdown).await else { return };
        (stream, settings) = reused.consume();
        idle = Some(closing.idle());
        arm(&stream, times.idle);
    }
}

/// Waits for the whole request line, and turns it into one that Pingora can parse.
async fn request_line(stream: &mut Stream, mut first: BytesMut) -> Option<BytesMut> {
    let (method, target) = loop {
        match line::read(&first) {
            RequestLine::Complete { method, target } => break (method, target),
            RequestLine::Incomplete if stream.read_buf(&mut first).await.ok()? == 0 => return None,
            RequestLine::Incomplete => {}
        }
    };
    let words = (first.get(method).unwrap_or_default(), first.get(target.clone()).unwrap_or_default());
    let asked = RequestName::new(words.0, words.1);
    let first = line::encode_query(first, target);
    if let Some(guarded) = stream.as_any().downcast_ref::<Guarded>() {
        guarded.begins(asked, &first);
    }
    Some(first)
}

fn arm(stream: &Stream, within: Duration) {
    if let Some(guarded) = stream.as_any().downcast_ref::<Guarded>() {
        guarded.arm(within);
    }
}

/// The first bytes of the next request; `None` if there will be none.
async fn first_bytes(stream: &mut Stream, shutdown: &mut ShutdownWatch) -> Option<BytesMut> {
    tokio::select! {
        // A request that has arrived is served, even when the gate is stopping.
        biased;
        first = poll_fn(|cx| poll_first(stream, cx)) => return first,
        () = stopped(shutdown) => {}
    }
    let last = poll_fn(|cx| poll_first(stream, cx));
    let last = tokio::time::timeout(LINGER, last).await;
    if last.is_err() {
        close(stream).await;
    }
    last.ok().flatten()
}

/// Closes a connection without a request. If a request is on its way already, its client sees a closed connection, which it can
/// recognise, and not a reset.
async fn close(stream: &mut Stream) {
    let closed = async {
        let _ = AsyncWriteExt::shutdown(stream).await;
        while poll_fn(|cx| poll_first(stream, cx)).await.is_some() {}
    };
    let _ = tokio::time::timeout(CLOSING, closed).await;
}

/// The bytes go through the stack: a waiting connection holds no buffer.
fn poll_first(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Option<BytesMut>> {
    let mut room = [const { MaybeUninit::uninit() }; HEAD];
    let mut read = ReadBuf::uninit(&mut room);
    let done = ready!(Pin::new(stream).poll_read(cx, &mut read));
    let bytes = read.filled();
    if done.is_err() || bytes.is_empty() {
        return Poll::Ready(None);
    }
    // Most heads are complete: what refers to them keeps them for as long as the request lasts.
    Poll::Ready(Some(BytesMut::from(bytes)))
}

/// Waits until the gate stops.
async fn stopped(shutdown: &mut ShutdownWatch) {
    // An error means that the sender was dropped.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
