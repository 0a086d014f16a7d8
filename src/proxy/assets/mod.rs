//! Files of NocoBase's client, cached and compressed once for everyone. NocoBase itself compresses each file again for every
//! browser.
//!
//! Used only once a request has been admitted, so the cache does not change who may have a file. `fetch` asks NocoBase, `store`
//! caches, `compressor` compresses, `respond` builds the response, `plugins` knows which files a page will request, `dictionary`
//! which of them the others are compressed with.
//!
//! Must never: send NocoBase any data of a member (no token, cookie or header of theirs), cache what is not the same for
//! everyone, or respond with a file that was not received completely.

mod compressor;
mod dictionary;
mod fetch;
mod file;
mod learned;
mod plugins;
pub(super) mod respond;
pub(super) mod store;
