//! What survives a restart: a snapshot and logs of what has changed since, in one folder.
//!
//! Changes are lines of JSON. They are collected while the disk is busy and written
//! together, so that many creations at once cost one synchronisation. A log that has grown
//! is closed, and folded into the snapshot by reading both as a start does, away from the
//! live state, which therefore never waits.

mod fold;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::book::{Book, Bounds, Record};

/// Bytes that wait to be written beyond which nothing new is accepted. What changes all the same
/// while the disk takes nothing is written down by writing down everything, once it does.
const MAX_WAITING: usize = 16 << 20;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep contexts in {}: {what}", .folder.display())]
pub struct JournalError {
    folder: PathBuf,
    what: &'static str,
    source: io::Error,
}

/// The journal of a running server. Dropping it writes what waits.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Locked as long as the server runs.
    _lock: File,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// How many changes are on the disk.
    written: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Changes so far.
    number: u64,
    stop: bool,
    /// The thread writes, or tries to.
    busy: bool,
    failing: bool,
    /// Lines were left out: everything has to be written down anew.
    lost: bool,
}

impl Waiting {
    fn append(&mut self, records: &[Record]) -> u64 {
        self.number += 1;
        if self.busy && self.lines.len() > MAX_WAITING {
            self.lost = true;
            self.lines = Vec::new();
        }
        if !self.lost {
            self.add(records);
        }
        self.number
    }

    fn add(&mut self, records: &[Record]) {
        for record in records {
            self.lines.extend_from_slice(record.to_line().as_bytes());
        }
    }

    /// Puts all that there is behind what was written before, in place of it.
    fn begin_anew(&mut self, all: &[Record]) {
        self.lost = false;
        self.number += 1;
        self.lines = fold::ANEW.into();
        self.add(all);
        self.lines.extend_from_slice(fold::THAT_IS_ALL);
    }
}

impl Journal {
    /// Reads what is in `folder`, and keeps it from then on. `sync` waits for the disk
    /// itself, so that contexts survive the machine and not only the process.
    ///
    /// # Errors
    /// If the folder cannot be used, or another process uses it.
    pub(crate) fn open(
        folder: &Path,
        sync: bool,
        bounds: Bounds,
        now_ms: u64,
    ) -> Result<(Self, Book), JournalError> {
        let failed = |what| {
            move |source| JournalError {
                folder: folder.to_owned(),
                what,
                source,
            }
        };
        std::fs::create_dir_all(folder).map_err(failed("it cannot be made"))?;
        let lock = File::create(folder.join("lock")).map_err(failed("it cannot be written"))?;
        lock.try_lock()
            .map_err(io::Error::from)
            .map_err(failed("another process uses it"))?;
        let files = fold::Files::new(folder);
        let (book, last) = files
            .load(bounds, now_ms)
            .map_err(failed("it cannot be read"))?;
        let log =
            writer::Log::create(&files, last + 1, sync).map_err(failed("it cannot be written"))?;
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            written: watch::Sender::new(0),
        });
        let own = shared.clone();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer::run(&own, log, &files, bounds))
            .map_err(failed("there is no thread for it"))?;
        let journal = Self {
            shared,
            thread: Some(thread),
            _lock: lock,
        };
        Ok((journal, book))
    }

    /// Puts changes behind those that wait. Returns the number of the last.
    pub(crate) fn append(&self, records: &[Record]) -> u64 {
        let mut waiting = self.shared.lock();
        let number = waiting.append(records);
        drop(waiting);
        self.shared.wake.notify_one();
        number
    }

    /// Whether changes cannot be written, or not as fast as they come.
    pub(crate) fn is_behind(&self) -> bool {
        let waiting = self.shared.lock();
        waiting.failing || waiting.lost || waiting.lines.len() > MAX_WAITING
    }

    /// Whether changes are missing, and the disk takes something again: then
    /// [`Self::begin_anew`] has to follow before any other change.
    pub(crate) fn is_incomplete(&self) -> bool {
        let waiting = self.shared.lock();
        waiting.lost && !waiting.busy
    }

    /// Puts all that there is behind what was written before, in place of it.
    pub(crate) fn begin_anew(&self, all: &[Record]) {
        self.shared.lock().begin_anew(all);
        self.shared.wake.notify_one();
    }

    /// Waits until a change is written, at most for `patience`. Returns whether it is.
    pub(crate) async fn written(&self, number: u64, patience: Duration) -> bool {
        let mut written = self.shared.written.subscribe();
        let reached = written.wait_for(|written| *written >= number);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the journal panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::AppInfo;

    const BOUNDS: Bounds = Bounds {
        contexts: 100,
        bytes: 1 << 20,
        contexts_per_owner: 10,
        queue: 8,
    };

    fn app(name: &str) -> Record {
        Record::App(AppInfo::lambda(name).unwrap())
    }

    #[test]
    fn what_waits_for_a_disk_that_takes_nothing_is_bounded() {
        let mut waiting = Waiting {
            busy: true,
            lines: vec![b'\n'; MAX_WAITING],
            ..Waiting::default()
        };
        for number in 1..=100 {
            assert_eq!(waiting.append(&[app("some")]), number);
        }
        assert!(waiting.lost && waiting.lines.is_empty());
        waiting.begin_anew(&[app("all")]);
        assert!(!waiting.lost);
        assert_eq!(waiting.append(&[app("more")]), 102);
        let text = String::from_utf8(waiting.lines).unwrap();
        assert_eq!(text.lines().count(), 4);
    }

    #[tokio::test]
    async fn what_was_left_out_is_there_after_beginning_anew() {
        let folder = tempfile::tempdir().unwrap();
        let names = |book: &Book| {
            let all = crate::model::AppFilter::default();
            book.apps(&all)
                .map(|(app, _)| app.name.clone())
                .collect::<Vec<_>>()
        };
        let written = async |journal: &Journal, number| {
            assert!(journal.written(number, Duration::from_secs(60)).await);
        };
        let (journal, _) = Journal::open(folder.path(), false, BOUNDS, 0).unwrap();
        let number = journal.append(&[app("old")]);
        written(&journal, number).await;
        journal.shared.lock().lost = true;
        assert!(journal.is_behind() && journal.is_incomplete());
        journal.append(&[app("lost")]);
        journal.begin_anew(&[app("kept")]);
        assert!(!journal.is_incomplete());
        let number = journal.append(&[app("new")]);
        written(&journal, number).await;
        drop(journal);
        let (journal, book) = Journal::open(folder.path(), false, BOUNDS, 0).unwrap();
        assert_eq!(names(&book), ["kept", "new"]);
        // As if the power had gone in the middle of it.
        let mut cut = fold::ANEW.to_vec();
        cut.extend_from_slice(app("cut").to_line().as_bytes());
        drop(journal);
        let files = std::fs::read_dir(folder.path()).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(
            files.iter().any(|file| file.ends_with("snapshot")),
            "{files:?}"
        );
        for file in files {
            // Whoever reads the identifier of a context may change it.
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert!(mode & 0o077 == 0 || file.ends_with("lock"), "{file:?}");
        }
        std::fs::write(folder.path().join("log.99"), cut).unwrap();
        let (_journal, book) = Journal::open(folder.path(), false, BOUNDS, 0).unwrap();
        assert_eq!(names(&book), ["kept", "new"]);
    }
}
