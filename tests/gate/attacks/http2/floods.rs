//! Floods of frames and streams, and how much of a body is accepted at once.

use std::time::{Duration, Instant};

use super::*;
use crate::support::raw::frames::{CONTINUATION, PING, SETTINGS, field};

/// Sends these frames repeatedly on one connection until the gate closes it or all are sent, while another client is served; the
/// growth of the gate's memory in KiB.
async fn flood(what: &str, first: Vec<u8>, times: usize, mut piece: impl FnMut(u32) -> Vec<u8>) -> u64 {
    let (_upstream, setup, mut gate) = stage().await;
    let good = setup.h2(&gate).await;
    assert_eq!(good.ask("GET", "/api/public", &[], &[]).await.0, 200);
    let before = gate.rss_kib();
    let mut peak = before;
    let mut frames = setup.frames(&gate).await;
    // Wait for the gate's first frame, so that the connection is established.
    assert_eq!(frames.next().await.map(|f| f.kind), Some(SETTINGS), "{what}: the connection does not begin");
    assert!(frames.send(&first).await, "{what}: the flood does not begin");
    let began = Instant::now();
    // Many frames per write: a flood, not a conversation.
    for round in 0..times / 64 {
        let bytes: Vec<u8> = (0..64).flat_map(|i| piece(u32::try_from(round * 64 + i).unwrap())).collect();
        let sent = tokio::time::timeout(Duration::from_secs(2), frames.send(&bytes)).await;
        if round % 16 == 0 {
            peak = peak.max(gate.rss_kib());
            let slow = Instant::now();
            assert_eq!(
                good.ask("GET", "/api/public", &[], &[]).await.0,
                200,
                "{what}: others are not served"
            );
            assert!(slow.elapsed() < Duration::from_secs(5), "{what}: others wait {:?}", slow.elapsed());
        }
        // Closed, or no longer read from.
        if sent != Ok(true) || began.elapsed() > Duration::from_secs(20) {
            break;
        }
    }
    peak = peak.max(gate.rss_kib());
    assert_eq!(setup.h2(&gate).await.ask("GET", "/api/public", &[], &[]).await.0, 200, "{what}");
    gate.ends_unharmed(what).await;
    peak.saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn r29_floods_of_http_2_end_with_their_connection() {
    let request = block(&pseudo("GET", "/api/public"));
    let stranger = block(&pseudo("GET", "/api/x"));
    let open = frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/api/public")));
    let filler = field(b"x-filler", "y".repeat(CHUNK as usize - 100).as_bytes());
    let mut grown = Vec::new();
    // CVE-2023-44487, with requests that go to NocoBase and with requests that the gate answers itself.
    for (what, block) in [("rapid reset", &request), ("rapid reset, refused", &stranger)] {
        let piece = |i: u32| {
            let stream = 2 * i + 1;
            let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, block);
            both.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            both
        };
        grown.push((what, flood(what, Vec::new(), 30_000, piece).await));
    }
    // CVE-2024-27316: a header block that never ends, 160 MB of it.
    let what = "continuation";
    let first = frame(HEADERS, END_STREAM, 1, &request);
    grown.push((what, flood(what, first, 10_000, |_| frame(CONTINUATION, 0, 1, &filler)).await));
    let what = "empty continuation";
    let first = frame(HEADERS, END_STREAM, 1, &request);
    grown.push((what, flood(what, first, 100_000, |_| frame(CONTINUATION, 0, 1, b"")).await));
    // CVE-2019-9512, -9515, -9518: responses that the client does not read, and frames without content.
    let what = "ping";
    grown.push((
        what,
        flood(what, Vec::new(), 200_000, |i| frame(PING, 0, 0, &u64::from(i).to_be_bytes())).await,
    ));
    let what = "settings";
    grown
        .push((what, flood(what, Vec::new(), 200_000, |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1])).await));
    let what = "empty data";
    grown.push((what, flood(what, open, 100_000, |_| frame(DATA, 0, 1, b"")).await));
    // More than the window allows, for a request that waits for it and for one that was refused.
    let kilobyte = [0; 1024];
    for (what, path) in [("data beyond the window", "/api/public"), ("data, refused", "/api/x")] {
        let open = frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", path)));
        grown.push((what, flood(what, open, 200_000, |_| frame(DATA, 0, 1, &kilobyte)).await));
    }
    println!("growth in KiB: {grown:?}");
    for (what, kib) in &grown {
        assert!(*kib < 64 * 1024, "{what}: grew by {kib} KiB; all: {grown:?}");
    }
}

/// What a client may send before it is read is bounded, and enough for an upload over a long distance: 2 MiB for each stream, and
/// for all streams of a connection together.
#[tokio::test(flavor = "multi_thread")]
async fn r29_windows_of_http_2_are_bounded_and_wide() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    const INITIAL_WINDOW_SIZE: u16 = 4;
    const WINDOW_UPDATE: u8 = 8;
    let (_upstream, setup, gate) = stage().await;
    let mut frames = setup.frames(&gate).await;
    let settings = frames.next().await.expect("settings");
    assert_eq!(settings.kind, SETTINGS);
    let setting = |wanted: u16| {
        settings.payload.chunks(6).find_map(|s| {
            let value = u32::from_be_bytes([s[2], s[3], s[4], s[5]]);
            (u16::from_be_bytes([s[0], s[1]]) == wanted).then_some(value)
        })
    };
    assert_eq!(setting(INITIAL_WINDOW_SIZE), Some(2 << 20));
    assert_eq!(setting(MAX_CONCURRENT_STREAMS), Some(100));
    let more = loop {
        let frame = frames.next().await.expect("a window for the connection");
        if frame.kind == WINDOW_UPDATE && frame.stream == 0 {
            break u32::from_be_bytes(frame.payload.try_into().unwrap());
        }
    };
    // RFC 9113, 6.9.2: the initial window.
    assert_eq!(more + 65_535, 2 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn r29_more_streams_than_allowed_are_refused() {
    let (upstream, setup, gate) = stage().await;
    let mut frames = setup.frames(&gate).await;
    // Requests whose bodies never come.
    let post = block(&pseudo("POST", "/api/public"));
    let all: Vec<u8> = (0..400).flat_map(|i| frame(HEADERS, END_HEADERS, 2 * i + 1, &post)).collect();
    frames.send(&all).await;
    let mut refused = 0;
    while let Some(frame) = frames.next().await {
        refused += usize::from(frame.kind == RST_STREAM);
        if refused >= 300 {
            break;
        }
    }
    assert_eq!(refused, 300, "100 streams at once, and no more");
    assert!(upstream.take().is_empty());
}
