//! R11: `Cookie` is forwarded without the gate's cookies, the others byte for byte and in order. Each line is a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecom_gate::session::{Names, forwardable};

/// The cookies as any server parses them: between semicolons, trimmed.
fn read<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let all = headers.into_iter().flat_map(|h| h.split(|b| *b == b';'));
    all.map(<[u8]>::trim_ascii).filter(|c| !bare(c).is_empty()).collect()
}

/// Without anything that a parser treats as blank, including JavaScript's 0x85 and 0xA0.
fn bare(text: &[u8]) -> &[u8] {
    let solid = |b: &u8| *b > b' ' && !matches!(b, 0x7f | 0x85 | 0xa0);
    let Some(first) = text.iter().position(solid) else { return b"" };
    let last = text.iter().rposition(solid).unwrap_or(first);
    &text[first..=last]
}

fn name(cookie: &[u8]) -> &[u8] {
    bare(cookie.split(|b| *b == b'=').next().unwrap_or_default())
}

/// Only names of the gate: `wecom_gatekeeper` is someone else's.
fn is_ours(cookie: &[u8]) -> bool {
    let name = name(cookie);
    let name = name.strip_prefix(b"__Host-").unwrap_or(name);
    cookie.contains(&b'=') && (name == b"wecom_gate" || name.starts_with(b"wecom_gate_"))
}

fn is_nocobases(cookie: &[u8]) -> bool {
    cookie.contains(&b'=')
        && [&b"nb_auth_token_"[..], b"nb_authenticator_"].iter().any(|p| name(cookie).starts_with(p))
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, data)) = data.split_first() else { return };
    let in_session = flags & 1 == 1;
    let extra = (flags & 2 == 2).then_some("k=v; l=w");
    let headers: Vec<&[u8]> = data.split(|b| *b == b'\n').collect();
    let Ok(forwarded) = forwardable(&Names::new(true, "wecom_gate"), headers.iter().copied(), in_session, extra.as_slice()) else { return };
    let forwarded = forwarded.unwrap_or_default();
    let mut out = read([&forwarded[..]]);
    if let Some(extra) = extra {
        let added = read([extra.as_bytes()]);
        assert!(out.ends_with(&added));
        out.truncate(out.len() - added.len());
    }
    assert!(!out.iter().any(|c| is_ours(c)), "{}", forwarded.escape_ascii());
    assert!(!in_session || !out.iter().any(|c| is_nocobases(c)), "{}", forwarded.escape_ascii());
    let mut others = read(headers);
    others.retain(|c| !is_ours(c) && !(in_session && is_nocobases(c)));
    assert_eq!(out, others);
});
