//! Programs that end with whoever has started them, whatever becomes of this program.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Options of what stands between a host and its program.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Who starts it
    #[arg(long)]
    parent: i32,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// A command that runs `program` so that the system kills it when the thread ends that has started
/// it: for programs that do not look after their parents themselves.
pub(crate) fn command(program: impl AsRef<OsStr>) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(own);
    let parent = getpid().as_raw_nonzero();
    command.args(["hosted", &format!("--parent={parent}"), "--"]);
    command.arg(program);
    Ok(command)
}

/// Becomes the program.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before that.
    let alive = getppid().map(Pid::as_raw_nonzero).map(i32::from) == Some(flags.parent);
    anyhow::ensure!(alive, "the parent has ended");
    let (program, arguments) = flags.command.split_first().context("no program")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
