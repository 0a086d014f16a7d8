//! Files of NocoBase's client that the gate caches.

use prometheus::{IntCounter, IntGauge, Result};

use super::registrar::Registrar;

/// Counters of these files. Clones share them.
#[derive(Clone)]
pub struct FileCache {
    hits: IntCounter,
    misses: IntCounter,
    evictions: IntCounter,
    saved: IntCounter,
    bytes: IntGauge,
}

impl FileCache {
    pub(super) fn new(registrar: &mut Registrar) -> Result<FileCache> {
        Ok(FileCache {
            hits: registrar.counter(
                "cache_hits_total",
                "Requests for files of NocoBase's client served from the gate's cache without a request to NocoBase.",
            )?,
            misses: registrar.counter(
                "cache_misses_total",
                "Files of NocoBase's client that the gate requested from NocoBase.",
            )?,
            evictions: registrar.counter(
                "cache_evictions_total",
                "Files evicted for lack of memory (cache.memory).",
            )?,
            saved: registrar.counter(
                "cache_saved_bytes_total",
                "Bytes of cached files saved by compression or 304 responses.",
            )?,
            bytes: registrar.gauge("cache_bytes", "Memory that kept files take.")?,
        })
    }

    /// The file was cached.
    pub fn hit(&self) {
        self.hits.inc();
    }

    /// NocoBase was asked for the file.
    pub fn miss(&self) {
        self.misses.inc();
    }

    /// Dropped for lack of memory.
    pub fn evicted(&self) {
        self.evictions.inc();
    }

    /// Not sent.
    pub fn saved(&self, bytes: u64) {
        self.saved.inc_by(bytes);
    }

    /// The memory used now, in bytes.
    pub fn holds(&self, bytes: u64) {
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}
