//! Waits only as long as the client does: when the client has left, the work is cancelled.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use pingora::proxy::Session as HttpSession;

/// How often it is looked whether the client is still there.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// `TCP_ESTABLISHED`, as the kernel counts the states of a connection.
const ESTABLISHED: u8 = 1;

/// The client has gone away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// Does this work, unless the client goes away. Work that does not have to wait costs nothing.
pub(super) async fn while_there<T>(client: &HttpSession, work: impl Future<Output = T>) -> Result<T, Gone> {
    let mut work = pin!(work);
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Box::pin(watched(client, work)).await,
    }
}

async fn watched<T>(client: &HttpSession, mut work: Pin<&mut impl Future<Output = T>>) -> Result<T, Gone> {
    loop {
        match tokio::time::timeout(CHECK_INTERVAL, work.as_mut()).await {
            // The client may have left while this waited.
            Ok(done) => return if is_gone(client) { Err(Gone) } else { Ok(done) },
            Err(_) if is_gone(client) => return Err(Gone),
            Err(_) => {}
        }
    }
}

/// The same for a stream of HTTP/2 too, which ends without its connection.
pub(super) async fn while_open<T>(
    client: &mut HttpSession,
    work: impl Future<Output = T>,
) -> Result<T, Gone> {
    if !client.is_http2() {
        return while_there(client, work).await;
    }
    let mut work = pin!(work);
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => {
            Box::pin(async {
                tokio::select! {
                    biased;
                    done = work => Ok(done),
                    // Done when the client resets the stream; reads nothing of its body.
                    _ = client.read_body_or_idle(true) => Err(Gone),
                }
            })
            .await
        }
    }
}

/// Has the client closed its side? Reads nothing: what it sends meanwhile stays where it is.
fn is_gone(client: &HttpSession) -> bool {
    let socket = client.digest().and_then(|digest| digest.socket_digest.as_ref());
    socket.and_then(|socket| socket.tcp_info()).is_some_and(|tcp| tcp.tcpi_state != ESTABLISHED)
}
