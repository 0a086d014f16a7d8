//! A request to NocoBase and the response back, side by side.
//!
//! Must never: decide whether a request is forwarded, or set a protected header outside `headers`.

pub mod request;
pub mod response;
pub mod without_script;
