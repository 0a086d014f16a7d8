//! Text that every request needs: what is written by hand, or by a crate, against the library's way.
//!
//! The gate's own is not public: its two files are compiled into this benchmark as they are.

use std::fmt::Write as _;
use std::hint::black_box;
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

/// The same as `address::header_value`, by `Display` into text that is long enough from the beginning.
fn displayed(address: IpAddr) -> Option<HeaderValue> {
    let mut text = String::with_capacity(45);
    write!(text, "{address}").ok()?;
    HeaderValue::from_str(&text).ok()
}

/// The same as an id of `request_id`, by `{:x}`.
fn formatted(prefix: &str, count: u64) -> Option<HeaderValue> {
    let mut text = String::with_capacity(33);
    write!(text, "{prefix}{count:x}").ok()?;
    HeaderValue::from_str(&text).ok()
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
