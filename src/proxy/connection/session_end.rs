//! Ends a request whose session has ended (R32), over HTTP/1.1 and HTTP/2 alike: while Pingora waits for NocoBase's next bytes it
//! calls no hook, so the whole request is cancelled from outside. The client sees that the response is incomplete: the connection
//! is closed, or over HTTP/2 the stream is reset.
//!
//! It also ends the wait for a hanging node (`response_wait`), for the same reason, and the request of a WebSocket or an event stream that is
//! open (`handover`): what remains of that ends with the session too.
//!
//! A WebSocket gets a Close frame first, from the connection to NocoBase (`upstream::tunnel`); here it only gets the time for it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::os::fd::RawFd;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::protocols::{Digest, Stream};
use pingora::proxy::{HttpProxy, ProxyHttp};
use pingora::server::ShutdownWatch;
use tokio::time::Instant;

use super::handover::{Handover, Rest};
use super::response_wait::ResponseWait;
use crate::session::OpenStream;

/// A response that is younger than this may still finish: the response to a click is not a stream.
const YOUNG: Duration = Duration::from_secs(1);
/// Time for sending a WebSocket's Close frame.
const FAREWELL: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// The request that this task serves.
    static REQUEST: Arc<Bond>;
}

/// What a request depends on, once that is known.
struct Bond {
    on: OnceLock<Bound>,
    /// Its wait for NocoBase's response.
    wait: Mutex<Option<ResponseWait>>,
    /// Its connection is one of the reserve.
    reserve: bool,
    /// What remains of it once it goes on without Pingora.
    handover: Handover,
}

struct Bound {
    stream: Arc<OpenStream>,
    began: Instant,
    tunnel: bool,
}

/// From now on the current request, which began then, ends with this stream. `tunnel`: it is a WebSocket.
pub(crate) fn bind(stream: &Arc<OpenStream>, began: Instant, tunnel: bool) {
    let bound = Bound { stream: stream.clone(), began, tunnel };
    // Without a request (in tests) there is nothing to end.
    let _ = REQUEST.try_with(|bond| bond.on.set(bound).is_ok());
}

/// The request that is being served has been sent over this connection. `hangs`: completes when its response must not be awaited any
/// more.
pub(crate) fn expect_response(
    fd: RawFd,
    connection: Option<&Digest>,
    hangs: impl Future<Output = ()> + Send + 'static,
) {
    set_wait(ResponseWait::new(fd, connection, hangs));
}

/// It has its response, or the wait has ended.
pub(crate) fn response_began() {
    set_wait(None);
}

/// Can the current request be dropped without its connections?
pub(super) fn can_hand_over() -> bool {
    REQUEST.try_with(|_| ()).is_ok()
}

/// The client has the head: from here on Pingora is not needed. To be called while the request is polled, which is then dropped.
pub(super) fn hand_over() {
    let _ = REQUEST.try_with(|bond| bond.handover.set_due());
}

/// Is the current request dropped because of [`hand_over`]?
pub(crate) fn is_handed_over() -> bool {
    REQUEST.try_with(|bond| bond.handover.is_due()).unwrap_or(false)
}

/// The connection to its client.
pub(super) fn keep_client(client: Stream) {
    let _ = REQUEST.try_with(|bond| bond.handover.keep_client(client));
}

/// What to do with that connection.
pub(crate) fn carry_on(carry: impl FnOnce(Stream) -> Rest + Send + 'static) {
    let _ = REQUEST.try_with(|bond| bond.handover.set_carry(Box::new(carry)));
}

fn set_wait(wait: Option<ResponseWait>) {
    let _ = REQUEST.try_with(|bond| *bond.wait.lock() = wait);
}

impl Bond {
    /// Never completes. Ends waits for a hanging node, which wakes the request.
    async fn waits(&self) -> Infallible {
        poll_fn(|cx| {
            let mut wait = self.wait.lock();
            if wait.as_mut().is_some_and(|wait| wait.poll(cx).is_ready()) {
                *wait = None;
            }
            Poll::Pending
        })
        .await
    }

    /// Completes when the request must end.
    async fn broken(&self) {
        // It is set while the request is polled, which happens right before this is polled.
        let bound = poll_fn(|_| self.on.get().map_or(Poll::Pending, Poll::Ready)).await;
        bound.stream.until_ended().await;
        let until = if bound.tunnel { Instant::now() + FAREWELL } else { bound.began + YOUNG };
        tokio::time::sleep_until(until).await;
    }
}

/// Is the current request on a connection of the reserve, which is only for the gate's own pages?
pub(crate) fn is_reserve() -> bool {
    REQUEST.try_with(|bond| bond.reserve).unwrap_or(false)
}

/// Runs the request, and what remains of it without Pingora; `None` once what it depends on has ended.
async fn while_bound<T>(reserve: bool, request: impl Future<Output = Option<T>>) -> Option<T> {
    let (wait, handover) = (Mutex::new(None), Handover::default());
    let bond = Arc::new(Bond { on: OnceLock::new(), wait, reserve, handover });
    let done = {
        let mut request = pin!(REQUEST.scope(bond.clone(), request));
        let until_handover = poll_fn(|cx| match request.as_mut().poll(cx) {
            Poll::Pending if bond.handover.is_due() => Poll::Ready(None),
            polled => polled.map(Some),
        });
        tokio::select! {
            biased;
            done = until_handover => done,
            () = bond.broken() => Some(None),
            never = bond.waits() => match never {},
        }
        // Here the request is dropped, and hands over what remains.
    };
    if let Some(done) = done {
        return done;
    }
    let rest = bond.handover.rest()?;
    tokio::select! {
        biased;
        () = rest => None,
        () = bond.broken() => None,
    }
}

/// The proxy, whose requests end with their sessions.
pub(super) struct EndsWithSession<P> {
    pub proxy: Arc<HttpProxy<P>>,
    /// For connections of the reserve.
    pub reserve: bool,
}

impl<P> HttpServerApp for EndsWithSession<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    // As `async_trait` has it, but the inner future takes the session at once, which would otherwise be copied twice.
    fn process_new_http<'a, 'shutdown, 'both>(
        self: &'a Arc<Self>,
        session: ServerSession,
        shutdown: &'shutdown ShutdownWatch,
    ) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'both>>
    where
        'a: 'both,
        'shutdown: 'both,
        Self: 'both,
    {
        Box::pin(while_bound(self.reserve, self.proxy.process_new_http(session, shutdown)))
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        HttpServerApp::server_options(&*self.proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Member, Session, UnixMillis};

    fn stream() -> Arc<OpenStream> {
        let (entry, corp_id, userid) = ("wecom".into(), "ww1".into(), "zhangsan".into());
        let member = Member { entry, corp_id, userid, name: String::new(), user_id: 1 };
        OpenStream::new(Arc::new(Session::begin(member, UnixMillis(1)).unwrap()), Vec::new(), 0)
    }

    /// How long a request lasts that is bound after `before` and whose session ends `after` that.
    async fn lasts(tunnel: bool, before: Duration, after: Duration) -> Duration {
        let (stream, began) = (stream(), Instant::now());
        let ended = stream.clone();
        tokio::spawn(async move {
            tokio::time::sleep(before + after).await;
            ended.end();
        });
        let request = async {
            tokio::time::sleep(before).await;
            bind(&stream, Instant::now(), tunnel);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Some(())
        };
        assert_eq!(while_bound(false, request).await, None);
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn r32_a_request_ends_with_its_session() {
        let s = Duration::from_secs;
        assert_eq!(lasts(false, s(0), s(60)).await.as_secs(), 60);
        assert_eq!(lasts(false, s(5), s(60)).await.as_secs(), 65);
        assert_eq!(lasts(false, s(5), s(0)).await.as_secs(), 6, "one that has just begun");
        assert_eq!(lasts(true, s(5), s(60)).await.as_secs(), 67, "a WebSocket gets a Close frame");
    }

    #[tokio::test(start_paused = true)]
    async fn r32_a_completed_request_is_not_affected() {
        let stream = stream();
        let request = async {
            bind(&stream, Instant::now(), false);
            stream.end();
            tokio::time::sleep(Duration::from_millis(500)).await;
            Some(7)
        };
        assert_eq!(while_bound(false, request).await, Some(7));
        // An anonymous request is bound to no session.
        assert_eq!(while_bound(false, async { Some(8) }).await, Some(8));
    }
}
