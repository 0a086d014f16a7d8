//! The gate's binary, and both of its sides as raw sockets: a client that sends bytes as they are, and an upstream that records
//! what arrives and in which order.

mod client;
pub mod frames;
mod h2;
mod process;
mod setup;
mod upstream;

pub use crate::support::Process;
pub use client::{Line, Response, frame, get, read_all, read_response, request, send_raw, upgrade};
pub use h2::tls;
pub use setup::{Setup, Visitor};
pub use upstream::{Request, Upstream};

/// Host of the gate's origin.
pub const HOST: &str = "gate.test";
/// NocoBase's secret.
pub const SECRET: &str = "raw-upstream-secret-of-nocobase";
/// Corp id of the simulator's first company.
pub const CORP: &str = "ww0123456789abcdef";
/// Secret of the simulator's app 1000002.
pub const APP_SECRET: &str = "SimAppSecret1000002-AAAAAAAAAAAAAAAAAAAAAAA";
/// User-Agent of a WeCom client.
pub const WECOM: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0 Safari/537.36 wxwork/4.1.28 (MicroMessenger/6.2) WindowsWechat MailPlugin_Electron WeMail embeddisk wwmver/3.26.28.608";
/// The response to an upgrade.
pub const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A gate in front of a recording upstream.
pub async fn gate() -> (Upstream, Setup, Process) {
    gate_with(|s| s).await
}

pub async fn gate_with(change: impl FnOnce(Setup) -> Setup) -> (Upstream, Setup, Process) {
    let upstream = Upstream::start().await;
    let setup = change(Setup::new(upstream.address));
    let gate = setup.start().await;
    (upstream, setup, gate)
}
