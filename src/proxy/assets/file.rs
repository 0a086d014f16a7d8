//! Cached files, as NocoBase sent them and compressed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::decide::FileKind;
use crate::proxy::coding::{Coding, Effort};

/// Memory of an entry besides its content, in bytes.
const OVERHEAD: usize = 512;

/// Identifies content: the first half of its SHA-256.
pub(super) type Digest = [u8; 16];

/// A file as NocoBase sent it.
#[derive(Debug)]
pub(super) struct File {
    /// The content.
    pub bytes: Bytes,
    /// SHA-256 of the content.
    pub hash: [u8; 32],
    /// Its first half.
    pub digest: Digest,
    /// By its extension; `Content-Type` agrees.
    pub kind: FileKind,
    /// The headers of the response, including `Content-Type`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// NocoBase's `ETag`.
    pub etag: Option<HeaderValue>,
    /// NocoBase's `Last-Modified`.
    pub last_modified: Option<HeaderValue>,
    /// Its name will never stand for other content.
    lasting: AtomicBool,
    /// Milliseconds between `began` and the last time that NocoBase confirmed this file.
    checked: AtomicU64,
    began: Instant,
    /// Held while NocoBase is asked whether the file is current.
    pub checking: tokio::sync::Mutex<()>,
}

impl File {
    /// A file that NocoBase has just sent.
    pub(super) fn new(
        bytes: Bytes,
        kind: FileKind,
        headers: Vec<(HeaderName, HeaderValue)>,
        [etag, last_modified]: [Option<HeaderValue>; 2],
        lasting: bool,
    ) -> File {
        let mut hash = [0; 32];
        let whole = ring::digest::digest(&ring::digest::SHA256, &bytes);
        hash.iter_mut().zip(whole.as_ref()).for_each(|(to, from)| *to = *from);
        let mut digest = Digest::default();
        digest.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        File {
            hash,
            digest,
            bytes,
            kind,
            headers,
            etag,
            last_modified,
            lasting: AtomicBool::new(lasting),
            checked: AtomicU64::new(0),
            began: Instant::now(),
            checking: tokio::sync::Mutex::new(()),
        }
    }

    /// Will its name never stand for other content?
    pub(super) fn is_lasting(&self) -> bool {
        self.lasting.load(Ordering::Relaxed)
    }

    /// NocoBase has just confirmed that the file is current.
    pub(super) fn confirmed(&self, lasting: bool) {
        self.lasting.store(lasting, Ordering::Relaxed);
        self.checked();
    }

    /// NocoBase has just been asked.
    pub(super) fn checked(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.checked.store(now, Ordering::Relaxed);
    }

    /// How long ago NocoBase was asked.
    pub(super) fn age(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.checked.load(Ordering::Relaxed)))
    }
}

/// The content of a file, compressed.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Compressed.
    pub bytes: Bytes,
    /// How well it is compressed.
    pub effort: Effort,
}

/// The key of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Path and query.
    File(Box<str>),
    /// Content, under any name.
    Encoded(Digest, Coding),
    /// Content, and the dictionary that it is compressed with.
    Delta(Digest, Digest),
}

/// An entry.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// As NocoBase sent it.
    File(Arc<File>),
    /// Compressed.
    Encoded(Arc<Encoded>),
}

impl Entry {
    /// The file, if it is one.
    pub(super) fn file(self) -> Option<Arc<File>> {
        match self {
            Entry::File(file) => Some(file),
            Entry::Encoded(_) => None,
        }
    }

    /// The compressed content, if it is one.
    pub(super) fn encoded(self) -> Option<Arc<Encoded>> {
        match self {
            Entry::Encoded(encoded) => Some(encoded),
            Entry::File(_) => None,
        }
    }

    /// Bytes of memory.
    pub(super) fn weight(&self, key: &Key) -> u32 {
        let name = if let Key::File(name) = key { name.len() } else { 0 };
        let content = match self {
            Entry::File(file) => file.bytes.len(),
            Entry::Encoded(encoded) => encoded.bytes.len(),
        };
        u32::try_from(content + name + OVERHEAD).unwrap_or(u32::MAX)
    }
}
