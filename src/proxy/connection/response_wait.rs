//! Ends the wait for the response of a hanging node. Pingora waits as long as `upstream.read_timeout` allows, and calls no hook
//! meanwhile: so the connection to the node is shut down, and Pingora continues as if the node had closed it.

use std::future::Future;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::sys::socket::{Shutdown, shutdown};
use pingora::protocols::{Digest, SocketDigest};

/// A request that has been sent, and has no response yet.
pub(super) struct ResponseWait {
    fd: RawFd,
    socket: Arc<SocketDigest>,
    hangs: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl ResponseWait {
    /// Over this connection. `hangs`: completes when the wait must end. A WebSocket has no descriptor here, and its own
    /// way to end: `upstream::tunnel`.
    pub(super) fn new(
        fd: RawFd,
        connection: Option<&Digest>,
        hangs: impl Future<Output = ()> + Send + 'static,
    ) -> Option<ResponseWait> {
        let socket = connection?.socket_digest.clone().filter(|_| fd >= 0)?;
        Some(ResponseWait { fd, socket, hangs: Box::pin(hangs) })
    }

    /// Completes when it has been ended. To be called by the task that serves the request, between two polls of it: only that task closes
    /// the connection, so the descriptor is still that of this connection.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.hangs.as_mut().poll(cx));
        if self.is_same_connection() {
            // An error means that it is closed already.
            let _ = shutdown(self.fd, Shutdown::Both);
        }
        Poll::Ready(())
    }

    /// Does the descriptor still have the same local and remote address?
    fn is_same_connection(&self) -> bool {
        let now = SocketDigest::from_raw_fd(self.fd);
        let ends = |socket: &SocketDigest| (socket.local_addr().cloned(), socket.peer_addr().cloned());
        let (local, peer) = ends(&now);
        local.is_some() && peer.is_some() && ends(&self.socket) == (local, peer)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    fn wait(socket: &TcpStream, known: SocketDigest) -> (ResponseWait, oneshot::Sender<()>) {
        let (hang, hangs) = oneshot::channel::<()>();
        let hangs = Box::pin(async { _ = hangs.await });
        (ResponseWait { fd: socket.as_raw_fd(), socket: Arc::new(known), hangs }, hang)
    }

    fn known(socket: &TcpStream) -> SocketDigest {
        let digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
        digest.local_addr();
        digest.peer_addr();
        digest
    }

    #[tokio::test]
    async fn a_wait_that_is_ended_looks_like_a_closed_connection() {
        let (mut client, _server) = pair().await;
        let (mut wait, hang) = wait(&client, known(&client));
        let mut byte = [0];
        let quiet = tokio::time::timeout(Duration::from_millis(50), client.read(&mut byte)).await;
        assert!(quiet.is_err());
        hang.send(()).unwrap();
        std::future::poll_fn(|cx| wait.poll(cx)).await;
        assert_eq!(client.read(&mut byte).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn another_connection_is_left_alone() {
        let ((mut client, mut server), (other, _other_server)) = (pair().await, pair().await);
        let (mut wait, hang) = wait(&client, known(&other));
        hang.send(()).unwrap();
        std::future::poll_fn(|cx| wait.poll(cx)).await;
        tokio::io::AsyncWriteExt::write_all(&mut server, b"x").await.unwrap();
        let mut byte = [0];
        assert_eq!(client.read(&mut byte).await.unwrap(), 1);
    }
}
