//! TCP keep-alive, on clients' sockets and on those to NocoBase: a peer that has vanished (a machine that was
//! switched off, a network that forgot the connection) is noticed, also where nothing is sent.

use std::io;
use std::time::Duration;

use pingora::protocols::TcpKeepalive;
use socket2::SockRef;

/// After a minute of silence the peer is asked four times; what was sent may stay unanswered for two minutes.
pub(crate) fn keepalive() -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(15),
        count: 4,
        user_timeout: Duration::from_secs(120),
    }
}

/// Sets it. What a listening socket has, its connections inherit.
///
/// # Errors
/// The system's state.
pub(crate) fn find(socket: SockRef<'_>) -> io::Result<()> {
    let times = keepalive();
    let retries = u32::try_from(times.count).unwrap_or(u32::MAX);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(times.idle)
        .with_interval(times.interval)
        .with_retries(retries);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(times.user_timeout))
}
