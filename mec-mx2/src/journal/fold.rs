//! The files of a journal: read in order at the start, and folded into one.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::book::{Book, Bounds};

/// Longest line read, in bytes: a context with all that one request can bring.
const MAX_LINE: u64 = 4 << 20;

/// Lines around all that there is, which takes the place of everything before. Without the second
/// the machine has stopped in between, and the first counts for nothing.
pub(super) const ANEW: &[u8] = b"{\"anew\":true}\n";
pub(super) const THAT_IS_ALL: &[u8] = b"{\"anew\":false}\n";

/// How files are opened: whoever reads the identifier of a context may change it.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// The folder. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Files(Arc<Path>);

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.into())
    }

    fn snapshot(&self) -> PathBuf {
        self.0.join("snapshot")
    }

    pub(super) fn log(&self, number: u64) -> PathBuf {
        self.0.join(format!("log.{number}"))
    }

    /// The numbers of the logs that there are, in order.
    fn logs(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&*self.0)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("log."));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads everything. Returns the number of the last log, 0 if there is none.
    pub(super) fn load(&self, bounds: Bounds, now_ms: u64) -> io::Result<(Book, u64)> {
        let logs = self.logs()?;
        let book = self.read(&logs, bounds, now_ms)?;
        Ok((book, logs.last().copied().unwrap_or(0)))
    }

    fn read(&self, logs: &[u64], bounds: Bounds, now_ms: u64) -> io::Result<Book> {
        let mut book = Book::new(bounds);
        replay(&mut book, &self.snapshot(), bounds, now_ms)?;
        for number in logs {
            replay(&mut book, &self.log(*number), bounds, now_ms)?;
        }
        Ok(book)
    }

    /// Folds all logs before `current` into the snapshot.
    pub(super) fn fold(&self, current: u64, bounds: Bounds) -> io::Result<()> {
        let mut logs = self.logs()?;
        logs.retain(|number| *number < current);
        if logs.is_empty() {
            return Ok(());
        }
        let book = self.read(&logs, bounds, 0)?;
        let new = self.0.join("snapshot.new");
        let file = private().create(true).truncate(true).open(&new)?;
        let mut file = BufWriter::new(file);
        for record in book.snapshot() {
            file.write_all(record.to_line().as_bytes())?;
        }
        file.into_inner()?.sync_all()?;
        std::fs::rename(new, self.snapshot())?;
        File::open(&*self.0)?.sync_all()?;
        for number in logs {
            std::fs::remove_file(self.log(number))?;
        }
        Ok(())
    }
}

/// Applies the lines of a file, if it is there. A line that says nothing is skipped: the
/// last one may have been cut off.
fn replay(book: &mut Book, path: &Path, bounds: Bounds, now_ms: u64) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    let mut skipped = 0_u64;
    let mut anew = None;
    loop {
        line.clear();
        let read = io::Read::take(&mut file, MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        if line == ANEW {
            anew = Some(Book::new(bounds));
            continue;
        }
        if line == THAT_IS_ALL {
            if let Some(all) = anew.take() {
                *book = all;
            }
            continue;
        }
        let text = std::str::from_utf8(&line).unwrap_or_default();
        if !anew.as_mut().unwrap_or(&mut *book).replay(text, now_ms) {
            skipped += 1;
        }
    }
    if skipped > 0 {
        tracing::warn!(file = %path.display(), skipped, "lines that say nothing");
    }
    Ok(())
}
