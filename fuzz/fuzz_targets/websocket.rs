//! The token replacement in WebSockets: pieces make no difference, nothing is lost or invented, and memory is bounded.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wecom_gate::proxy::rewrite::auth_message::TokenVerdict;
use wecom_gate::proxy::rewrite::token_swapper::Swapper;

fn run(input: &[u8], piece: usize, swap: bool) -> (Vec<u8>, bool) {
    let mut swapper = Swapper::new(|token: &str| match token {
        "phantom" if swap => TokenVerdict::Replace("real".to_owned()),
        _ => TokenVerdict::Keep,
    });
    let mut out = Vec::new();
    for piece in input.chunks(piece) {
        match swapper.push(Bytes::copy_from_slice(piece)) {
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(_) => return (out, false),
        }
    }
    (out, true)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, input)) = data.split_first() else { return };
    let whole = run(input, usize::MAX, true);
    let pieces = run(input, usize::from(*first).max(1), true);
    assert_eq!(whole.1, pieces.1);
    if whole.1 {
        assert_eq!(whole.0, pieces.0);
    }
    let (mut out, fine) = run(input, usize::from(*first).max(1), false);
    if fine {
        // The message held back at the end is missing, and control frames overtake it; nothing else changes.
        let mut input = input.to_vec();
        assert!(out.len() <= input.len());
        if out.len() == input.len() {
            out.sort_unstable();
            input.sort_unstable();
            assert_eq!(out, input);
        }
    }
});
