//! What a function prints: lines of both streams, bounded, up to the markers that end an execution.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

/// The line that ends what an execution prints, as OpenWhisk's runtimes have it.
const MARKER: &str = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";
/// Longest line; the rest of it is dropped.
const MAX_LINE: usize = 16 << 10;
/// How long markers are waited for once the answer is there. Runtimes that print none are not
/// waited for again.
const MARKED_WITHIN: Duration = Duration::from_millis(500);

/// The two streams of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// The log of one container.
#[derive(Debug)]
pub(super) struct Log {
    max_bytes: usize,
    inner: Mutex<Inner>,
    /// Markers that have come in on both streams.
    marked: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<String>,
    bytes: usize,
    truncated: bool,
    markers: [u64; 2],
    /// Executions whose markers have been waited for.
    taken: u64,
    unmarked: bool,
}

impl Log {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            inner: Mutex::default(),
            marked: watch::Sender::new(0),
        }
    }

    /// A line has come in.
    fn line(&self, stream: Stream, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let mut inner = self.lock();
        if text == MARKER {
            inner.markers[stream as usize] += 1;
            let both = inner.markers[0].min(inner.markers[1]);
            self.marked.send_replace(both);
            return;
        }
        if inner.bytes + text.len() > self.max_bytes {
            if !inner.truncated {
                inner.truncated = true;
                let text = format!(
                    "Logs were truncated because they exceed {} bytes.",
                    self.max_bytes
                );
                inner.lines.push_back(stamped("stderr", &text));
            }
            return;
        }
        inner.bytes += text.len();
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        inner.lines.push_back(stamped(name, &text));
    }

    /// What was printed since the last time, by an execution that has no end of its own.
    pub(super) fn rest(&self) -> Vec<String> {
        let mut inner = self.lock();
        inner.bytes = 0;
        inner.truncated = false;
        inner.lines.drain(..).collect()
    }

    /// What was printed since the last time, up to the markers of the execution that has just
    /// ended.
    pub(super) async fn take(&self) -> Vec<String> {
        let (wanted, waits) = {
            let mut inner = self.lock();
            inner.taken += 1;
            (inner.taken, !inner.unmarked)
        };
        if waits {
            let mut marked = self.marked.subscribe();
            let come = marked.wait_for(|both| *both >= wanted);
            if tokio::time::timeout(MARKED_WITHIN, come).await.is_err() {
                self.lock().unmarked = true;
            }
        }
        self.rest()
    }

    /// Collects what comes in on `stream` until it ends.
    pub(super) async fn collect(
        self: Arc<Self>,
        stream: Stream,
        mut source: impl AsyncRead + Unpin,
    ) {
        let mut lines = Lines::default();
        let mut chunk = vec![0; 8 << 10];
        while let Ok(length) = source.read(&mut chunk).await {
            if length == 0 {
                break;
            }
            lines.feed(&chunk[..length], |line| self.line(stream, line));
        }
        lines.end(|line| self.line(stream, line));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line as OpenWhisk has it: when, from which stream, what.
fn stamped(stream: &str, text: &str) -> String {
    let now = humantime::format_rfc3339_nanos(SystemTime::now());
    format!("{now} {stream}: {text}")
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what has come in, and tells the lines that end in it.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.append(&bytes[..end]);
            line(self.begun.strip_suffix(b"\r").unwrap_or(&self.begun));
            self.begun.clear();
            bytes = &bytes[end + 1..];
        }
        self.append(bytes);
    }

    /// The stream has ended, perhaps in the middle of a line.
    pub(super) fn end(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            line(&self.begun);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_the_pieces_end_and_long_ones_are_bounded() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in [&b"a\r\nb"[..], b"c\n\nlast", &vec![b'x'; 2 * MAX_LINE]] {
            lines.feed(piece, |line| seen.push(line.len()));
        }
        lines.end(|line| seen.push(line.len()));
        assert_eq!(seen, [1, 2, 0, MAX_LINE]);
    }

    #[tokio::test]
    async fn the_lines_of_an_execution_end_at_its_markers_and_are_bounded() {
        let log = Arc::new(Log::new(10));
        let printed = format!("one\n{}\n{MARKER}\n", "y".repeat(20));
        log.clone()
            .collect(Stream::Stdout, printed.as_bytes())
            .await;
        log.clone()
            .collect(Stream::Stderr, format!("two\n{MARKER}\n").as_bytes())
            .await;
        let lines = log.take().await;
        let ends = |line: &String, end: &str| assert!(line.ends_with(end), "{line}");
        ends(&lines[0], " stdout: one");
        ends(&lines[1], "because they exceed 10 bytes.");
        ends(&lines[2], " stderr: two");
        assert_eq!(lines.len(), 3);
    }

    #[tokio::test]
    async fn runtimes_without_markers_are_waited_for_once() {
        let log = Arc::new(Log::new(100));
        log.clone()
            .collect(Stream::Stdout, &b"no marker\n"[..])
            .await;
        assert_eq!(log.take().await.len(), 1);
        assert!(log.lock().unmarked);
        assert_eq!(log.take().await.len(), 0);
    }
}
