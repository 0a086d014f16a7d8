//! The phantom: what the page holds in place of NocoBase's token. Random, and useless without the session cookie that it belongs
//! to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::error::Failure;

use super::random;

const PREFIX: &[u8; 4] = b"wcg_";
/// Characters of the text form: prefix and 24 bytes in base64url.
pub(crate) const TEXT_BYTES: usize = 4 + 32;

/// 192 random bits, new for each sign-in.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Phantom([u8; 24]);

impl std::fmt::Debug for Phantom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phantom(..)")
    }
}

impl PartialEq for Phantom {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
impl Eq for Phantom {}

impl Phantom {
    /// A new one.
    pub(crate) fn random() -> Result<Self, Failure> {
        random::bytes().map(Phantom)
    }

    /// The form given to the page: `wcg_` and 32 characters of `[A-Za-z0-9_-]`.
    pub fn text(&self) -> String {
        self.encoded().iter().copied().map(char::from).collect()
    }

    /// Whether `presented` is this phantom's text form, compared in constant time.
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.encoded().ct_eq(presented).into()
    }

    fn encoded(&self) -> [u8; TEXT_BYTES] {
        let mut out = [0; TEXT_BYTES];
        let (head, tail) = out.split_at_mut(PREFIX.len());
        head.copy_from_slice(PREFIX);
        // 24 bytes are 32 characters exactly, so this cannot fail; if it did, the phantom would match
        // nothing.
        if BASE64URL.encode_slice(self.0, tail) != Ok(tail.len()) {
            return [0; TEXT_BYTES];
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_fixed() {
        let text = Phantom([0xfb; 24]).text();
        assert_eq!(text, "wcg_-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7");
    }

    #[test]
    fn only_the_whole_text_matches() {
        let phantom = Phantom::random().unwrap();
        let text = phantom.text().into_bytes();
        assert!(phantom.matches(&text));
        for i in 0..text.len() {
            let mut other = text.clone();
            other[i] ^= 1;
            assert!(!phantom.matches(&other), "byte {i}");
            assert!(!phantom.matches(&text[..i]));
        }
        assert!(!phantom.matches(&[&text[..], b"x"].concat()));
        assert!(!phantom.matches(&[0; TEXT_BYTES]));
        assert!(!phantom.matches(&Phantom::random().unwrap().text().into_bytes()));
    }

    #[test]
    fn r27_debug_shows_nothing() {
        assert_eq!(format!("{:?}", Phantom([7; 24])), "Phantom(..)");
    }
}
