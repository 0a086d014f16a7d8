//! Sealing: turns a value into a text that only a holder of the session keys can read or create, and back.
//!
//! `base64url( version(1) || key id(4) || nonce(12) || AES-256-GCM( postcard(value) ) || tag(16) )`
//!
//! - HKDF-SHA256 (RFC 5869) derives from each configured key (64 random bytes) one AES key per [`Purpose`], and a key id. A text
//!   sealed for one purpose cannot be opened for another: both the key and the AAD differ.
//! - The AAD contains version, purpose, origin and context (the cookie's name), each preceded by its length, so that no two
//!   different sets give the same bytes (R13). A text sealed by one installation cannot be opened by another with the same keys,
//!   because its origin differs (R37).
//! - The first key seals, all open (R14). The key id selects the key, so rotation costs no trial decryption.
//! - Every fault of a text gives the same result, `None` (R12). There is no padding and no error message that could show an
//!   attacker how far a text got.
//! - Nonces are random. NIST SP 800-38D allows 2^32 of them per key, which keeps the probability of a single repetition below
//!   2^-32. A session is sealed about 24 times per `session.idle`: 10,000 members all day long at the default of 12 hours make
//!   480,000 seals a day, and need 24 years to get there; rotating the keys starts again from zero.
//!
//! Why not `cookie::PrivateJar`: it has one key for all cookies and no key ids, so purposes and rotation would have to be built
//! around it, and it adds a second AES implementation (`aes-gcm`) next to ring. The `cookie` crate writes our `Set-Cookie` lines.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac;
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;

use super::random;

/// Bytes of one configured key.
pub(crate) const KEY_BYTES: usize = 64;
/// Longest sealed text. Browsers keep 4096 bytes of name and value together; a longer text is neither created nor opened.
pub(crate) const MAX_TEXT: usize = 3900;

const VERSION: u8 = 2;
const KEY_ID_BYTES: usize = 4;
/// Bytes of a name from [`Keyring::blind`].
const NAME_BYTES: usize = 16;

/// What a sealed text is for. Each purpose has its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The session cookie.
    Session,
    /// The cookie of a session that began at NocoBase's own form.
    PasswordSession,
    /// The cookie of a pending sign-in. The name is part of what is sealed (`flow.1`), so it stays.
    Flow,
    /// The cookie of a member without a matching NocoBase user.
    Link,
    /// What the nodes share about a callback.
    Claim,
    /// WeCom's access token, as the nodes share it.
    AccessToken,
    /// A session that has ended, as the nodes publish it.
    Ending,
    /// That a member may use the app, as the nodes share it.
    MemberStatus,
    /// That NocoBase has confirmed a session, as the nodes share it.
    SessionStatus,
    /// A refused sign-in, as the nodes share it.
    Refusal,
    /// What an authority asks any node for, as the nodes share it.
    AcmeChallenge,
    /// A part of a certificate with its key, as the nodes share it.
    AcmeCertificate,
    /// When a session was last used, as the nodes share it.
    LastUse,
    /// An attempt to link an account by its password, as the nodes count it.
    LinkAttempt,
}

impl Purpose {
    /// Part of key derivation and AAD. Must change with the sealed type's fields: postcard does not name fields, and a text in
    /// the old form must not be read as the new one.
    const fn label(self) -> &'static [u8] {
        match self {
            Purpose::Session => b"session.2",
            Purpose::PasswordSession => b"password session.1",
            Purpose::Flow => b"flow.1",
            Purpose::Link => b"link.1",
            Purpose::Claim => b"claim.2",
            Purpose::AccessToken => b"access token.1",
            Purpose::Ending => b"ending.1",
            Purpose::MemberStatus => b"standing.3",
            Purpose::SessionStatus => b"session status.1",
            Purpose::Refusal => b"refusal.1",
            Purpose::AcmeChallenge => b"acme challenge.1",
            Purpose::AcmeCertificate => b"acme certificate.1",
            Purpose::LastUse => b"last use.1",
            Purpose::LinkAttempt => b"link attempt.1",
        }
    }
}

/// Why the configured keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is none.
    #[error("session.keys is empty: at least one key is needed (`wecom-gate keygen` makes one)")]
    Empty,
    /// One has the wrong length.
    #[error(
        "session.keys[{index}] has {length} bytes instead of {KEY_BYTES} (`wecom-gate keygen` makes one)"
    )]
    Length {
        /// Position in the list, from 0.
        index: usize,
        /// Its length in bytes.
        length: usize,
    },
    /// Key derivation failed; a defect.
    #[error("session.keys[{index}] cannot be used")]
    Derivation {
        /// Position in the list, from 0.
        index: usize,
    },
}

/// The session keys, derived once.
pub struct Keyring {
    /// The installation's.
    origin: Box<str>,
    /// Seals and opens.
    first: Keys,
    /// These only open.
    older: Vec<Keys>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("keys", &(1 + self.older.len())).finish_non_exhaustive()
    }
}

struct Keys {
    id: [u8; KEY_ID_BYTES],
    session: LessSafeKey,
    password_session: LessSafeKey,
    flow: LessSafeKey,
    link: LessSafeKey,
    claim: LessSafeKey,
    access_token: LessSafeKey,
    ending: LessSafeKey,
    member_status: LessSafeKey,
    session_status: LessSafeKey,
    refusal: LessSafeKey,
    acme_challenge: LessSafeKey,
    acme_certificate: LessSafeKey,
    last_use: LessSafeKey,
    link_attempt: LessSafeKey,
    /// For [`Keyring::blind`].
    names: hmac::Key,
}

/// HKDF output of four bytes.
struct KeyId;
impl KeyType for KeyId {
    fn len(&self) -> usize {
        KEY_ID_BYTES
    }
}

impl Keys {
    fn derive(secret: &[u8]) -> Option<Self> {
        let prk = Salt::new(HKDF_SHA256, b"wecom-gate session keys").extract(secret);
        let mut id = [0; KEY_ID_BYTES];
        prk.expand(&[b"key id"], KeyId).ok()?.fill(&mut id).ok()?;
        Some(Keys {
            id,
            session: Self::aead(&prk, Purpose::Session)?,
            password_session: Self::aead(&prk, Purpose::PasswordSession)?,
            flow: Self::aead(&prk, Purpose::Flow)?,
            link: Self::aead(&prk, Purpose::Link)?,
            claim: Self::aead(&prk, Purpose::Claim)?,
            access_token: Self::aead(&prk, Purpose::AccessToken)?,
            ending: Self::aead(&prk, Purpose::Ending)?,
            member_status: Self::aead(&prk, Purpose::MemberStatus)?,
            session_status: Self::aead(&prk, Purpose::SessionStatus)?,
            refusal: Self::aead(&prk, Purpose::Refusal)?,
            acme_challenge: Self::aead(&prk, Purpose::AcmeChallenge)?,
            acme_certificate: Self::aead(&prk, Purpose::AcmeCertificate)?,
            last_use: Self::aead(&prk, Purpose::LastUse)?,
            link_attempt: Self::aead(&prk, Purpose::LinkAttempt)?,
            names: prk.expand(&[b"names"], hmac::HMAC_SHA256).ok()?.into(),
        })
    }

    fn aead(prk: &Prk, purpose: Purpose) -> Option<LessSafeKey> {
        let info = [b"seal ", purpose.label()];
        let okm = prk.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    }

    const fn of(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::PasswordSession => &self.password_session,
            Purpose::Flow => &self.flow,
            Purpose::Link => &self.link,
            Purpose::Claim => &self.claim,
            Purpose::AccessToken => &self.access_token,
            Purpose::Ending => &self.ending,
            Purpose::MemberStatus => &self.member_status,
            Purpose::SessionStatus => &self.session_status,
            Purpose::Refusal => &self.refusal,
            Purpose::AcmeChallenge => &self.acme_challenge,
            Purpose::AcmeCertificate => &self.acme_certificate,
            Purpose::LastUse => &self.last_use,
            Purpose::LinkAttempt => &self.link_attempt,
        }
    }
}

impl Keyring {
    /// Derives all keys. The first one seals. `origin`, such as `https://nocobase.example.com`, is part of everything that is
    /// sealed, so nothing can be opened in an installation with another origin (R37).
    pub fn new(secrets: &[SecretSlice<u8>], origin: &str) -> Result<Self, KeyringError> {
        let mut all = Vec::with_capacity(secrets.len());
        for (index, secret) in secrets.iter().enumerate() {
            let secret = secret.expose_secret();
            if secret.len() != KEY_BYTES {
                return Err(KeyringError::Length { index, length: secret.len() });
            }
            all.push(Keys::derive(secret).ok_or(KeyringError::Derivation { index })?);
        }
        let mut all = all.into_iter();
        let first = all.next().ok_or(KeyringError::Empty)?;
        Ok(Keyring { origin: origin.into(), first, older: all.collect() })
    }

    /// Seals `value` for this purpose and context (the name of the cookie or of the key in Redis that will hold it).
    ///
    /// Fails with [`Failure::TooLarge`] if the text would not fit into a cookie, and with [`Failure::Internal`] if the system has
    /// no random bytes.
    pub fn seal<T: Serialize>(&self, purpose: Purpose, context: &[u8], value: &T) -> Result<String, Failure> {
        let nonce = random::bytes::<NONCE_LEN>()?;
        let mut body = postcard::to_stdvec(value).map_err(|_| Failure::Internal)?;
        let tag = self
            .first
            .of(purpose)
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.aad(purpose, context)),
                &mut body,
            )
            .map_err(|_| Failure::Internal)?;
        let raw = [&[VERSION], &self.first.id[..], &nonce, &body, tag.as_ref()].concat();
        let text = BASE64URL.encode(raw);
        if text.len() > MAX_TEXT { Err(Failure::TooLarge) } else { Ok(text) }
    }

    /// Opens a text from [`Keyring::seal`] with the same purpose and context and any of the keys. `None` for everything else,
    /// without a reason.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, context: &[u8], text: &[u8]) -> Option<T> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut raw = BASE64URL.decode(text).ok()?;
        let (version, rest) = raw.split_first_mut()?;
        if *version != VERSION {
            return None;
        }
        let (id, rest) = rest.split_first_chunk_mut::<KEY_ID_BYTES>()?;
        let (nonce, body) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        // ring wipes the buffer if the tag is wrong, so there is one attempt per text; two keys with the same id (a probability
        // of 2^-32) would be noticed at once: the older of them opens nothing.
        let keys = std::iter::once(&self.first).chain(&self.older).find(|k| k.id == *id)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain =
            keys.of(purpose).open_in_place(nonce, Aad::from(self.aad(purpose, context)), body).ok()?;
        let (value, rest) = postcard::take_from_bytes(plain).ok()?;
        rest.is_empty().then_some(value)
    }

    /// A name for these parts, the same on all nodes with the same first key: nobody without the key can tell what it stands for,
    /// or find it by trying.
    pub(crate) fn blind(&self, parts: &[&str]) -> [u8; NAME_BYTES] {
        let mut context = hmac::Context::with_key(&self.first.names);
        for part in std::iter::once(&&*self.origin).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut name = [0; NAME_BYTES];
        for (to, from) in name.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        name
    }

    /// Version, purpose, origin and context, encoded unambiguously: each variable part is preceded by its length (8 bytes,
    /// big-endian).
    fn aad(&self, purpose: Purpose, context: &[u8]) -> Vec<u8> {
        let parts = [purpose.label(), self.origin.as_bytes(), context];
        let mut out = Vec::with_capacity(1 + parts.iter().map(|part| 8 + part.len()).sum::<usize>());
        out.push(VERSION);
        for part in parts {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

#[cfg(test)]
mod tests;
