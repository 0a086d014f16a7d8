//! A request to NocoBase and the response back, side by side.
//!
//! Must never: decide whether a request is forwarded, or set a protected header outside `headers`.

mod compression;
pub(super) mod request;
pub(super) mod response;
pub(super) mod without_script;
