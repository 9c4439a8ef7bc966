//! Command lines: the flags that all programs share, and those of the C++ reference.
//!
//! A program declares its flags as a clap struct in which everything is optional (a
//! default in clap would hide the configuration file) with [`CommonFlags`] flattened into
//! it, and reads it with [`parse`].

mod prefixes;

use std::{
    convert::Infallible,
    ffi::OsString,
    io,
    num::{IntErrorKind, ParseFloatError, ParseIntError},
    path::PathBuf,
};

use clap::{
    Arg, ArgAction, Args, Command, CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};
use serde::Serialize;

use crate::{
    admin::AdminEndpoint,
    layers::Loaded,
    log::{LogFilter, LogFormat},
    nearest::nearest,
};
pub use prefixes::reference_prefixes;

const COMMON: &str = "Common options";

/// The flags that all programs share, to be flattened into a program's own.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonFlags {
    /// TOML file with the configuration, or KEY=VALUE pairs where the program takes them
    #[arg(help_heading = COMMON, long, value_name = "FILE", value_parser = ConfArg::parse)]
    pub conf: Vec<ConfArg>,

    /// Check the configuration and exit
    #[arg(help_heading = COMMON, long)]
    pub check_config: bool,

    /// Print the configuration in force as TOML and exit
    #[arg(help_heading = COMMON, long)]
    pub print_config: bool,

    /// What to log: a level (error, warn, info, debug, trace, off) or a filter like
    /// info,h2=warn
    #[arg(help_heading = COMMON, long, value_name = "FILTER")]
    pub log: Option<LogFilter>,

    /// How to log
    #[arg(help_heading = COMMON, long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Where to serve metrics and health over HTTP: HOST:PORT, a PORT of the loopback, or
    /// an empty string for nowhere
    #[arg(help_heading = COMMON, long, value_name = "ENDPOINT")]
    pub admin_endpoint: Option<AdminEndpoint>,
}

/// What `--conf` was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfArg {
    /// A conf string: there is a `=` in it.
    Inline(String),
    /// The path of a TOML file.
    File(PathBuf),
}

impl ConfArg {
    /// Tells a conf string from a path.
    ///
    /// # Errors
    /// None; the signature is that of a value parser.
    pub fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(if text.contains('=') {
            Self::Inline(text.to_owned())
        } else {
            Self::File(PathBuf::from(text))
        })
    }
}

impl CommonFlags {
    /// Answers `--print-config` and `--check-config` on standard output. Returns whether
    /// there was something to answer, in which case the program ends with success.
    ///
    /// # Errors
    /// The configuration cannot be expressed in TOML, or standard output cannot be
    /// written; a reader that went away is not an error.
    pub fn answered<C: Serialize>(&self, loaded: &Loaded<C>) -> anyhow::Result<bool> {
        let Some(answer) = self.answer(loaded)? else {
            return Ok(false);
        };
        print(&answer)?;
        Ok(true)
    }

    fn answer<C: Serialize>(&self, loaded: &Loaded<C>) -> anyhow::Result<Option<String>> {
        if self.print_config {
            return Ok(Some(loaded.to_toml()?));
        }
        Ok(self.check_config.then(|| {
            let warnings = loaded.warnings().iter();
            let warnings: String = warnings.map(|text| format!("warning: {text}\n")).collect();
            format!("{warnings}configuration OK\n")
        }))
    }
}

/// Writes an answer to standard output.
///
/// # Errors
/// Standard output cannot be written; a reader that went away is not an error.
pub fn print(answer: &str) -> io::Result<()> {
    match io::Write::write_all(&mut io::stdout(), answer.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let text = format!("cannot write to standard output: {error}");
            Err(io::Error::new(error.kind(), text))
        }
        _ => Ok(()),
    }
}

/// Reads a command line, the name of the program first.
///
/// Long options can be abbreviated as far as it leaves no doubt; `reference_options` are
/// the long options of the reference's program of the same role, whose abbreviations are
/// accepted besides (see [`reference_prefixes`]). `-v` and `--version` print the version.
///
/// # Errors
/// Wrong usage, or `--help` or `--version`; [`run`](crate::run()) prints them and exits
/// with the right code.
pub fn parse<F: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    reference_options: &[&str],
) -> Result<F, clap::Error> {
    let mut command = command::<F>(reference_options);
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let matches = command
        .try_get_matches_from_mut(&arguments)
        .map_err(|error| with_plain_numbers(error, innermost(&mut command, &arguments)))
        .map_err(|error| with_visible_tip(error, &command))?;
    F::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The error of a value that is no number, in the words of who wrote it: the standard library speaks
/// of digits, literals and types.
fn with_plain_numbers(error: clap::Error, command: &mut Command) -> clap::Error {
    if error.kind() != ErrorKind::ValueValidation {
        return error;
    }
    let source = std::error::Error::source(&error);
    let expected = if let Some(no_number) = source.and_then(|source| source.downcast_ref()) {
        whole_number(no_number)
    } else if source.is_some_and(<dyn std::error::Error>::is::<ParseFloatError>) {
        "expected a number"
    } else {
        return error;
    };
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let (option, value) = (
        text(ContextKind::InvalidArg),
        text(ContextKind::InvalidValue),
    );
    let message = format!("invalid value '{value}' for '{option}': {expected}");
    command.error(ErrorKind::ValueValidation, message)
}

/// The command that these arguments are for: a subcommand, or one of that.
fn innermost<'a>(command: &'a mut Command, arguments: &[OsString]) -> &'a mut Command {
    let Some((name, rest)) = arguments.split_first() else {
        return command;
    };
    match command.find_subcommand(name).is_some() {
        true => {
            let inner = command.find_subcommand_mut(name).expect("it is there");
            innermost(inner, rest)
        }
        false => innermost(command, rest),
    }
}

fn whole_number(error: &ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow => "the number is too large",
        IntErrorKind::NegOverflow => "the number is too small",
        IntErrorKind::Zero => "expected a whole number, 1 or more",
        _ => "expected a whole number",
    }
}

/// The error with a tip that names an option as the help shows it, if one resembles what was given:
/// clap also proposes hidden abbreviations.
fn with_visible_tip(mut error: clap::Error, command: &Command) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (given, tip) = (
        text(ContextKind::InvalidArg),
        text(ContextKind::SuggestedArg),
    );
    let (Some(given), Some(tip)) = (given, tip) else {
        return error;
    };
    let (given, tip) = (given.trim_start_matches('-'), tip.trim_start_matches('-'));
    let options = visible_options(command);
    if options.contains(&tip) {
        return error;
    }
    let nearest = nearest(given, options);
    match nearest {
        Some(long) => {
            let tip = ContextValue::String(format!("--{long}"));
            error.insert(ContextKind::SuggestedArg, tip)
        }
        None => {
            // How that one is used is no help either.
            error.remove(ContextKind::Usage);
            error.remove(ContextKind::SuggestedArg)
        }
    };
    error
}

/// Long options of the command and of its subcommands.
fn visible_options(command: &Command) -> Vec<&str> {
    let own = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let inner = command.get_subcommands().flat_map(visible_options);
    own.filter_map(Arg::get_long).chain(inner).collect()
}

/// The command that [`parse`] reads with; for completions and manuals.
pub fn command<F: CommandFactory>(reference_options: &[&str]) -> Command {
    let mut command = F::command();
    if command.get_version().is_none() {
        command = command.version(env!("CARGO_PKG_VERSION"));
    }
    let version = Arg::new("version")
        .short('v')
        .short_alias('V')
        .long("version")
        .action(ArgAction::Version)
        .help("Print the version");
    let command = command
        .disable_version_flag(true)
        .arg(version)
        .infer_long_args(true);
    reference_prefixes(taking_negative_numbers(command), reference_options)
}

/// A negative number is the value of the option before it, and not an option that nobody knows: who
/// takes the value says what would be right.
fn taking_negative_numbers(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_action().takes_values() {
            true => arg.allow_negative_numbers(true),
            false => arg,
        })
        .mut_subcommands(taking_negative_numbers)
}

#[cfg(test)]
mod tests;
