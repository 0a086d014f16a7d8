//! Clients that send requests continuously while something happens to the gate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::eventually;
use super::raw::{get, read_response};

/// Five clients that request `/big/64` until they are stopped: as fast as they can, and with pauses in which the connection is
/// idle. The first failed request ends its client.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn on(address: SocketAddr) -> Load {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = [(true, 0), (true, 30), (true, 90), (false, 0), (false, 10)].map(|(keep, pause)| {
            let (stop, done) = (stop.clone(), done.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let mut close = false;
                while !stop.load(Ordering::Relaxed) {
                    if !keep || close {
                        stream = TcpStream::connect(address).await.unwrap();
                    }
                    stream.write_all(get("/big/64", "").as_bytes()).await.unwrap();
                    let response = read_response(&mut stream).await;
                    assert_eq!(response.status(), 200, "{}", response.text());
                    close = response.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
                    done.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            })
        });
        Load { stop, done, clients: clients.into() }
    }

    /// Waits for twenty more responses.
    pub async fn continues(&self) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("requests continue", async || self.done.load(Ordering::Relaxed) > before + 20).await;
    }

    /// How many requests got a response. Panics if one did not.
    pub async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            tokio::time::timeout(Duration::from_secs(20), client).await.unwrap().expect("no request fails");
        }
        self.done.load(Ordering::Relaxed)
    }
}
