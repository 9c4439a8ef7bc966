//! What a function prints: lines of both streams, bounded, up to the markers that end an execution.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The line that ends what an execution prints, as OpenWhisk's runtimes have it.
const MARKER: &str = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";
/// Longest line; the rest of it is dropped.
const MAX_LINE: usize = 16 << 10;
/// What a line costs beside its bytes.
const PER_LINE: usize = size_of::<String>();
/// How long markers are waited for once the answer is there. Runtimes that print none are not
/// waited for again.
const MARKED_WITHIN: Duration = Duration::from_millis(500);

/// How long what a process has printed is read once it has ended: others may hold its streams.
pub(super) const READ_WITHIN: Duration = Duration::from_millis(500);

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
    /// The runtime prints no markers, as far as is known.
    unmarked: Arc<AtomicBool>,
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
}

impl Log {
    /// Containers of one function may share what is known of their runtime.
    pub(super) fn new(max_bytes: usize, unmarked: Arc<AtomicBool>) -> Self {
        Self {
            max_bytes,
            unmarked,
            inner: Mutex::default(),
            marked: watch::Sender::new(0),
        }
    }

    /// A line has come in.
    pub(super) fn line(&self, stream: Stream, line: &[u8]) {
        // What was printed last need not have ended its line.
        let (line, marked) = match line.strip_suffix(MARKER.as_bytes()) {
            Some(line) => (line, true),
            None => (line, false),
        };
        let line = &line[..line.len().min(MAX_LINE)];
        let mut inner = self.lock();
        if !(marked && line.is_empty()) {
            self.keep(&mut inner, stream, &String::from_utf8_lossy(line));
        }
        if marked {
            inner.markers[stream as usize] += 1;
            let both = inner.markers[0].min(inner.markers[1]);
            if self.marked.send_replace(both) < both {
                self.unmarked.store(false, Ordering::Relaxed);
            }
        }
    }

    fn keep(&self, inner: &mut Inner, stream: Stream, text: &str) {
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let line = stamped(name, text);
        // Lines without a text take memory, too.
        let bytes = inner.bytes + line.len() + PER_LINE;
        if bytes > self.max_bytes {
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
        inner.bytes = bytes;
        inner.lines.push_back(line);
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
            (inner.taken, !self.unmarked.load(Ordering::Relaxed))
        };
        if waits {
            let mut marked = self.marked.subscribe();
            let come = marked.wait_for(|both| *both >= wanted);
            if tokio::time::timeout(MARKED_WITHIN, come).await.is_err() {
                self.unmarked.store(true, Ordering::Relaxed);
            }
        }
        self.rest()
    }

    /// Collects what comes in on `stream` until it ends, or soon after the process has `ended`.
    pub(super) async fn collect(
        self: Arc<Self>,
        stream: Stream,
        mut source: impl AsyncRead + Unpin,
        ended: CancellationToken,
    ) {
        let over = async {
            ended.cancelled().await;
            tokio::time::sleep(READ_WITHIN).await;
        };
        let mut over = std::pin::pin!(over);
        let mut lines = Lines::default();
        let mut chunk = vec![0; 8 << 10];
        loop {
            let length = tokio::select! {
                read = source.read(&mut chunk) => read.unwrap_or_default(),
                () = &mut over => 0,
            };
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

/// `line` without control characters, for logs that others write to.
pub(super) fn printable(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for part in line.chars() {
        if part.is_control() {
            shown.extend(part.escape_default());
        } else {
            shown.push(part);
        }
    }
    shown
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

    /// Of a line that is too long the end is kept beside the beginning: a marker may be there.
    fn append(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        if let Some(end) = self.begun.len().checked_sub(MARKER.len() + 1)
            && end > MAX_LINE
        {
            self.begun.drain(MAX_LINE..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn print(log: &Arc<Log>, stream: Stream, text: &str) {
        let running = CancellationToken::new();
        log.clone().collect(stream, text.as_bytes(), running).await;
    }

    #[test]
    fn lines_are_cut_wherever_the_pieces_end_and_long_ones_are_bounded() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in [&b"a\r\nb"[..], b"c\n\nlast", &vec![b'x'; 2 * MAX_LINE]] {
            lines.feed(piece, |line| seen.push(line.len()));
        }
        lines.end(|line| seen.push(line.len()));
        assert_eq!(seen, [1, 2, 0, MAX_LINE + MARKER.len() + 1]);
    }

    #[tokio::test]
    async fn a_marker_is_found_at_the_end_of_a_line_however_long_it_is() {
        for length in [1, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE] {
            let log = Arc::new(Log::new(1 << 20, Arc::default()));
            for stream in [Stream::Stdout, Stream::Stderr] {
                let printed = format!("{}{MARKER}\n", "x".repeat(length));
                print(&log, stream, &printed).await;
            }
            let lines = log.take().await;
            assert!(!log.unmarked.load(Ordering::Relaxed), "{length}");
            assert_eq!(lines.len(), 2);
            let kept = lines[0].bytes().filter(|&byte| byte == b'x').count();
            assert_eq!(kept, length.min(MAX_LINE));
        }
    }

    #[tokio::test]
    async fn empty_lines_count_with_what_they_take() {
        let log = Arc::new(Log::new(10_000, Arc::default()));
        let printed = "\n".repeat(1 << 16);
        print(&log, Stream::Stdout, &printed).await;
        let lines = log.rest();
        let taken: usize = lines.iter().map(|line| line.len() + PER_LINE).sum();
        assert!(taken < 10_000 + 200, "{taken}");
    }

    #[tokio::test]
    async fn the_lines_of_an_execution_end_at_its_markers_and_are_bounded() {
        let log = Arc::new(Log::new(140, Arc::default()));
        let printed = format!("one\n{}\n{MARKER}\n", "y".repeat(20));
        print(&log, Stream::Stdout, &printed).await;
        print(&log, Stream::Stderr, &format!("two\n{MARKER}\n")).await;
        let lines = log.take().await;
        let ends = |line: &String, end: &str| assert!(line.ends_with(end), "{line}");
        ends(&lines[0], " stdout: one");
        ends(&lines[1], "because they exceed 140 bytes.");
        ends(&lines[2], " stderr: two");
        assert_eq!(lines.len(), 3);
    }

    #[tokio::test]
    async fn runtimes_without_markers_are_waited_for_once() {
        let log = Arc::new(Log::new(100, Arc::default()));
        print(&log, Stream::Stdout, "no marker\n").await;
        assert_eq!(log.take().await.len(), 1);
        assert!(log.unmarked.load(Ordering::Relaxed));
        assert_eq!(log.take().await.len(), 0);
        // Nor are those that another container has of it.
        let other = Arc::new(Log::new(100, log.unmarked.clone()));
        assert_eq!(other.take().await.len(), 0);
        for stream in [Stream::Stdout, Stream::Stderr] {
            print(&other, stream, &format!("{MARKER}\n")).await;
        }
        assert!(!log.unmarked.load(Ordering::Relaxed));
    }

    #[test]
    fn control_characters_of_functions_do_not_reach_our_log() {
        assert_eq!(
            printable("a\r\0\u{1b}[1mü \"b\""),
            "a\\r\\u{0}\\u{1b}[1mü \"b\""
        );
    }

    #[tokio::test]
    async fn streams_that_others_hold_are_left_once_the_process_has_ended() {
        let (held, stream) = tokio::io::duplex(64);
        let ended = CancellationToken::new();
        ended.cancel();
        let log = Arc::new(Log::new(1 << 10, Arc::default()));
        log.clone().collect(Stream::Stdout, stream, ended).await;
        drop(held);
    }
}
