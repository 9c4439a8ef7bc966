//! The program `edgeclient`: its command line, its summary, its exit code.

mod environment;
mod flags;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use edge_daemon::cli;
use edge_daemon::layers::{Layers, Loaded};
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{UsageError, log, shown, signals};

use self::flags::{Flags, REFERENCE_OPTIONS};
use crate::ErrorKind;
use crate::config::{CHAIN_CONF, CLIENT_CONF, Config, DAG_CONF, Output, STDOUT, is_stdout};
use crate::load::{self, Progress, RunError};
use crate::report::{Mode, Report};

/// Runs the program with its `arguments`, its own name first.
///
/// The summary goes to standard output for an open loop and for JSON, else to
/// standard error, because standard output has the lines of the answers.
///
/// # Errors
/// Wrong usage or configuration; a run that could not take place; lines that
/// could not be written; and a run in which no request succeeded, or requests
/// were given up at the end. [`edge_daemon::run`] turns them into exit
/// codes.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let flags: Flags = cli::parse(arguments, REFERENCE_OPTIONS)?;
    let loaded = configuration(&flags)?;
    if flags.common.answered(&loaded)? {
        return Ok(());
    }
    if let Some((example, name)) = loaded.config.template() {
        return std::fs::write(name, example.to_json() + "\n")
            .with_context(|| format!("cannot write {name}"));
    }
    log::init(&loaded.config.log);
    loaded.log_warnings();
    let config = with_lines(loaded.config);
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(load::run(&config, &shutdown, Progress::Told));
    match ended {
        Ok(report) => {
            print(&report, config.output, StandardOutput::Works)?;
            verdict(&report)
        }
        Err(RunError::Unwritten { source, report }) => {
            let lines = config.output_file.as_deref();
            let stdout = if lines.is_some_and(is_stdout) {
                StandardOutput::Fails
            } else {
                StandardOutput::Works
            };
            // That the lines are missing is the worse news, should this fail as well.
            let _ = print(&report, config.output, stdout);
            Err(source.into())
        }
        Err(error) => Err(blame(error)),
    }
}

fn configuration(flags: &Flags) -> anyhow::Result<Loaded<Config>> {
    let layers = Layers::new("edgeclient")
        .environment(environment::variables())
        .common(&flags.common, None)
        .conf_string(&CLIENT_CONF, flags.client_conf.as_deref())
        .conf_string(&CHAIN_CONF, flags.chain_conf.as_deref())
        .conf_string(&DAG_CONF, flags.dag_conf.as_deref());
    let loaded: Loaded<Config> = flags.apply(layers).load()?;
    if let Err(problem) = loaded.config.validate() {
        return Err(loaded.invalid(problem.key, problem.problem).into());
    }
    let endpoints = &loaded.config.server_endpoints;
    if loaded.config.etsi.api_root.is_some() && *endpoints != Config::default().server_endpoints {
        eprintln!("warning: server-endpoints has no effect: the ETSI MEC server says where to go");
    }
    Ok(loaded)
}

/// Lines go to standard output unless the summary does.
fn with_lines(mut config: Config) -> Config {
    if config.rate.is_none() && config.output == Output::Text {
        let stdout = || PathBuf::from(STDOUT);
        config.output_file = Some(config.output_file.unwrap_or_else(stdout));
    }
    config
}

/// Tells what the user has to mend from what went wrong.
fn blame(error: RunError) -> anyhow::Error {
    match error {
        RunError::Config(_) | RunError::Tls(_) => UsageError(error.to_string()).into(),
        // They quote what servers say.
        RunError::States(_) | RunError::Etsi(_) => {
            anyhow!("{}", shown(&format!("{:#}", anyhow::Error::from(error))))
        }
        other => other.into(),
    }
}

/// Whether something can be written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StandardOutput {
    Works,
    Fails,
}

fn print(report: &Report, output: Output, stdout: StandardOutput) -> anyhow::Result<()> {
    let (text, wanted) = match output {
        Output::Json => (report.to_json() + "\n", true),
        Output::Text => (report.to_text(), matches!(report.mode, Mode::Open { .. })),
    };
    let printed = if wanted && stdout == StandardOutput::Works {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        std::io::stderr().write_all(text.as_bytes())
    };
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Failure if nothing succeeded, or something was given up.
fn verdict(report: &Report) -> anyhow::Result<()> {
    if report.tally.ok > 0 {
        let given_up = report.tally.errors.get(&ErrorKind::Interrupted);
        return match given_up.map_or(0, |failures| failures.count) {
            0 => Ok(()),
            count => Err(anyhow!(
                "gave up {count} requests that were still in flight"
            )),
        };
    }
    let errors = report.tally.errors.values();
    match errors.max_by_key(|failures| failures.count) {
        Some(failures) => Err(anyhow!("no request succeeded: {}", failures.example)),
        None => Err(anyhow!("no request was sent")),
    }
}
