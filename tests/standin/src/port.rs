//! Ports that a test can reuse.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the system's ephemeral ports (`ip_local_port_range`, from 32,768): such a port may be taken by another program while
/// nothing listens on it for a while. Above 10,080, which browsers refuse.
const FIRST: u16 = 11_000;
const COUNT: u16 = 21_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Listens on such a port. If another program takes it between check and use, the next one is tried.
pub(crate) async fn listen() -> tokio::net::TcpListener {
    loop {
        if let Ok(listener) = tokio::net::TcpListener::bind(free()).await {
            return listener;
        }
    }
}

/// A local address on which nothing listens, reserved for the test that requested it.
pub fn free() -> SocketAddr {
    // Concurrent processes start at different ports.
    let offset = u16::try_from(process::id() % 199).unwrap() * 105;
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (offset + next) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
