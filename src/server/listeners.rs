//! Listening sockets: bound here, or inherited from systemd or from the previous gate process.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

use super::error::StartError;
use super::upgrade;
use crate::config::Listen;
use crate::proxy::lost_peers;

/// Bound but not yet served: errors are reported before anything else starts.
pub(super) struct Bound {
    pub(super) http: Vec<(SocketAddr, TcpListener)>,
    pub(super) https: Vec<(SocketAddr, TcpListener)>,
    pub(super) ops: Option<(SocketAddr, TcpListener)>,
    /// Another process (systemd) keeps them open when this process ends, so that connections in their queues are not lost.
    pub(super) kept: bool,
}

impl Bound {
    /// All sockets in `[listen]`; takes those that were passed on (`LISTEN_FDS`), and binds the rest.
    pub(super) fn new(listen: &Listen) -> Result<Bound, StartError> {
        let mut handed = handed_over();
        let kept = !handed.is_empty() && upgrade::are_sockets_kept();
        let mut all = |key: &'static str, addresses: &[SocketAddr]| {
            addresses
                .iter()
                .map(|a| {
                    bind_one(*a, &mut handed).map_err(|e| StartError::Listen {
                        key,
                        address: *a,
                        why: explain(&e),
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let (http, https) = (all("listen.http", &listen.http)?, all("listen.https", &listen.https)?);
        let ops = all("listen.ops", listen.ops.as_slice())?.pop();
        for left in handed.iter().filter_map(|l| l.local_addr().ok()) {
            tracing::warn!(event = "listening", address = %left,
                "a socket that was handed over is not used: no key of [listen] has exactly this address");
        }
        Ok(Bound { http, https, ops, kept })
    }

    /// Duplicates of the sockets, for the gate that will take over.
    pub(super) fn copies(&self) -> io::Result<Vec<TcpListener>> {
        self.http.iter().chain(&self.https).chain(&self.ops).map(|(_, l)| l.try_clone()).collect()
    }
}

/// Sockets opened by systemd or the previous gate process.
fn handed_over() -> Vec<TcpListener> {
    let mut all = ListenFd::from_env();
    let taken = (0..all.len()).filter_map(|i| all.take_tcp_listener(i).ok().flatten());
    // As duplicates, which close automatically when another program is started; the inherited ones do not.
    taken.filter_map(|l| l.try_clone().ok()).collect()
}

/// The socket for this address, if it was passed on.
fn take(address: SocketAddr, handed: &mut Vec<TcpListener>) -> Option<io::Result<TcpListener>> {
    let at = handed.iter().position(|l| l.local_addr().is_ok_and(|a| a == address))?;
    let listener = handed.swap_remove(at);
    Some(
        listener
            .set_nonblocking(true)
            .and_then(|()| lost_peers::find(SockRef::from(&listener)))
            .map(|()| listener),
    )
}

fn bind_one(address: SocketAddr, handed: &mut Vec<TcpListener>) -> io::Result<(SocketAddr, TcpListener)> {
    if let Some(listener) = take(address, handed) {
        return Ok((address, listener?));
    }
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    let listener = TcpListener::from(socket);
    lost_peers::find(SockRef::from(&listener))?;
    Ok((listener.local_addr()?, listener))
}

pub(super) fn explain(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => "the address is in use; stop the other program or choose another".into(),
        io::ErrorKind::PermissionDenied => {
            "not allowed; ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities)".into()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        _ => e.to_string(),
    }
}
