//! Logs: what is written, how, and where to (standard error).

mod line;
mod queue;

use std::{fmt, str::FromStr};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing::{Subscriber, subscriber::set_global_default};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

pub(crate) use self::queue::{flush, last_words};
use self::{line::OneLine, queue::Line};
use crate::{nearest::advice, run::coloured};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The section `log` of every configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// What is logged.
    pub filter: LogFilter,
    /// How it is written.
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged: a level (`info`), or directives like `info,h2=warn,edge_broker=debug`
/// in the syntax of `RUST_LOG`. A word alone must be a level; a target is written with
/// its level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogFilter(String);

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

/// Text that is no log filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid log filter `{text}`: {problem}")]
pub struct InvalidLogFilter {
    text: String,
    problem: String,
}

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |problem: String| InvalidLogFilter {
            text: text.to_owned(),
            problem,
        };
        for directive in text.split(',').map(str::trim) {
            let is_level = LEVELS.contains(&directive.to_ascii_lowercase().as_str());
            if !is_level && !directive.contains('=') {
                let advice = advice(directive, &LEVELS);
                let problem =
                    format!("`{directive}` is neither a level nor `target=level`: {advice}");
                return Err(invalid(problem));
            }
        }
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(invalid(error.to_string())),
        }
    }
}

impl TryFrom<String> for LogFilter {
    type Error = InvalidLogFilter;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LogFilter> for String {
    fn from(filter: LogFilter) -> Self {
        filter.0
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sets up the log of the process, on standard error, in colour if that is a terminal.
/// Only the first call in a process counts, so that tests may all call it.
///
/// Lines are written by a thread of its own: whoever logs never waits for the reader. Lines
/// that cannot be written are lost, and nothing else: a complaint about them would go to
/// standard error, too, and panic in whatever thread had something to say.
/// Each event is one line: what others have sent and gets into it cannot pass for a line.
/// [`run`](crate::run) waits for the last ones.
pub fn init(config: &LogConfig) {
    queue::start();
    // An error says that there is a log already.
    let _ = match config.format {
        LogFormat::Text => set_global_default(text(config, || Line, coloured())),
        LogFormat::Json => set_global_default(json(config, || Line)),
    };
}

fn text<W>(config: &LogConfig, writer: W, colours: bool) -> impl Subscriber + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.filter.0))
        .with_writer(OneLine { writer, colours })
        .log_internal_errors(false)
        .with_ansi(colours)
        .finish()
}

fn json<W>(config: &LogConfig, writer: W) -> impl Subscriber + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.filter.0))
        .with_writer(writer)
        .log_internal_errors(false)
        .json()
        .finish()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn writer(&self) -> impl Fn() -> Self + Send + Sync + 'static {
            let buffer = self.clone();
            move || buffer.clone()
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn config(filter: &str) -> LogConfig {
        LogConfig {
            filter: filter.parse().unwrap(),
            ..LogConfig::default()
        }
    }

    #[test]
    fn the_filter_decides_by_level_and_target() {
        let buffer = Buffer::default();
        with_default(
            text(&config("warn,chatty=error"), buffer.writer(), false),
            || {
                tracing::info!("quiet");
                tracing::warn!("heard");
                tracing::warn!(target: "chatty", "hushed");
            },
        );
        assert_eq!(buffer.text().lines().count(), 1);
        assert!(buffer.text().contains("WARN"));
        assert!(buffer.text().contains("heard"));
        assert!(!buffer.text().contains('\x1b'));
    }

    #[test]
    fn json_lines_carry_the_fields() {
        let buffer = Buffer::default();
        with_default(json(&config("info"), buffer.writer()), || {
            tracing::info!(destinations = 3, "table changed");
        });
        let line: serde_json::Value = serde_json::from_str(&buffer.text()).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["fields"]["message"], "table changed");
        assert_eq!(line["fields"]["destinations"], 3);
    }

    #[test]
    fn an_event_is_one_line_whatever_others_have_put_into_it() {
        let forged = "no\r\n2026-01-01T00:00:00Z  INFO forged: all is well\u{1b}[2K";
        for format in [LogFormat::Text, LogFormat::Json] {
            let buffer = Buffer::default();
            let say = || {
                tracing::warn!(error = %forged, "it failed");
                tracing::warn!("it failed: {forged}");
            };
            match format {
                LogFormat::Text => with_default(text(&config("info"), buffer.writer(), false), say),
                LogFormat::Json => with_default(json(&config("info"), buffer.writer()), say),
            }
            let written = buffer.text();
            let lines: Vec<_> = written.split_inclusive('\n').collect();
            assert_eq!(lines.len(), 2, "{written}");
            for line in lines {
                assert!(
                    line.contains("WARN") && line.contains(r"no\r\n2026"),
                    "{line}"
                );
                assert!(
                    line.ends_with('\n') && !line.contains(['\r', '\u{1b}']),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn filters_are_levels_or_directives() {
        for valid in [
            "info",
            "INFO",
            "off",
            "warn,h2=debug",
            "edge_broker[request]=trace",
        ] {
            assert_eq!(valid.parse::<LogFilter>().unwrap().to_string(), valid);
        }
    }

    #[test]
    fn a_mistyped_level_is_not_taken_for_a_target() {
        let error = "inof".parse::<LogFilter>().unwrap_err().to_string();
        assert!(error.contains("did you mean `info`?"), "{error}");
        for invalid in ["", "h2=loud", "info,,warn", "info,h2"] {
            assert!(invalid.parse::<LogFilter>().is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn setting_up_twice_is_harmless() {
        init(&LogConfig::default());
        init(&config("debug"));
    }
}
