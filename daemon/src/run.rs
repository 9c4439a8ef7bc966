//! The outermost function of every program: runs it, reports its error, sets its exit code.

use std::{
    error::Error,
    io::{ErrorKind, IsTerminal, stderr},
    process::ExitCode,
    time::Duration,
};

use crate::{conf_string::ConfStringError, layers::ConfigError, log, open_files, shown::escaped};

/// The exit code for wrong usage and unusable configuration.
const USAGE: u8 = 2;

/// How long the end of a program waits for a reader of its log.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The user asked for something that makes no sense: options that exclude each other, an
/// argument that is missing. For what neither clap nor the configuration can tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Something that the configuration names cannot be used: a file that is not there, or makes no sense.
/// It says what its cause says.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unusable(Box<dyn Error + Send + Sync>);

/// A signal ended a program that had not done yet what it was asked for. Carries the name of the signal,
/// as [`Shutdown::requested`](crate::lifecycle::Shutdown::requested) tells it.
///
/// The exit code is what shells say of a program that a signal has killed: 143 for SIGTERM, else 130,
/// as for SIGINT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ended by {0}")]
pub struct Interrupted(pub &'static str);

impl Interrupted {
    fn exit_code(&self) -> u8 {
        match self.0 {
            "SIGTERM" => 128 + 15,
            _ => 128 + 2,
        }
    }
}

/// Tells an error of a daemon's start: as one of configuration, which makes exit code 2, if
/// `is_configuration` says so.
pub fn blame<E>(is_configuration: fn(&E) -> bool) -> impl FnOnce(E) -> anyhow::Error
where
    E: Error + Send + Sync + 'static,
{
    move |error| match is_configuration(&error) {
        true => Unusable(Box::new(error)).into(),
        false => error.into(),
    }
}

/// Runs a program and returns its exit code: 0 for success, `--help` and `--version`, 2
/// for errors of usage and configuration, 130 or 143 where it was [`Interrupted`], 1 for any other failure.
///
/// An error is printed to standard error as `error: ` and the whole chain of its causes.
///
/// The process may have as many files and connections open as its hard limit says (`ulimit -Hn`,
/// `LimitNOFILE` of systemd), whatever its soft limit was.
pub fn run(program: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    open_files::raise();
    let Err(error) = program() else {
        log::flush(LAST_WORDS);
        return ExitCode::SUCCESS;
    };
    if let Some(error) = error.chain().find_map(|e| e.downcast_ref::<clap::Error>()) {
        let code = u8::try_from(error.exit_code()).unwrap_or(USAGE);
        return match error.print() {
            // A reader that went away has read what it wanted.
            Err(unwritten) if code == 0 && unwritten.kind() != ErrorKind::BrokenPipe => {
                let line = format!("error: cannot write to standard output: {unwritten}\n");
                log::last_words(&line, LAST_WORDS);
                ExitCode::FAILURE
            }
            // Where an error cannot be told, its code says the same.
            _ => ExitCode::from(code),
        };
    }
    let (on, off) = if coloured() {
        ("\x1b[1;31m", "\x1b[0m")
    } else {
        ("", "")
    };
    // Of its text others may have chosen a part: it must not give orders to a terminal.
    let text = chain(error.as_ref());
    let lines: Vec<_> = text.split('\n').map(escaped).collect();
    let line = format!("{on}error:{off} {}\n", lines.join("\n"));
    log::last_words(&line, LAST_WORDS);
    ExitCode::from(exit_code(&error))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let interrupted = error.chain().find_map(|e| e.downcast_ref::<Interrupted>());
    if let Some(interrupted) = interrupted {
        return interrupted.exit_code();
    }
    let usage = error.chain().any(|e| {
        e.is::<ConfigError>()
            || e.is::<ConfStringError>()
            || e.is::<UsageError>()
            || e.is::<Unusable>()
    });
    if usage { USAGE } else { 1 }
}

/// Whether standard error takes colours: it is a terminal and `NO_COLOR` is not set.
pub(crate) fn coloured() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stderr().is_terminal() && !forbidden
}

/// An error and its causes in one line, without repeating a cause whose text is already
/// part of what it caused.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn usage_and_configuration_errors_exit_with_2_and_failures_with_1() {
        let configuration = ConfigError::MisplacedConfString {
            text: "a=b".to_owned(),
        };
        assert_eq!(exit_code(&configuration.into()), 2);
        let wrapped = Err::<(), _>(UsageError("no input".to_owned())).context("starting");
        assert_eq!(exit_code(&wrapped.unwrap_err()), 2);
        assert_eq!(exit_code(&anyhow!("address already in use")), 1);
    }

    #[test]
    fn who_was_interrupted_exits_as_if_the_signal_had_killed_it() {
        for (signal, code) in [("SIGINT", 130), ("SIGTERM", 143), ("requested", 130)] {
            let wrapped = Err::<(), _>(Interrupted(signal)).context("nothing was written");
            assert_eq!(exit_code(&wrapped.unwrap_err()), code, "{signal}");
        }
    }

    #[test]
    fn an_error_of_a_start_is_blamed_on_the_configuration_in_its_own_words() {
        let error = || std::io::Error::other("no such file");
        for (is_configuration, code) in [(true, 2), (false, 1)] {
            let blamed = match is_configuration {
                true => blame(|_| true)(error()),
                false => blame(|_| false)(error()),
            };
            assert_eq!(exit_code(&blamed), code);
            assert_eq!(chain(blamed.as_ref()), "no such file");
        }
    }

    #[test]
    fn the_whole_chain_of_causes_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot listen: {source}")]
        struct Listen {
            source: std::io::Error,
        }
        let source = std::io::Error::other("address in use");
        let error = anyhow::Error::new(Listen { source }).context("router");
        assert_eq!(
            chain(error.as_ref()),
            "router: cannot listen: address in use"
        );
    }
}
