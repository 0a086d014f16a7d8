//! The accept queue of a listening socket when the gate stops (R43): connections that the kernel has accepted already are served,
//! not reset.
//!
//! Pingora stops accepting at once, and closing the socket would reset all queued connections. So new connections are blocked
//! first (their SYN gets no response: the client's retry, a second later, is refused or reaches the process that listens then),
//! the queue is served, and only then is the socket closed.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream as TcpStream;
use pingora::protocols::{GetSocketDigest as _, SocketDigest, Stream};
use pingora::server::ShutdownWatch;
use socket2::{SockFilter, SockRef};
use std::os::fd::AsRawFd as _;

/// Time for TCP handshakes in progress: longer than most round trips.
const SETTLE: Duration = Duration::from_millis(100);
/// Most connections accepted from one queue: it cannot hold more.
const MAX_ACCEPTED: usize = 8192;

/// Loads a byte, relative to the TCP header (`linux/filter.h`: `BPF_LD | BPF_B | BPF_ABS`).
const LOAD_BYTE: u16 = 0x30;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`: how much of the packet is taken.
const RETURN: u16 = 0x06;

/// Drops every packet that would begin a connection: SYN set, ACK not (RFC 9293, 3.1: byte 13 holds the flags).
const NO_SYN: [SockFilter; 5] = [
    SockFilter::new(LOAD_BYTE, 0, 0, 13),
    SockFilter::new(AND, 0, 0, 0x12),
    SockFilter::new(JUMP_IF_EQUAL, 0, 1, 0x02),
    SockFilter::new(RETURN, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
];

/// Blocks new connections on these sockets; handshakes in progress get a moment. Only for sockets on which no other process
/// listens.
pub(super) async fn block_new_connections(sockets: &[TcpListener]) {
    for socket in sockets {
        // If the kernel does not allow it, connections of the last microseconds are reset.
        if let Err(error) = SockRef::from(socket).attach_filter(&NO_SYN) {
            tracing::debug!(event = "stopping", %error, "cannot refuse new connections");
        }
    }
    tokio::time::sleep(SETTLE).await;
}

/// Serves what is left in the queue of this socket; the app does the TLS handshake if needed.
pub(super) async fn serve_queued<A>(socket: &TcpListener, app: &Arc<A>, stop: &ShutdownWatch)
where
    A: ServerApp + Send + Sync + 'static,
{
    for _ in 0..MAX_ACCEPTED {
        match socket.accept() {
            Ok((stream, _)) => {
                let (app, stop) = (app.clone(), stop.clone());
                tokio::spawn(async move {
                    if let Some(stream) = prepared(stream) {
                        app.process_new(stream, &stop).await;
                    }
                });
            }
            // That one is gone; there may be others.
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
        // Lets the accepted ones begin.
        tokio::task::yield_now().await;
    }
}

/// The connection, set up as Pingora's own loop does it.
fn prepared(stream: std::net::TcpStream) -> Option<Stream> {
    stream.set_nonblocking(true).ok()?;
    let mut stream = TcpStream::from(tokio::net::TcpStream::from_std(stream).ok()?);
    stream.set_nodelay().ok()?;
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    stream.set_socket_digest(digest);
    Some(Box::new(stream))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Writes a few bytes and ends.
    struct Says(&'static [u8]);

    #[async_trait]
    impl ServerApp for Says {
        async fn process_new(self: &Arc<Self>, mut stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
            stream.write_all(self.0).await.unwrap();
            stream.flush().await.unwrap();
            None
        }
    }

    #[tokio::test]
    async fn r43_all_that_are_in_the_queue_are_served() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
        let (_stop, stopped) = tokio::sync::watch::channel(true);
        serve_queued(&listener, &Arc::new(Says(b"hello")), &stopped).await;
        drop(listener);
        for mut client in clients {
            let mut said = Vec::new();
            client.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, b"hello");
        }
    }

    /// Queued connections are kept; later ones wait, and are refused once the socket is closed.
    #[tokio::test]
    async fn r43_connections_of_before_are_kept_and_later_ones_do_not_begin() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let before = tokio::net::TcpStream::connect(address).await.unwrap();
        let sockets = [listener];
        block_new_connections(&sockets).await;
        let mut late = tokio::spawn(tokio::net::TcpStream::connect(address));
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut late).await.is_err(), "it has begun");
        assert_eq!(sockets[0].accept().unwrap().1, before.local_addr().unwrap());
        assert_eq!(sockets[0].accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(sockets);
        assert_eq!(late.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
