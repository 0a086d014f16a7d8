//! Compresses cached files as well as possible, in a low-priority thread.

use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::future::Cache;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::file::{Digest, Encoded, Entry, File, Key};
use crate::proxy::coding::{Coding, Effort, compress};

/// Most files in the queue. One that does not fit is queued at the next request for it.
const WAITING: usize = 1024;
/// A file that has been compressed, or could not be kept for lack of memory, is not compressed again for this long.
const REPEAT_AFTER: Duration = Duration::from_secs(600);

struct Job {
    /// Dangling if the file has been evicted meanwhile.
    file: Weak<File>,
    coding: Coding,
}

/// The thread, which ends when this is dropped.
pub(super) struct Compressor {
    jobs: Sender<Job>,
    begun: moka::sync::Cache<(Digest, Coding), ()>,
}

impl Compressor {
    /// Starts it. Results go into `cache`.
    pub(super) fn start(cache: Cache<Key, Entry>) -> Result<Compressor, String> {
        let (jobs, waiting) = channel(WAITING);
        let failed = |e| format!("cannot start a thread: {e}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("compressor".into())
            .spawn(move || {
                // If the system does not allow this, the thread works at normal priority.
                let last = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
                let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, last);
                runtime.block_on(work(waiting, cache));
            })
            .map_err(failed)?;
        let begun = moka::sync::Cache::builder().max_capacity(16_384).time_to_live(REPEAT_AFTER).build();
        Ok(Compressor { jobs, begun })
    }

    /// Queues this content for the best compression.
    pub(super) fn improve(&self, file: &Arc<File>, coding: Coding) {
        let key = (file.digest, coding);
        if !coding.can_be_better() || !self.begun.entry(key).or_insert_with(|| ()).is_fresh() {
            return;
        }
        if self.jobs.try_send(Job { file: Arc::downgrade(file), coding }).is_err() {
            // The queue is full: the next request tries again.
            self.begun.invalidate(&key);
        }
    }
}

async fn work(mut waiting: Receiver<Job>, cache: Cache<Key, Entry>) {
    while let Some(job) = waiting.recv().await {
        let Some(file) = job.file.upgrade() else { continue };
        if let Ok(bytes) = compress(&file.bytes, job.coding, Effort::Best) {
            let encoded = Encoded { bytes, effort: Effort::Best };
            cache.insert(Key::Encoded(file.digest, job.coding), Entry::Encoded(encoded.into())).await;
        }
    }
}
