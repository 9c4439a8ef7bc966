//! The thread that writes: whole batches at once, a new file when one is full.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use edge_transport::Seldom;
use tokio::sync::mpsc;

use super::line::Keep;
use super::{Entry, JournalError, Line};

/// Lines that are written at once, at the most.
const BATCH: usize = 512;

/// Writes the journal.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    /// Bytes in it.
    length: u64,
    /// Bytes from which on there is a new one.
    full: u64,
    sync: bool,
    /// The last write failed, perhaps within a line.
    torn: bool,
    /// Lines that go into the next file, too, by subject.
    kept: HashMap<String, Vec<u8>>,
    kept_bytes: u64,
    /// Held as long as this process writes.
    _lock: File,
    failed: Seldom,
}

impl Writer {
    /// Reads what there is, and is ready to add to it.
    pub(super) fn open(
        path: PathBuf,
        bytes: u64,
        sync: bool,
        mut each: impl FnMut(Line),
    ) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::File { path, source }
        };
        let lock = lock(&beside(&path, "lock"))?;
        // A crash between two files leaves the new one beside its name.
        let next = beside(&path, "next");
        if next.exists() {
            if path.exists() {
                std::fs::remove_file(&next).map_err(failed(&next))?;
            } else {
                std::fs::rename(&next, &path).map_err(failed(&next))?;
            }
        }
        let mut kept = HashMap::new();
        for part in [beside(&path, "old"), path.clone()] {
            if part.exists() {
                read(&part, &mut kept, &mut each).map_err(failed(&part))?;
            }
        }
        let mut file = append(&path).map_err(failed(&path))?;
        // The last line may have been cut off.
        file.write_all(b"\n").map_err(failed(&path))?;
        let length = file.metadata().map_err(failed(&path))?.len();
        Ok(Self {
            kept_bytes: kept
                .values()
                .map(|lines: &Vec<u8>| lines.len() as u64)
                .sum(),
            path,
            file,
            length,
            full: bytes / 2,
            sync,
            torn: false,
            kept,
            _lock: lock,
            failed: Seldom::default(),
        })
    }

    /// Writes until nobody is left who could hand lines in.
    pub(super) fn run(mut self, mut lines: mpsc::Receiver<Entry>, lost: &AtomicU64) {
        let mut batch = Vec::with_capacity(BATCH);
        while lines.blocking_recv_many(&mut batch, BATCH) > 0 {
            let text: Vec<u8> = batch
                .iter()
                .flat_map(|entry| entry.text.iter().copied())
                .collect();
            match self.write(&text) {
                Ok(()) => {
                    for mut entry in batch.drain(..) {
                        self.keep(entry.keep, entry.text);
                        if let Some(written) = entry.written.take() {
                            // Nobody has to wait for it.
                            let _gone = written.send(());
                        }
                    }
                    self.turn_if_full();
                }
                Err(error) => {
                    lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    batch.clear();
                    self.tell(&error, "the journal cannot be written");
                }
            }
        }
    }

    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        if std::mem::replace(&mut self.torn, true) {
            self.file.write_all(b"\n")?;
        }
        self.file.write_all(text)?;
        self.length += text.len() as u64;
        if self.sync {
            self.file.sync_data()?;
        }
        self.torn = false;
        Ok(())
    }

    fn keep(&mut self, keep: Keep, text: Vec<u8>) {
        let before: u64 = self.kept_bytes;
        self.kept_bytes = before.saturating_add_signed(apply(&mut self.kept, keep, text));
    }

    /// Begins a new file with what has to be kept. Not before the file has grown beyond that, or
    /// there would be a new one with each line.
    fn turn_if_full(&mut self) {
        if self.length < self.full || self.length < 2 * self.kept_bytes {
            return;
        }
        if let Err(error) = self.turn() {
            self.tell(&error, "cannot begin a new file of the journal");
        }
    }

    fn turn(&mut self) -> std::io::Result<()> {
        let next = beside(&self.path, "next");
        let mut file = private().write(true).truncate(true).open(&next)?;
        for lines in self.kept.values() {
            file.write_all(lines)?;
        }
        file.sync_all()?;
        std::fs::rename(&self.path, beside(&self.path, "old"))?;
        std::fs::rename(&next, &self.path)?;
        self.length = self.kept_bytes;
        self.file = append(&self.path)?;
        // If the machine stopped and forgot the new names, what is written from now on would be
        // in a file that nobody reads.
        let folder = self.path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn tell(&self, error: &std::io::Error, what: &str) {
        if let Some(others) = self.failed.due(Instant::now()) {
            tracing::error!(%error, others, path = %self.path.display(), "{what}");
        }
    }
}

/// Changes what is kept; by how many bytes it has grown.
fn apply(kept: &mut HashMap<String, Vec<u8>>, keep: Keep, text: Vec<u8>) -> i64 {
    let length = |lines: &[u8]| i64::try_from(lines.len()).unwrap_or(i64::MAX);
    match keep {
        Keep::History => 0,
        Keep::Instead(subject) => {
            let grown = length(&text);
            let before = kept.insert(subject, text);
            grown - before.map_or(0, |lines| length(&lines))
        }
        Keep::Beside(subject) => match kept.get_mut(&subject) {
            Some(lines) => {
                lines.extend_from_slice(&text);
                length(&text)
            }
            None => 0,
        },
        Keep::Over(subject) => -kept.remove(&subject).map_or(0, |lines| length(&lines)),
    }
}

fn read(
    path: &Path,
    kept: &mut HashMap<String, Vec<u8>>,
    each: &mut impl FnMut(Line),
) -> std::io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut text, mut skipped) = (Vec::new(), 0_u64);
    while file.read_until(b'\n', &mut text)? > 0 {
        if !text.trim_ascii().is_empty() {
            match serde_json::from_slice::<Line>(&text) {
                Ok(line) => {
                    apply(kept, line.keep(), line.text());
                    each(line);
                }
                Err(_) => skipped += 1,
            }
        }
        text.clear();
    }
    if skipped > 0 {
        tracing::warn!(skipped, path = %path.display(), "lines of the journal are not readable");
    }
    Ok(())
}

fn append(path: &Path) -> std::io::Result<File> {
    private().append(true).open(path)
}

/// What actions are called with and answer is nobody else's business on this machine.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

fn lock(path: &Path) -> Result<File, JournalError> {
    let failed = |source| JournalError::File {
        path: path.to_owned(),
        source,
    };
    let file = append(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// `journal.log` becomes `journal.log.old`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}
