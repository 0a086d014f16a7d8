//! SIGUSR2: the program that is on disk now takes over the listening sockets, and this process ends once its requests have ended.
//! No connection is refused meanwhile: both accept until the new one reports that it is ready.
//!
//! The new program gets the sockets in the same way as from systemd (`LISTEN_FDS`), and a socket as its standard input, to which
//! it writes one byte once it serves. If it ends before that, its end of that socket closes, and this process continues; if this
//! process has stopped waiting, the new one cannot write, and ends.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// Set for a new gate: the previous one waits for it.
const EXPECTED: &str = "WECOM_GATE_EXPECTED";
/// Its value if systemd handed over the sockets.
const KEPT: &str = "kept";
/// The first descriptor of `LISTEN_FDS`.
const FIRST: i32 = 3;
/// How long the new program may take until it serves.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Starts the program again with these sockets, and waits until it serves. Returns its process id, or why it does not serve; then
/// it has ended. `kept`: systemd keeps the sockets open too.
pub(super) async fn start(sockets: &[TcpListener], kept: bool) -> Result<u32, String> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().ok_or("the name of this program is not known")?;
    let (mut ours, mut command) = prepare(program, arguments, sockets, kept).map_err(|e| e.to_string())?;
    let mut child = command.spawn().map_err(|e| format!("the new program does not start: {e}"))?;
    // Its end of the socket is in there.
    drop(command);
    let id = child.id().unwrap_or_default();
    let mut ready = [0];
    let failure = match tokio::time::timeout(TIMEOUT, ours.read_exact(&mut ready)).await {
        Ok(Ok(_)) => {
            // Waited for, so that it does not become a zombie if it ends first.
            tokio::spawn(async move { child.wait().await });
            return Ok(id);
        }
        Ok(Err(_)) => None,
        Err(_) => Some(format!("the new program does not serve after {} seconds", TIMEOUT.as_secs())),
    };
    if failure.is_some() {
        let _ = child.start_kill();
    }
    let ended = child.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string());
    Err(failure.unwrap_or_else(|| format!("the new program ended ({ended}); what it wrote shows why")))
}

fn prepare(
    program: OsString,
    arguments: impl Iterator<Item = OsString>,
    sockets: &[TcpListener],
    kept: bool,
) -> io::Result<(tokio::net::UnixStream, Command)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut mappings = Vec::new();
    for (child_fd, socket) in (FIRST..).zip(sockets) {
        mappings.push(FdMapping { parent_fd: OwnedFd::from(socket.try_clone()?), child_fd });
    }
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::from(OwnedFd::from(theirs))).kill_on_drop(false);
    // Without LISTEN_PID, which is not known before the program runs.
    command
        .env("LISTEN_FDS", sockets.len().to_string())
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDNAMES");
    command.env(EXPECTED, if kept { KEPT } else { "1" });
    command.fd_mappings(mappings).map_err(|e| io::Error::other(e.to_string()))?;
    Ok((tokio::net::UnixStream::from_std(ours)?, command))
}

/// Whether systemd keeps the handed-over sockets open, whether they came from it or from the previous gate.
pub(super) fn are_sockets_kept() -> bool {
    std::env::var_os(EXPECTED).is_none_or(|value| value == KEPT)
}

/// Reports to the previous gate, if there is one, that this one serves. An error: that gate no longer waits, and continues on its
/// own or was asked to stop.
pub(super) fn notify_predecessor() -> io::Result<()> {
    if std::env::var_os(EXPECTED).is_none() {
        return Ok(());
    }
    UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?).write_all(b"1")
}
