//! A script as browsers get it.

/// A script for NocoBase's pages.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its text.
    pub body: String,
    /// The beginning of its SHA-256 in hex: changes when the text does.
    pub version: String,
    /// The address under which browsers may cache it permanently.
    pub src: String,
}
