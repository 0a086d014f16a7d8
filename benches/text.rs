//! Text that every request needs: written by hand or by a crate, compared with the standard library.
//!
//! The gate's own code is not public: its two files are compiled into this benchmark.

use std::hint::black_box;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderValue;

#[path = "../src/proxy/address.rs"]
#[allow(unused_imports)]
mod address;
#[path = "../src/proxy/request/request_id.rs"]
#[allow(dead_code, unused_imports)]
mod request_id;

/// Four numbers of all lengths.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 42));

/// The output of `write` as a header value; everything else is as in the gate's own code.
fn in_place(write: impl FnOnce(&mut &mut [u8]) -> std::io::Result<()>) -> Option<HeaderValue> {
    let mut text = [0_u8; 45];
    let mut rest = &mut text[..];
    write(&mut rest).ok()?;
    let left = rest.len();
    HeaderValue::from_bytes(text.get(..text.len() - left)?).ok()
}

/// Like `address::header_value`, with `Display`.
fn displayed(address: IpAddr) -> Option<HeaderValue> {
    in_place(|rest| write!(rest, "{address}"))
}

/// Like an id of `request_id`, with `{:x}`.
fn formatted(prefix: &str, count: u64) -> Option<HeaderValue> {
    in_place(|rest| write!(rest, "{prefix}{count:x}"))
}

fn benches(c: &mut Criterion) {
    assert_eq!(address::header_value(CLIENT), displayed(CLIENT));
    c.bench_function("text/address by hand", |b| b.iter(|| address::header_value(black_box(CLIENT))));
    c.bench_function("text/address by Display", |b| b.iter(|| displayed(black_box(CLIENT))));
    let ids = request_id::RequestIds::new();
    let first = ids.next();
    let prefix = first.to_str().unwrap_or_default().trim_end_matches('0').to_owned();
    let mut count = 0_u64;
    c.bench_function("text/request id by the hex crate", |b| b.iter(|| ids.next()));
    c.bench_function("text/request id by {:x}", |b| {
        b.iter(|| {
            count += 1;
            formatted(black_box(&prefix), count)
        });
    });
}

criterion_group!(text, benches);
criterion_main!(text);
