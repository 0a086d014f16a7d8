//! Signature and cipher of the callback (doc 90968).

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::rejected::{BadAesKey, RejectedEvent};
use crate::config::EventKeys;

/// WeCom's 43-character keys may end in bits that a canonical encoding leaves zero; the official sample does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Random bytes before the message, followed by its length in four bytes.
const PREFIX: usize = 16;
const HEAD: usize = PREFIX + 4;
/// WeCom pads to multiples of 32, so the padding has up to 32 bytes: a 16-byte unpadder refuses the official sample.
const MAX_PADDING: usize = 32;

/// Token and AES key of one app.
pub(super) struct Keys {
    token: SecretString,
    aes: Zeroizing<[u8; 32]>,
}

impl Keys {
    pub(super) fn new(keys: &EventKeys) -> Result<Self, BadAesKey> {
        let text = keys.aes_key.expose_secret();
        if text.len() != 43 {
            return Err(BadAesKey);
        }
        let bytes = Zeroizing::new(LENIENT.decode(text).map_err(|_| BadAesKey)?);
        let aes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| BadAesKey)?;
        Ok(Self { token: keys.token.clone(), aes: Zeroizing::new(aes) })
    }

    /// SHA-1 over the four strings, sorted and concatenated, in lower-case hex; compared in constant time.
    pub(super) fn check_signature(
        &self,
        signature: &str,
        timestamp: &str,
        nonce: &str,
        encrypted: &str,
    ) -> Result<(), RejectedEvent> {
        let mut parts = [self.token.expose_secret(), timestamp, nonce, encrypted];
        parts.sort_unstable();
        let mut sha1 = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        for part in parts {
            sha1.update(part.as_bytes());
        }
        let expected = hex::encode(sha1.finish());
        if bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
            Ok(())
        } else {
            Err(RejectedEvent::new(
                "wrong signature: event_token differs from the console's, or the request is not WeCom's",
            ))
        }
    }

    /// The message and its recipient. Only after [`Keys::check_signature`].
    pub(super) fn decrypt(&self, encrypted: &str) -> Result<(Vec<u8>, Vec<u8>), RejectedEvent> {
        const BROKEN: RejectedEvent =
            RejectedEvent::new("does not decrypt: event_aes_key differs from the console's");
        let mut buffer = LENIENT.decode(encrypted).map_err(|_| BROKEN)?;
        let (iv, _) = self.aes.split_at(16);
        let plain = cbc::Decryptor::<Aes256>::new_from_slices(self.aes.as_slice(), iv)
            .map_err(|_| BROKEN)?
            .decrypt_padded::<NoPadding>(&mut buffer)
            .map_err(|_| BROKEN)?;
        let pad = usize::from(*plain.last().ok_or(BROKEN)?);
        if pad == 0 || pad > MAX_PADDING {
            return Err(BROKEN);
        }
        let plain = plain.get(..plain.len().checked_sub(pad).ok_or(BROKEN)?).ok_or(BROKEN)?;
        let length = plain.get(PREFIX..HEAD).and_then(|b| <[u8; 4]>::try_from(b).ok()).ok_or(BROKEN)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| BROKEN)?;
        let rest = plain.get(HEAD..).ok_or(BROKEN)?;
        let (message, receiver) = rest.split_at_checked(length).ok_or(BROKEN)?;
        Ok((message.to_vec(), receiver.to_vec()))
    }
}
