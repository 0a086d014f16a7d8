//! Files of NocoBase's client, kept and compressed once for everybody. NocoBase itself compresses each again for every browser.
//!
//! Asked after the decision to forward a request, so who may have a file does not change. `fetch` asks NocoBase, `store`
//! keeps, `compressor` compresses, `respond` makes the response.
//!
//! Must never: send NocoBase anything of a member (no token, no cookie, no header of theirs), keep what is not the same for
//! everybody, or respond with anything that it has not seen whole.

mod compressor;
mod fetch;
mod file;
pub(super) mod respond;
pub(super) mod store;
