//! WeCom's receive-message callback, `/wecom-gate/events/<name>` (docs 90930, 90968, 90240, 90970). Pure: bytes and a time in, an
//! [`Event`] out.
//!
//! The signature is checked before anything is decrypted, and every failure looks the same to the sender: the cipher is WeCom's
//! AES-CBC, which would otherwise be a padding oracle (R12).

mod crypto;
mod message;
mod receiver;
mod rejected;
mod xml;

pub use message::{Event, Notice};
pub use receiver::{MAX_BODY, Receiver};
pub use rejected::{BadAesKey, RejectedEvent};
