//! The thread that writes: whatever waits, together, again and again.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Shared;
use super::fold::{Files, private};
use crate::book::Bounds;

/// Size at which a log is closed and folded into the snapshot.
const FOLD_AT: u64 = 16 << 20;
/// Pause after a failure to write.
const PAUSE: Duration = Duration::from_secs(1);

/// The log that is written.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    number: u64,
    /// Up to where it is good.
    bytes: u64,
    sync: bool,
}

impl Log {
    pub(super) fn create(files: &Files, number: u64, sync: bool) -> io::Result<Self> {
        let path = files.log(number);
        let file = private().create_new(true).open(path)?;
        Ok(Self {
            file,
            number,
            bytes: 0,
            sync,
        })
    }

    /// Writes all lines or, as far as readers are concerned, none.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| {
            if self.sync {
                self.file.sync_data()
            } else {
                Ok(())
            }
        });
        match written {
            Ok(()) => self.bytes += lines.len() as u64,
            Err(_) => {
                self.file.set_len(self.bytes)?;
                self.file.seek(io::SeekFrom::Start(self.bytes))?;
            }
        }
        written
    }
}

/// Writes until the journal is dropped.
pub(super) fn run(shared: &Shared, mut log: Log, files: &Files, bounds: Bounds) {
    // What was found at the start goes into the snapshot.
    let mut folding = fold(files, log.number, bounds);
    let mut lines = Vec::new();
    loop {
        let (number, stop) = {
            let mut waiting = shared.lock();
            while waiting.lines.is_empty() && !waiting.stop {
                let woken = shared.wake.wait(waiting);
                waiting = woken.unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut lines, &mut waiting.lines);
            waiting.busy = true;
            (waiting.number, waiting.stop)
        };
        let written = write(shared, &mut log, &lines);
        lines.clear();
        if written {
            shared.written.send_replace(number);
        }
        if stop || !written {
            break;
        }
        if log.bytes >= FOLD_AT && folding.as_ref().is_none_or(JoinHandle::is_finished) {
            match Log::create(files, log.number + 1, log.sync) {
                Ok(next) => {
                    log = next;
                    folding = fold(files, log.number, bounds);
                }
                Err(error) => tracing::error!(%error, "a new log cannot be made"),
            }
        }
    }
    // Whoever opens the folder next must find it at rest.
    if let Some(folding) = folding
        && folding.join().is_err()
    {
        tracing::error!("logs were not folded: the thread panicked");
    }
}

/// Writes `lines`, again and again if that fails, until the journal is dropped. Returns
/// whether they are written.
fn write(shared: &Shared, log: &mut Log, lines: &[u8]) -> bool {
    while let Err(error) = log.write(lines) {
        tracing::error!(%error, "contexts cannot be written down");
        let mut waiting = shared.lock();
        waiting.failing = true;
        if waiting.stop {
            return false;
        }
        drop(waiting);
        std::thread::sleep(PAUSE);
    }
    let mut waiting = shared.lock();
    waiting.failing = false;
    waiting.busy = false;
    true
}

/// Folds all logs before `current` into the snapshot, on a thread of its own.
fn fold(files: &Files, current: u64, bounds: Bounds) -> Option<JoinHandle<()>> {
    let files = files.clone();
    let folding = std::thread::Builder::new()
        .name("journal-fold".to_owned())
        .spawn(move || {
            if let Err(error) = files.fold(current, bounds) {
                tracing::error!(%error, "logs cannot be folded; they are read at the next start");
            }
        });
    folding
        .inspect_err(|error| tracing::error!(%error, "logs are not folded"))
        .ok()
}
