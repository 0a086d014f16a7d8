//! Compresses cached files as well as possible, in a low-priority thread.

use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::future::Cache;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::file::{Encoded, Entry, File, Key};
use crate::proxy::coding::{Coding, Effort, compress, compress_with};

/// Most files in a queue. One that does not fit is queued at the next request for it.
const WAITING: usize = 1024;
/// A file that has been compressed, or could not be kept for lack of memory, is not compressed again for this long.
const REPEAT_AFTER: Duration = Duration::from_secs(600);

struct Job {
    /// Dangling if the file has been evicted meanwhile.
    file: Weak<File>,
    how: How,
}

enum How {
    Alone(Coding),
    /// With this dictionary. Dangling as above.
    With(Weak<File>),
}

/// The thread, which ends when this is dropped.
pub(super) struct Compressor {
    alone: Sender<Job>,
    with_dictionary: Sender<Job>,
    begun: moka::sync::Cache<Key, ()>,
}

impl Compressor {
    /// Starts it. Results go into `cache`.
    pub(super) fn start(cache: Cache<Key, Entry>) -> Result<Compressor, String> {
        let (alone, waiting_alone) = channel(WAITING);
        let (with_dictionary, waiting_with) = channel(WAITING);
        let failed = |e| format!("cannot start a thread: {e}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("compressor".into())
            .spawn(move || {
                // If the system does not allow this, the thread works at normal priority.
                let last = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
                let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, last);
                runtime.block_on(work(waiting_with, waiting_alone, cache));
            })
            .map_err(failed)?;
        let begun = moka::sync::Cache::builder().max_capacity(16_384).time_to_live(REPEAT_AFTER).build();
        Ok(Compressor { alone, with_dictionary, begun })
    }

    /// Queues this content for the best compression.
    pub(super) fn improve(&self, file: &Arc<File>, coding: Coding) {
        if coding.can_be_better() {
            self.queue(file, Key::Encoded(file.digest, coding), How::Alone(coding));
        }
    }

    /// Queues this content for compression with this dictionary.
    pub(super) fn compress_with(&self, file: &Arc<File>, dictionary: &Arc<File>) {
        let key = Key::Delta(file.digest, dictionary.digest);
        self.queue(file, key, How::With(Arc::downgrade(dictionary)));
    }

    #[cfg(test)]
    pub(super) fn has_begun(&self, key: &Key) -> bool {
        self.begun.contains_key(key)
    }

    fn queue(&self, file: &Arc<File>, key: Key, how: How) {
        if !self.begun.entry_by_ref(&key).or_insert_with(|| ()).is_fresh() {
            return;
        }
        let jobs = if matches!(how, How::Alone(_)) { &self.alone } else { &self.with_dictionary };
        if jobs.try_send(Job { file: Arc::downgrade(file), how }).is_err() {
            // The queue is full: the next request tries again.
            self.begun.invalidate(&key);
        }
    }
}

async fn work(mut with_dictionary: Receiver<Job>, mut alone: Receiver<Job>, cache: Cache<Key, Entry>) {
    loop {
        // A dictionary saves more than a better compression.
        let job = tokio::select! {
            biased;
            Some(job) = with_dictionary.recv() => job,
            Some(job) = alone.recv() => job,
            else => return,
        };
        let Some(file) = job.file.upgrade() else { continue };
        let (key, made) = match job.how {
            How::Alone(coding) => {
                (Key::Encoded(file.digest, coding), compress(&file.bytes, coding, Effort::Best))
            }
            How::With(dictionary) => {
                let Some(dictionary) = dictionary.upgrade() else { continue };
                let made = compress_with(&file.bytes, &dictionary.bytes, &dictionary.hash);
                (Key::Delta(file.digest, dictionary.digest), made)
            }
        };
        if let Ok(bytes) = made {
            let encoded = Encoded { bytes, effort: Effort::Best };
            cache.insert(key, Entry::Encoded(encoded.into())).await;
        }
    }
}
