//! The file in which a dispatcher compares what it predicted with what it measured.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread::JoinHandle;

use edge_balance::{EstimatorConfig, Forecast, Nanos};

/// Lines that wait to be written; what is beyond is lost, and counted.
const MOST_WAITING: usize = 4096;

/// Takes lines from all cores; a thread of its own writes them.
#[derive(Debug)]
pub(crate) struct Trace {
    kind: EstimatorConfig,
    lines: SyncSender<Message>,
    lost: AtomicU64,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    trace: Arc<Trace>,
    path: PathBuf,
    thread: JoinHandle<()>,
}

/// A request that was executed.
#[derive(Debug)]
pub(crate) struct Line {
    /// Since the dispatcher started.
    pub(crate) now: Nanos,
    pub(crate) lambda: String,
    pub(crate) destination: String,
    pub(crate) forecast: Forecast,
    /// Until the answer.
    pub(crate) latency: Nanos,
    /// Share of it that was spent at the destination.
    pub(crate) residence: Nanos,
}

#[derive(Debug)]
enum Message {
    Line(Line),
    End,
}

/// Empties the file, or creates it, and starts to write into it.
///
/// # Errors
/// If the file cannot be created.
pub(crate) fn start(path: &Path, kind: EstimatorConfig) -> io::Result<Writer> {
    let file = File::create(path)?;
    let (lines, waiting) = mpsc::sync_channel(MOST_WAITING);
    let trace = Arc::new(Trace {
        kind,
        lines,
        lost: AtomicU64::new(0),
    });
    let path = path.to_owned();
    let name = path.clone();
    let thread = std::thread::Builder::new()
        .name("trace".into())
        .spawn(move || write_all(&waiting, BufWriter::new(file), kind, &name))?;
    Ok(Writer {
        trace,
        path,
        thread,
    })
}

impl Trace {
    /// Hands over a line without waiting.
    pub(crate) fn write(&self, line: Line) {
        match self.lines.try_send(Message::Line(line)) {
            // The thread ends last, or has ended: nobody reads on.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        estimator = self.kind.name(),
                        "lines of the trace are lost: the disk is slower than the requests"
                    );
                }
            }
        }
    }
}

impl Writer {
    pub(crate) fn trace(&self) -> Arc<Trace> {
        self.trace.clone()
    }

    /// Writes what waits and closes the file. Blocks as long as that takes.
    pub(crate) fn finish(self) {
        // An error means that the thread has ended already.
        let _ended = self.trace.lines.send(Message::End);
        if self.thread.join().is_err() {
            tracing::warn!(path = %self.path.display(), "the thread of the trace panicked");
        }
        let lost = self.trace.lost.load(Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(path = %self.path.display(), lost, "the trace is not complete");
        }
    }
}

/// Writes lines until the end, flushing whenever none waits. The first error
/// is told; then lines are thrown away, so that nothing piles up.
fn write_all(
    waiting: &Receiver<Message>,
    mut file: impl Write,
    kind: EstimatorConfig,
    path: &Path,
) {
    let mut failed = false;
    let mut note = |written: io::Result<()>| {
        if let Err(error) = written
            && !failed
        {
            failed = true;
            tracing::warn!(path = %path.display(), %error, "cannot write the trace any more");
        }
        !failed
    };
    let mut sound = true;
    loop {
        let message = match waiting.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Disconnected) => Message::End,
            Err(TryRecvError::Empty) => {
                if sound {
                    sound = note(file.flush());
                }
                waiting.recv().unwrap_or(Message::End)
            }
        };
        match message {
            Message::Line(line) if sound => sound = note(writeln!(file, "{}", line.text(kind))),
            Message::Line(_) => {}
            Message::End => {
                if sound {
                    note(file.flush());
                }
                return;
            }
        }
    }
}

impl Line {
    /// In the columns of the reference, times in seconds unless they say milliseconds:
    ///
    /// * util: time, lambda, destination, size, load in per cent, network predicted and measured,
    ///   processing predicted and measured;
    /// * delay: time, lambda, destination, size, load in per cent, predicted, measured;
    /// * probe: time, lambda, destination, size, processing estimated and measured in milliseconds.
    fn text(&self, kind: EstimatorConfig) -> String {
        let Forecast {
            input_bytes,
            load,
            network,
            processing,
        } = self.forecast;
        let one_word =
            |text: &str| text.replace(|c: char| c.is_whitespace() || c.is_control(), "_");
        let request = format!(
            "{:.6} {} {} {input_bytes}",
            self.now.as_secs_f64(),
            one_word(&self.lambda),
            one_word(&self.destination)
        );
        let load = (100.0 * load).round();
        let measured = self.residence.as_secs_f64();
        match kind {
            EstimatorConfig::Rtt { .. } | EstimatorConfig::Util { .. } => format!(
                "{request} {load} {network:.6} {:.6} {processing:.6} {measured:.6}",
                self.latency.since(self.residence).as_secs_f64()
            ),
            EstimatorConfig::Delay { .. } => format!(
                "{request} {load} {processing:.6} {:.6}",
                self.latency.as_secs_f64()
            ),
            EstimatorConfig::Probe => {
                format!("{request} {:.0} {:.0}", 1e3 * processing, 1e3 * measured)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: EstimatorConfig = EstimatorConfig::Delay {
        util_window_size: 1,
        util_stale_period: Nanos::ZERO,
        util_load_timeout: Nanos::ZERO,
    };

    fn line(lambda: &str) -> Line {
        Line {
            now: Nanos::from_millis(1500),
            lambda: lambda.to_owned(),
            destination: "10.0.0.1:1".to_owned(),
            forecast: Forecast {
                input_bytes: 1000,
                load: 0.05,
                network: 0.001,
                processing: 0.020,
            },
            latency: Nanos::from_millis(25),
            residence: Nanos::from_millis(22),
        }
    }

    #[test]
    fn columns_are_those_of_the_reference() {
        let util = EstimatorConfig::Util {
            rtt_window_size: 1,
            rtt_stale_period: Nanos::ZERO,
            util_window_size: 1,
            util_stale_period: Nanos::ZERO,
            util_load_timeout: Nanos::ZERO,
        };
        for (kind, expected) in [
            (
                util,
                "1.500000 f 10.0.0.1:1 1000 5 0.001000 0.003000 0.020000 0.022000",
            ),
            (DELAY, "1.500000 f 10.0.0.1:1 1000 5 0.020000 0.025000"),
            (EstimatorConfig::Probe, "1.500000 f 10.0.0.1:1 1000 20 22"),
        ] {
            assert_eq!(line("f").text(kind), expected);
        }
        let odd = line("two words\n").text(EstimatorConfig::Probe);
        assert!(odd.starts_with("1.500000 two_words_ "), "{odd}");
    }

    #[test]
    fn the_file_is_emptied_and_holds_all_lines_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.dat");
        std::fs::write(&path, "old\n").unwrap();
        let writer = start(&path, DELAY).unwrap();
        for _ in 0..1000 {
            writer.trace().write(line("f"));
        }
        writer.finish();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1000);
        assert!(!text.contains("old"));
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(start(&folder.path().join("no/out.dat"), DELAY).is_err());
    }

    #[test]
    fn a_disk_that_is_full_ends_the_writing_and_nothing_else() {
        let (lines, waiting) = mpsc::sync_channel(8);
        lines.send(Message::Line(line("f"))).unwrap();
        lines.send(Message::Line(line("g"))).unwrap();
        lines.send(Message::End).unwrap();
        let full: &mut [u8] = &mut [0; 10];
        write_all(&waiting, full, DELAY, Path::new("out.dat"));
        assert!(waiting.try_recv().is_err(), "all were taken");
    }
}
