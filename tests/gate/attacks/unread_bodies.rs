//! A body that the gate does not read must not lose the response.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use crate::support::raw::{gate_with, read_all, request};

/// An unread body: the response arrives anyway, immediately, and the connection serves the next request.
#[tokio::test(flavor = "multi_thread")]
async fn responses_arrive_however_large_the_unread_body() {
    let (upstream, setup, gate) = gate_with(|s| s.https().set("limits.body_bytes", "1GiB")).await;
    for (size, pause) in [(70_000, 0), (1 << 20, 0), (9 << 20, 0), (100 << 20, 0), (4 << 20, 40)] {
        for (path, status) in [("/api/x", 401), ("/a/../b", 400), ("/wecom-gate/none", 404)] {
            let h2 = setup.h2(&gate).await;
            let began = Instant::now();
            let (got, after) = h2.upload(path, size, Duration::from_millis(pause)).await;
            assert_eq!(got, status, "{path} with {size} bytes");
            assert!(after < Duration::from_secs(5), "{path} with {size} bytes: after {after:?}");
            println!("{path} {size} bytes: {got} after {after:?} of {:?}", began.elapsed());
            assert_eq!(
                h2.ask("GET", "/api/public", &[], &[]).await.0,
                200,
                "{path} with {size} bytes: and then"
            );
        }
        upstream.take();
    }
}

/// The same over HTTP/1.1, for clients that send everything before they read.
#[tokio::test(flavor = "multi_thread")]
async fn responses_of_http_1_are_not_lost_behind_a_body() {
    let (upstream, setup, gate) = gate_with(|s| s.https().set("limits.body_bytes", "1GiB")).await;
    for tls in [false, true] {
        for size in [70_000_usize, 1 << 20, 9 << 20, 60 << 20] {
            for (path, status) in [("/api/x", 401), ("/a/../b", 400), ("/wecom-gate/none", 404)] {
                let mut line = setup.line(&gate, tls).await;
                line.write_all(request("POST", path, &format!("Content-Length: {size}\r\n")).as_bytes())
                    .await
                    .unwrap();
                let piece = vec![b'x'; 64 << 10];
                let mut left = size;
                while left > 0 {
                    let now = left.min(piece.len());
                    if line.write_all(&piece[..now]).await.is_err() {
                        break;
                    }
                    left -= now;
                }
                let _ = line.flush().await;
                assert_eq!(left, 0, "{path} with {size} bytes, tls {tls}: {left} bytes were not taken");
                let got = read_all(&mut line).await;
                assert_eq!(got.status(), status, "{path} with {size} bytes, tls {tls}: {}", got.text());
            }
        }
    }
    assert!(upstream.take().is_empty());
}
