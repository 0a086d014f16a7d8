//! Bytes that are changed when forwarded: the script in NocoBase's pages, the token in its WebSocket, the coding of bodies.
//!
//! Pure: bytes in, bytes out. Must never: know a session, Pingora or a socket.

pub mod auth_message;
pub(crate) mod body_coder;
pub mod script_injector;
pub mod token_swapper;
pub mod websocket_frames;
