//! One line per answer, in the columns of the C++ reference.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use edge_daemon::lifecycle::Shutdown;
use edge_daemon::shown;
use edge_proto::rpc::LambdaResponse;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TryRecvError};
use tokio::sync::oneshot;

use crate::config::{Config, is_stdout};
use crate::number::general;

/// A file that lines cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {}", .path.display())]
pub struct OutputError {
    path: PathBuf,
    source: std::io::Error,
}

/// What the columns show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// The latency of the request.
    Latency,
    /// The processing time that the answer predicts: requests are dry.
    Prediction,
}

/// Lines that wait to be written; beyond that, whoever has one waits, too.
const MOST_WAITING: usize = 65_536;

/// Writes lines on a thread of its own, so that a disk or pipe that is slow for
/// a while delays no request, and flushes whenever it has caught up. When the
/// output cannot be written any more, the run is asked to end.
#[derive(Debug)]
pub(crate) struct LineWriter {
    sender: Sender<String>,
    written: oneshot::Receiver<std::io::Result<()>>,
    path: PathBuf,
}

impl LineWriter {
    /// The writer that `config` asks for, if any.
    pub(crate) fn open(config: &Config, shutdown: &Shutdown) -> Result<Option<Self>, OutputError> {
        let Some(path) = &config.output_file else {
            return Ok(None);
        };
        let error = |source| OutputError {
            path: path.clone(),
            source,
        };
        let sink: Box<dyn Write + Send> = if is_stdout(path) {
            Box::new(std::io::stdout())
        } else {
            Box::new(create(path, config.append).map_err(error)?)
        };
        let (sender, lines) = channel(MOST_WAITING);
        let (tell, written) = oneshot::channel();
        let shutdown = shutdown.clone();
        let work = move || {
            let written = write(sink, lines);
            if written.is_err() {
                shutdown.request("the output was closed");
            }
            // Nobody waits for it any more if the output took too long.
            let _told = tell.send(written);
        };
        // Not joined: nothing could be done about a write that never ends.
        std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(work)
            .map_err(error)?;
        Ok(Some(Self {
            sender,
            written,
            path: path.clone(),
        }))
    }

    /// Where to send lines, line feed included.
    pub(crate) fn sender(&self) -> Sender<String> {
        self.sender.clone()
    }

    /// Writes what is left, once all senders are gone, until `patience` ends. A
    /// reader that went away is no error.
    pub(crate) async fn finish(
        self,
        patience: impl Future<Output = ()>,
    ) -> Result<(), OutputError> {
        drop(self.sender);
        let written = tokio::select! {
            biased;
            written = self.written => written.unwrap_or_else(|_| {
                Err(std::io::Error::other("the writing thread panicked"))
            }),
            () = patience => Err(std::io::Error::other("nobody reads it")),
        };
        match written {
            Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => Err(OutputError {
                path: self.path,
                source,
            }),
            _ => Ok(()),
        }
    }
}

fn create(path: &Path, append: bool) -> std::io::Result<File> {
    File::options()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(path)
}

fn write(sink: Box<dyn Write + Send>, mut lines: Receiver<String>) -> std::io::Result<()> {
    let mut sink = BufWriter::new(sink);
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => return sink.flush(),
            Err(TryRecvError::Empty) => {
                sink.flush()?;
                match lines.blocking_recv() {
                    Some(line) => line,
                    None => return Ok(()),
                }
            }
        };
        sink.write_all(line.as_bytes())?;
    }
}

/// Stands for a responder that the answer does not name.
pub(crate) const NOBODY: &str = "-";

/// The line of one answer, line feed included: `<time since the beginning, s>
/// <latency, s> <load of the last second, %> <responder> <lambda> <hops>`, with
/// six significant digits. An answer without a responder, as computers give it
/// to clients that call them directly and as several functions amount to it,
/// shows `-` there; what one says of itself shows without blanks and control
/// characters, so that it stays one column of one line. Chains and graphs have
/// the names of their functions, joined with `-`, in place of the lambda.
pub(crate) fn line(
    at: Duration,
    latency: Duration,
    response: &LambdaResponse,
    lambda: &str,
    columns: Columns,
) -> String {
    let seconds = match columns {
        Columns::Latency => latency.as_secs_f64(),
        Columns::Prediction => f64::from(response.ptime) / 1e3,
    };
    let responder = match response.responder.as_str() {
        "" => NOBODY.into(),
        named => column(named),
    };
    format!(
        "{} {} {} {responder} {lambda} {}\n",
        general(at.as_secs_f64()),
        general(seconds),
        response.load1,
        response.hops,
    )
}

/// `text` without what separates columns and lines.
fn column(text: &str) -> Cow<'_, str> {
    if text.contains(' ') {
        return Cow::Owned(shown(&text.replace(' ', "\\u{20}")).into_owned());
    }
    shown(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(responder: &str) -> LambdaResponse {
        LambdaResponse {
            responder: responder.to_owned(),
            load1: 42,
            hops: 2,
            ptime: 250,
            ..LambdaResponse::default()
        }
    }

    #[test]
    fn lines_have_the_columns_of_the_reference() {
        let (at, latency) = (
            Duration::from_secs_f64(1.110_781),
            Duration::from_nanos(109_332_400),
        );
        let of = |responder, columns| line(at, latency, &response(responder), "clambda0", columns);
        assert_eq!(
            of("127.0.0.1:10001", Columns::Latency),
            "1.11078 0.109332 42 127.0.0.1:10001 clambda0 2\n"
        );
        assert_eq!(
            of("", Columns::Prediction),
            "1.11078 0.25 42 - clambda0 2\n"
        );
    }

    #[test]
    fn a_responder_is_one_column_of_one_line() {
        let of = |responder: &str| {
            let (at, latency) = (Duration::ZERO, Duration::ZERO);
            line(at, latency, &response(responder), "l", Columns::Latency)
        };
        assert_eq!(
            of("evil\n0 0 fake:1\x1b[31m"),
            "0 0 42 evil\\n0\\u{20}0\\u{20}fake:1\\u{1b}[31m l 2\n"
        );
        for long in ["x", " ", "\x1b"].map(|part| part.repeat(100_000)) {
            let line = of(&long);
            assert!(line.len() < 350, "{}", line.len());
            assert_eq!(line.split(' ').count(), 6);
        }
    }

    #[tokio::test]
    async fn lines_are_added_only_if_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        for (append, expected) in [(false, "x\n"), (true, "x\nx\n"), (false, "x\n")] {
            let config = Config {
                output_file: Some(path.clone()),
                append,
                ..Config::default()
            };
            let writer = LineWriter::open(&config, &Shutdown::new())
                .unwrap()
                .unwrap();
            writer.sender().send("x\n".to_owned()).await.unwrap();
            writer.finish(std::future::pending()).await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let config = Config {
            output_file: Some(PathBuf::from("/nowhere/lines")),
            ..Config::default()
        };
        let error = LineWriter::open(&config, &Shutdown::new()).unwrap_err();
        assert_eq!(error.to_string(), "cannot write to /nowhere/lines");
    }
}
