//! The WeCom simulator: same calls, answers, errors and limits as WeCom's own API, plus the pages of WeCom's
//! client and QR login, for tests and the demo.
//!
//! Must never: be part of a deployment.
