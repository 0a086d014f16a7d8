//! The cache, limited by memory. Concurrent requests for a file cause one request to NocoBase.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use moka::future::Cache;
use moka::notification::RemovalCause;

use super::compressor::Compressor;
use super::fetch::{Fetched, Fetcher, NotKept};
use super::file::{Encoded, Entry, File, Key};
use super::learned::Learned;
use crate::config::Config;
use crate::decide::ClientFile;
use crate::metrics::FileCache;
use crate::proxy::coding::{Coding, Effort, compress};
use crate::proxy::headers::Origin;
use crate::proxy::upstream::Upstreams;

/// A file whose name does not depend on its content is revalidated after this time.
const FRESHNESS: Duration = Duration::from_secs(5);
/// A file that could not be cached is forwarded without another attempt for this long.
const FORWARDED_FOR: Duration = Duration::from_secs(5);

/// The cached files.
pub(crate) struct Assets {
    pub(super) fetcher: Fetcher,
    pub(super) kept: Arc<Kept>,
    metrics: FileCache,
}

/// The part that survives a change of the configuration.
pub(super) struct Kept {
    pub(super) cache: Cache<Key, Entry>,
    /// The plugin files that pages are told.
    pub(super) plugins: ArcSwapOption<Learned>,
    /// Held while NocoBase is asked for them.
    pub(super) learning: tokio::sync::Mutex<()>,
    /// Names of files that could not be cached.
    not_kept: Cache<Box<str>, ()>,
    pub(super) compressor: Compressor,
    /// The part of the configuration that the content depends on.
    basis: Basis,
}

#[derive(PartialEq, Eq)]
struct Basis {
    memory: u64,
    nodes: Vec<String>,
    public_path: String,
    app: String,
}

impl Assets {
    /// `None`: nothing is cached. `before`: the cache from before a change of the configuration.
    pub(crate) fn new(
        config: &Config,
        origin: &Origin,
        metrics: &FileCache,
        before: Option<&Assets>,
    ) -> Result<Option<Assets>, String> {
        if config.cache.memory == 0 {
            return Ok(None);
        }
        let public_path = &config.nocobase.public_path;
        let basis = Basis {
            memory: config.cache.memory,
            nodes: config.upstream.nodes.clone(),
            public_path: public_path.clone(),
            app: config.nocobase.app.clone(),
        };
        let fetcher = Fetcher::new(&config.upstream, public_path, origin.clone())?;
        let kept = match before.filter(|before| before.kept.basis == basis) {
            Some(before) => before.kept.clone(),
            None => Arc::new(Kept::new(basis, metrics.clone())?),
        };
        Ok(Some(Assets { fetcher, kept, metrics: metrics.clone() }))
    }

    /// The file; `None`: the request has to be forwarded.
    pub(super) async fn find(&self, upstreams: &Upstreams, wanted: &ClientFile<'_>) -> Option<Arc<File>> {
        let name = match wanted.query {
            None => wanted.path.to_owned(),
            Some(query) => format!("{}?{query}", wanted.path),
        };
        let key = Key::File(name.into_boxed_str());
        if self.kept.is_refused(&key) {
            return None;
        }
        match self.kept.cache.get(&key).await.and_then(Entry::file) {
            Some(file) if file.is_lasting() || file.age() < FRESHNESS => {
                self.metrics.hit();
                Some(file)
            }
            Some(old) => self.again(upstreams, wanted, &key, old).await,
            None => self.first(upstreams, wanted, &key).await,
        }
    }

    /// Fetches a file that is not cached.
    async fn first(&self, upstreams: &Upstreams, wanted: &ClientFile<'_>, key: &Key) -> Option<Arc<File>> {
        let fetch = async {
            // Another request may have failed to fetch it meanwhile.
            if self.kept.is_refused(key) {
                return Err(NotKept::Refused);
            }
            self.metrics.miss();
            let fetched = match self.fetcher.fetch(upstreams, wanted, None).await {
                Ok(Fetched::New(file)) => return Ok(Entry::File(file)),
                Ok(Fetched::Same { .. }) => NotKept::Refused,
                Err(not_kept) => not_kept,
            };
            // Before the next request may ask (R34).
            self.kept.refuse(key).await;
            Err(fetched)
        };
        let entry = self.kept.cache.try_get_with(key.clone(), fetch).await.ok()?;
        self.metrics.holds(self.kept.cache.weighted_size());
        entry.file()
    }

    /// Revalidates a file that may have changed.
    async fn again(
        &self,
        upstreams: &Upstreams,
        wanted: &ClientFile<'_>,
        key: &Key,
        old: Arc<File>,
    ) -> Option<Arc<File>> {
        let _one_at_a_time = old.checking.lock().await;
        // Another request may have tried and failed to fetch it meanwhile.
        if self.kept.is_refused(key) {
            return None;
        }
        let now = self.kept.cache.get(key).await.and_then(Entry::file);
        if let Some(file) = now.filter(|file| file.is_lasting() || file.age() < FRESHNESS) {
            self.metrics.hit();
            return Some(file);
        }
        self.metrics.miss();
        match self.fetcher.fetch(upstreams, wanted, Some(&old)).await {
            Ok(Fetched::Same { lasting }) => old.confirmed(lasting),
            Ok(Fetched::New(file)) if file.digest == old.digest => old.confirmed(file.is_lasting()),
            Ok(Fetched::New(file)) => {
                self.kept.cache.insert(key.clone(), Entry::File(file.clone())).await;
                return Some(file);
            }
            // NocoBase is down: the cached file is better than nothing.
            Err(NotKept::Away) => old.checked(),
            Err(NotKept::Refused) => {
                self.kept.refuse(key).await;
                self.kept.cache.invalidate(key).await;
                return None;
            }
        }
        drop(_one_at_a_time);
        Some(old)
    }

    /// The content in this coding, at the best available effort. `None`: it cannot be compressed.
    pub(super) async fn encoded(&self, file: &Arc<File>, coding: Coding) -> Option<Arc<Encoded>> {
        let raw = file.bytes.clone();
        let quick = async {
            let done = tokio::task::spawn_blocking(move || compress(&raw, coding, Effort::Quick)).await;
            let bytes = done.ok().and_then(Result::ok).ok_or(())?;
            Ok::<_, ()>(Entry::Encoded(Arc::new(Encoded { bytes, effort: Effort::Quick })))
        };
        let entry = self.kept.cache.try_get_with(Key::Encoded(file.digest, coding), quick).await;
        entry.ok()?.encoded()
    }

    /// Is there a version of the content in this coding with the best compression?
    pub(super) async fn is_best(&self, file: &File, coding: Coding) -> bool {
        let found = self.kept.cache.get(&Key::Encoded(file.digest, coding)).await;
        found.and_then(Entry::encoded).is_some_and(|encoded| encoded.effort == Effort::Best)
    }

    /// From the next request on, the content should have the best compression in this coding.
    pub(super) fn improve(&self, file: &Arc<File>, coding: Coding) {
        self.kept.compressor.improve(file, coding);
    }

    /// This many bytes of a file did not have to be sent.
    pub(super) fn saved(&self, bytes: usize) {
        self.metrics.saved(bytes as u64);
    }
}

impl Kept {
    fn new(basis: Basis, metrics: FileCache) -> Result<Kept, String> {
        let cache = Cache::builder()
            .max_capacity(basis.memory)
            .weigher(|key: &Key, entry: &Entry| entry.weight(key))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    metrics.evicted();
                }
            })
            .build();
        let not_kept = Cache::builder().max_capacity(4096).time_to_live(FORWARDED_FOR).build();
        let compressor = Compressor::start(cache.clone())?;
        Ok(Kept {
            cache,
            plugins: ArcSwapOption::empty(),
            learning: tokio::sync::Mutex::new(()),
            not_kept,
            compressor,
            basis,
        })
    }

    pub(super) fn public_path(&self) -> &str {
        &self.basis.public_path
    }

    /// Did a recent attempt show that this cannot be cached?
    fn is_refused(&self, key: &Key) -> bool {
        matches!(key, Key::File(name) if self.not_kept.contains_key(name))
    }

    /// Records that it cannot.
    async fn refuse(&self, key: &Key) {
        if let Key::File(name) = key {
            self.not_kept.insert(name.clone(), ()).await;
        }
    }
}
