//! The audit log's own file: a separate thread appends the lines, and counts those that cannot be written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus::IntCounter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::error::OnceAMinute;

/// Only the gate's user may read it.
const MODE: u32 = 0o600;
/// Lines that may wait for the disk, each of less than a kilobyte. Further ones are lost.
const WAITING: usize = 16_384;

/// Why the file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "log.audit_file: cannot open {path:?} for writing: {why}; give a path in a folder that the gate's user may write to, \
     such as /var/log/wecom-gate/audit.log"
)]
pub(crate) struct OpenError {
    path: PathBuf,
    why: io::Error,
}

/// An open file, until it is closed.
pub(super) struct AuditFile {
    path: PathBuf,
    current: Arc<ArcSwap<File>>,
    lines: NonBlocking,
    /// Until it is closed.
    thread: Mutex<Option<WorkerGuard>>,
    /// Dropped lines that have been counted.
    counted: AtomicUsize,
    lost: IntCounter,
}

impl AuditFile {
    /// Opens the file, creating it if it does not exist, and starts its thread.
    pub(super) fn open(path: &Path, lost: IntCounter) -> Result<AuditFile, OpenError> {
        let current = Arc::new(ArcSwap::from_pointee(open(path)?));
        let appender =
            Appender { current: current.clone(), lost: lost.clone(), torn: false, told: OnceAMinute::new() };
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING);
        let (lines, thread) = builder.thread_name("audit").finish(appender);
        Ok(AuditFile {
            path: path.to_owned(),
            current,
            lines,
            thread: Mutex::new(Some(thread)),
            counted: AtomicUsize::new(0),
            lost,
        })
    }

    /// As configured.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Passes a line to the thread.
    pub(super) fn write(&self, line: &[u8]) {
        // The writer accepts the line or counts it as lost, and returns no errors.
        let _ = self.lines.clone().write(line);
        let dropped = self.lines.error_counter().dropped_lines();
        let counted = self.counted.fetch_max(dropped, Ordering::Relaxed);
        self.lost.inc_by(dropped.saturating_sub(counted) as u64);
    }

    /// Opens the file again by its name.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        self.current.store(Arc::new(open(&self.path)?));
        Ok(())
    }

    /// Waits until the pending lines are written.
    pub(super) fn close(&self) {
        drop(self.thread.lock().take());
    }
}

fn open(path: &Path) -> Result<File, OpenError> {
    let failed = |why| OpenError { path: path.to_owned(), why };
    // Opening a pipe without a reader must fail, not block.
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    let file =
        options.append(true).create(true).mode(MODE).custom_flags(no_wait).open(path).map_err(failed)?;
    match file.metadata() {
        Ok(about) if about.is_file() => Ok(file),
        Ok(_) => Err(failed(io::Error::other("it is not a file"))),
        Err(why) => Err(failed(why)),
    }
}

/// The thread's writer.
struct Appender {
    current: Arc<ArcSwap<File>>,
    lost: IntCounter,
    /// The last line may have been written only partly.
    torn: bool,
    told: OnceAMinute,
}

impl Write for Appender {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut file = &**self.current.load();
        let before = if self.torn { file.write_all(b"\n") } else { Ok(()) };
        let written = before.and_then(|()| file.write_all(line));
        self.torn = written.is_err();
        if let Err(error) = written {
            self.lost.inc();
            if let Some(left_out) = self.told.due() {
                tracing::error!(event = "audit_file", %error, left_out, "a line of log.audit_file is lost");
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn counter() -> IntCounter {
        IntCounter::new("lost", "lost").unwrap()
    }

    #[test]
    fn it_is_appended_to_and_no_one_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("audit.log"), folder.path().join("audit.log.1"));
        for _ in 0..2 {
            let file = AuditFile::open(&path, counter()).unwrap();
            file.write(b"line\n");
            file.close();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\nline\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::rename(&path, &old).unwrap();
        let file = AuditFile::open(&old, counter()).unwrap();
        file.write(b"old\n");
        file.close();
        assert!(!path.exists());
    }

    #[test]
    fn other_kinds_of_files_are_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in
            [folder.path().to_owned(), folder.path().join("missing/audit.log"), pipe, "/dev/null".into()]
        {
            let error = AuditFile::open(&path, counter()).err().unwrap().to_string();
            assert!(error.starts_with("log.audit_file: ") && error.contains("var/log"), "{error}");
        }
    }

    #[test]
    fn a_disk_that_is_full_costs_lines_and_these_are_counted() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let lost = counter();
        let current = Arc::new(ArcSwap::from_pointee(full));
        let mut appender =
            Appender { current: current.clone(), lost: lost.clone(), torn: false, told: OnceAMinute::new() };
        for _ in 0..3 {
            appender.write_all(b"line\n").unwrap();
        }
        assert_eq!(lost.get(), 3);
        let mut there = tempfile::tempfile().unwrap();
        current.store(Arc::new(there.try_clone().unwrap()));
        appender.write_all(b"line\n").unwrap();
        io::Seek::rewind(&mut there).unwrap();
        let text = io::read_to_string(there).unwrap();
        assert_eq!((text.as_str(), lost.get()), ("\nline\n", 3), "after what may have been half a line");
    }
}
