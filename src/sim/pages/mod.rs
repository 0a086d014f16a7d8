//! The pages that people see of WeCom: the client, the consent page, the QR page.

use axum::http::request::Parts;
use axum::response::Response;

use super::state::Shared;

/// Answers a page's request; `None`: there is no such page.
pub(super) fn serve(_sim: &Shared, _parts: &Parts, _body: &[u8]) -> Option<Response> {
    None
}
