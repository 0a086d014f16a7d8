//! Ports that a test can come back to.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the system gives away by itself (`ip_local_port_range`, from 32,768): a port of that range is soon somebody else's
/// where nobody listens on it for a while. Above 10,080, which browsers refuse.
const FIRST: u16 = 11_000;
const COUNT: u16 = 21_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Listens on such a port. Another program may take it between the look and this: then the next one is tried.
pub(crate) async fn listen() -> tokio::net::TcpListener {
    loop {
        if let Ok(listener) = tokio::net::TcpListener::bind(free()).await {
            return listener;
        }
    }
}

/// An address of this machine on which nobody listens, and nobody but the test that asked for it will.
pub fn free() -> SocketAddr {
    // Programs that run at the same time begin elsewhere.
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
