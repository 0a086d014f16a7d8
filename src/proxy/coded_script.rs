//! `gate.js` in each coding.

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::coding::{Coding, Effort, compress};

/// The script in each coding, made at the first request for it.
#[derive(Default)]
pub(crate) struct CodedScript {
    gzip: OnceCell<Bytes>,
    brotli: OnceCell<Bytes>,
    zstd: OnceCell<Bytes>,
}

impl CodedScript {
    /// The script in this coding; `None`: it is not compressed.
    pub(crate) async fn get(&self, body: &str, coding: Coding) -> Option<Bytes> {
        let cell = match coding {
            Coding::Identity => return None,
            Coding::Gzip => &self.gzip,
            Coding::Brotli => &self.brotli,
            Coding::Zstd => &self.zstd,
        };
        let make = || async {
            let body = body.to_owned();
            let done =
                tokio::task::spawn_blocking(move || compress(body.as_bytes(), coding, Effort::Best)).await;
            done.ok().and_then(Result::ok).ok_or(())
        };
        cell.get_or_try_init(make).await.ok().cloned()
    }
}
