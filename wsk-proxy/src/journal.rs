//! An append-only file that lets a restarted proxy know what the one before it did and had promised.
//!
//! One JSON document per line. What must not be lost (registrations, accepted invocations that have
//! not ended) is copied to the next file when one is full; finished activations stay in the one
//! before it until that goes, too. A line that was cut off by a crash is skipped.

mod line;
mod read;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub(crate) use self::line::{Accepted, Line};
pub(crate) use self::read::Read;
use crate::config::StoreConfig;

/// Lines that wait for the disk.
const MAX_WAITING: usize = 4096;
/// Kilobytes of those.
const MAX_WAITING_KB: u32 = 64 << 10;
/// How long something waits for the disk before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end waits for the disk.
const LAST_LINES: Duration = Duration::from_secs(3);

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file cannot be read or written.
    #[error("cannot use the journal {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process writes to it.
    #[error("the journal {} is in use by another process", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// A line did not get to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub(crate) struct Unwritten;

/// Where lines are handed in. Clones write to the same file.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    lines: mpsc::Sender<Entry>,
    room: Arc<Semaphore>,
    lost: Arc<AtomicU64>,
}

/// The end of the journal.
#[derive(Debug)]
pub(crate) struct JournalThread {
    thread: std::thread::JoinHandle<()>,
}

/// A line on its way to the disk.
#[derive(Debug)]
struct Entry {
    /// What the line is about, and what it means for what has been said of that before.
    keep: line::Keep,
    text: Vec<u8>,
    written: Option<oneshot::Sender<()>>,
    _room: OwnedSemaphorePermit,
}

/// Says when a line is on the disk.
#[derive(Debug)]
pub(crate) struct Receipt(oneshot::Receiver<()>);

impl Receipt {
    /// Waits until the line has been written.
    ///
    /// # Errors
    /// If it cannot be, or not in time.
    pub(crate) async fn written(self) -> Result<(), Unwritten> {
        match tokio::time::timeout(PATIENCE, self.0).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Unwritten),
        }
    }
}

impl Journal {
    /// Opens the journal of `config`, of which `each` hears all lines that are there already.
    ///
    /// # Errors
    /// If there is none to be had.
    pub(crate) fn open(
        path: PathBuf,
        config: &StoreConfig,
        each: impl FnMut(Line),
    ) -> Result<(Self, JournalThread), JournalError> {
        let writer = writer::Writer::open(path, config.journal_bytes, config.sync, each)?;
        let (lines, waiting) = mpsc::channel(MAX_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let failures = lost.clone();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(waiting, &failures))
            .map_err(|source| JournalError::File {
                path: PathBuf::from("(thread)"),
                source,
            })?;
        let journal = Self {
            lines,
            room: Arc::new(Semaphore::new(MAX_WAITING_KB as usize)),
            lost,
        };
        Ok((journal, JournalThread { thread }))
    }

    /// Writes a line when there is room for it at once; else it is lost, and counted.
    ///
    /// # Errors
    /// If it was lost.
    pub(crate) fn post(&self, line: &Line) -> Result<Receipt, Unwritten> {
        let text = line.text();
        let posted = self
            .room
            .clone()
            .try_acquire_many_owned(room_for(&text))
            .map_err(|_| Unwritten)
            .and_then(|room| {
                let (entry, receipt) = Entry::new(line, text, room);
                self.lines.try_send(entry).map_err(|_| Unwritten)?;
                Ok(receipt)
            });
        if posted.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        posted
    }

    /// Writes a line and waits until that is done.
    ///
    /// # Errors
    /// If it cannot be done in time.
    pub(crate) async fn write(&self, line: &Line) -> Result<(), Unwritten> {
        let text = line.text();
        let handed_in = async {
            let room = self.room.clone().acquire_many_owned(room_for(&text)).await;
            let (entry, receipt) = Entry::new(line, text, room.map_err(|_| Unwritten)?);
            self.lines.send(entry).await.map_err(|_| Unwritten)?;
            Ok::<_, Unwritten>(receipt)
        };
        let receipt = tokio::time::timeout(PATIENCE, handed_in).await;
        let written = match receipt {
            Ok(Ok(receipt)) => receipt.written().await,
            _ => Err(Unwritten),
        };
        if written.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    /// A journal whose disk is the test.
    #[cfg(test)]
    pub(crate) fn of_a_test() -> (Self, Disk) {
        let (lines, waiting) = mpsc::channel(MAX_WAITING);
        let journal = Self {
            lines,
            room: Arc::new(Semaphore::new(MAX_WAITING_KB as usize)),
            lost: Arc::default(),
        };
        (journal, Disk(waiting))
    }

    /// Lines that never got to the disk.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl JournalThread {
    /// Waits until all lines are written; nobody may hold a [`Journal`] any more, or it is given up
    /// after a while.
    pub(crate) async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || {
            let give_up = std::time::Instant::now() + LAST_LINES;
            while !self.thread.is_finished() && std::time::Instant::now() < give_up {
                std::thread::sleep(Duration::from_millis(5));
            }
            self.thread.is_finished()
        });
        if !ended.await.unwrap_or(false) {
            tracing::error!("gave up waiting for the journal's disk");
        }
    }
}

impl Entry {
    fn new(line: &Line, text: Vec<u8>, room: OwnedSemaphorePermit) -> (Self, Receipt) {
        let (written, receipt) = oneshot::channel();
        let entry = Self {
            keep: line.keep(),
            text,
            written: Some(written),
            _room: room,
        };
        (entry, Receipt(receipt))
    }
}

/// What a test gets to write.
#[cfg(test)]
pub(crate) struct Disk(mpsc::Receiver<Entry>);

#[cfg(test)]
impl Disk {
    /// The next line, and where to say that it is written.
    pub(crate) async fn next(&mut self) -> (String, oneshot::Sender<()>) {
        let entry = self.0.recv().await.unwrap();
        let text = String::from_utf8(entry.text).unwrap();
        (text, entry.written.unwrap())
    }
}

fn room_for(text: &[u8]) -> u32 {
    let kilobytes = u32::try_from(text.len() / 1024 + 1).unwrap_or(MAX_WAITING_KB);
    kilobytes.min(MAX_WAITING_KB)
}

#[cfg(test)]
mod tests;
