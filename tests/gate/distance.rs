//! Uploads over a long distance: a relay that delays every byte stands between client and gate.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::raw::{HOST, gate_with};

/// One-way delay; the round trip takes twice as long.
const DELAY: Duration = Duration::from_millis(20);

/// Forwards what it reads after [`DELAY`], however much that is.
async fn delayed(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut buffer = vec![0; 256 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if sender.send((Instant::now() + DELAY, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    while let Some((due, bytes)) = receiver.recv().await {
        tokio::time::sleep_until(due.into()).await;
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
}

/// A delaying relay to this address.
async fn far_from(gate: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let gate = TcpStream::connect(gate).await.unwrap();
            for stream in [&client, &gate] {
                stream.set_nodelay(true).unwrap();
            }
            let ((from_client, to_client), (from_gate, to_gate)) = (client.into_split(), gate.into_split());
            tokio::spawn(delayed(from_client, to_gate));
            tokio::spawn(delayed(from_gate, to_client));
        }
    });
    address
}

/// An upload of 10 MB over a round trip of 40 ms, by HTTP/1.1 and HTTP/2 in turn; prints the times. Needs an optimised build on
/// an idle machine: `cargo test --release --test gate -- --ignored distance --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn uploads_over_a_distance() {
    let (_upstream, setup, gate) = gate_with(|s| s.https().set("log.access_log", false)).await;
    let far = far_from(gate.https).await;
    // Fails if another test has already installed one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = reqwest::Certificate::from_der(&setup.certificate()).unwrap();
    let client =
        || reqwest::Client::builder().tls_certs_only([certificate.clone()]).resolve(HOST, far).no_proxy();
    let clients =
        [("HTTP/1.1", client().http1_only().build().unwrap()), ("HTTP/2", client().build().unwrap())];
    let mut all = [Vec::new(), Vec::new()];
    for _ in 0..7 {
        for ((name, client), times) in clients.iter().zip(&mut all) {
            let began = Instant::now();
            // Without a port the port of the resolved address is used.
            let url = format!("https://{HOST}/api/public");
            let response = client.post(url).body(vec![b'x'; 10_000_000]).send().await.unwrap();
            assert_eq!(response.status(), 200, "{name}");
            assert_eq!(response.version() == reqwest::Version::HTTP_2, *name == "HTTP/2");
            times.push(began.elapsed());
        }
    }
    let [one, two] = all.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!(
        "median of 7: HTTP/1.1 {one:?}, HTTP/2 {two:?}, ratio {:.2}",
        two.as_secs_f64() / one.as_secs_f64()
    );
}
