//! Lines on their way to standard error, for which nobody waits: a reader that hangs must not
//! hang the process.

use std::{
    collections::VecDeque,
    io::{self, Write, stderr},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

/// Bytes of lines that wait to be written; lines beyond that are lost, and counted.
const MOST_WAITING: usize = 4 << 20;

static LOG: OnceLock<Arc<Queue>> = OnceLock::new();

/// Between those who log and the thread that writes.
#[derive(Debug, Default)]
struct Queue {
    content: Mutex<Content>,
    /// A line came, or all lines have gone.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Content {
    lines: VecDeque<Vec<u8>>,
    /// Of all lines together.
    bytes: usize,
    lost: u64,
    /// A line has been taken and is not written yet.
    writing: bool,
}

/// Starts the thread that writes. Without it, lines go to standard error directly.
pub(super) fn start() {
    if LOG.get().is_some() {
        return;
    }
    let queue = Arc::new(Queue::default());
    let writing = queue.clone();
    let thread = thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writing.write_all(stderr));
    if thread.is_ok() {
        // An error says that there is one already; then this one has nothing to do.
        let _ = LOG.set(queue);
    }
}

/// Says `line`, which ends in a line feed, on standard error, and waits no longer than `limit`
/// until it, and what was logged before, has been written.
pub(crate) fn last_words(line: &str, limit: Duration) {
    let Some(queue) = LOG.get() else {
        // Nothing is left to do when that fails.
        let _ = stderr().write_all(line.as_bytes());
        return;
    };
    queue.push(line.as_bytes());
    queue.wait(limit);
}

/// Waits no longer than `limit` until what was logged has been written.
pub(crate) fn flush(limit: Duration) {
    if let Some(queue) = LOG.get() {
        queue.wait(limit);
    }
}

/// One line on its way.
#[derive(Debug)]
pub(super) struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match LOG.get() {
            Some(queue) => queue.push(bytes),
            None => stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn push(&self, line: &[u8]) {
        let mut content = self.lock();
        if content.bytes + line.len() > MOST_WAITING {
            content.lost += 1;
            return;
        }
        content.bytes += line.len();
        content.lines.push_back(line.to_vec());
        drop(content);
        self.changed.notify_all();
    }

    fn wait(&self, limit: Duration) {
        let unfinished = |content: &mut Content| content.writing || !content.lines.is_empty();
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), limit, unfinished);
        drop(waited);
    }

    /// Writes lines as they come, for ever. What cannot be written is lost.
    fn write_all<W: Write>(&self, sink: impl Fn() -> W) {
        loop {
            let mut content = self.lock();
            content.writing = false;
            self.changed.notify_all();
            let idle = |content: &mut Content| content.lines.is_empty();
            let waited = self.changed.wait_while(content, idle);
            let mut content = waited.unwrap_or_else(PoisonError::into_inner);
            content.writing = true;
            let line = content.lines.pop_front().unwrap_or_default();
            content.bytes -= line.len();
            let lost = std::mem::take(&mut content.lost);
            drop(content);
            let _ = sink().write_all(&line);
            if lost > 0 {
                let _ = writeln!(sink(), "{lost} lines of the log were lost here");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Nothing that is done with it can leave it half changed.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Passes lines on, one at a time.
    #[derive(Clone)]
    struct Slow(SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let line = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.send(line).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (Arc<Queue>, Receiver<String>) {
        let queue = Arc::new(Queue::default());
        let (sender, written) = sync_channel(0);
        let (writing, sink) = (queue.clone(), Slow(sender));
        thread::spawn(move || writing.write_all(|| sink.clone()));
        (queue, written)
    }

    #[test]
    fn whoever_logs_does_not_wait_and_what_is_lost_is_counted() {
        let (queue, written) = queue();
        queue.push(b"first\n");
        // It has been taken: the others wait.
        while !queue.lock().writing {
            thread::yield_now();
        }
        let more = "x".repeat(MOST_WAITING / 4);
        for _ in 0..4 + 3 {
            queue.push(more.as_bytes());
        }
        queue.wait(Duration::from_millis(1));
        assert_eq!(written.recv().unwrap(), "first\n");
        assert_eq!(written.recv().unwrap(), more);
        let mut lost = String::new();
        while !lost.contains("here") {
            lost.push_str(&written.recv().unwrap());
        }
        assert!(lost.starts_with("3 lines of the log were lost"), "{lost}");
        for _ in 0..3 {
            assert_eq!(written.recv().unwrap(), more);
        }
        queue.wait(Duration::from_secs(60));
        assert!(queue.lock().lines.is_empty());
    }
}
