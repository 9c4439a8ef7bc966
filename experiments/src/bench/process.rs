//! Processes that a benchmark starts, and the CPU time they use.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// A child that ends with us.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// What it said when it was ready.
    pub(crate) greeting: String,
}

impl Process {
    /// Starts `program` and waits for the first line with `ready` in it, on
    /// standard output or, with `log`, on standard error.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        ready: &str,
        log: bool,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_command(command, ready, log)
    }

    /// As [`Self::start`], of a command with an environment of its own.
    pub(crate) fn start_command(command: Command, ready: &str, log: bool) -> anyhow::Result<Self> {
        let (out, err) = if log {
            (Stdio::null(), Stdio::piped())
        } else {
            (Stdio::piped(), Stdio::null())
        };
        let program = PathBuf::from(command.get_program());
        let mut child = spawn(command, out, err)?;
        let mut lines: Box<dyn std::io::BufRead + Send> =
            match (child.stdout.take(), child.stderr.take()) {
                (Some(out), _) => Box::new(BufReader::new(out)),
                (None, Some(err)) => Box::new(BufReader::new(err)),
                (None, None) => anyhow::bail!("{} has no output", program.display()),
            };
        let mut process = Self {
            child,
            greeting: String::new(),
        };
        let mut said = String::new();
        let mut greeting = String::new();
        while !greeting.contains(ready) || greeting.is_empty() {
            greeting.clear();
            let read = lines.read_line(&mut greeting)?;
            anyhow::ensure!(read > 0, "{} ended at once: {said}", program.display());
            said += &greeting;
        }
        // Goes on reading, so that the child never waits for us.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        greeting.trim().clone_into(&mut process.greeting);
        Ok(process)
    }

    /// Starts `program`, which does not say when it is ready; what it says goes to the file `log`.
    pub(crate) fn start_silent(
        program: &Path,
        arguments: &[String],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let out = log.try_clone()?;
        let mut command = Command::new(program);
        command.args(arguments);
        Ok(Self {
            child: spawn(command, out.into(), log.into())?,
            greeting: String::new(),
        })
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("no standard input")?;
        writeln!(input, "{line}")?;
        Ok(())
    }

    /// Sends it a signal. It is our child and not waited for, so that its
    /// number belongs to nobody else, even if it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// True if it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// CPU time of all its threads so far, from the scheduler's accounts.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(&self.child.id().to_string())
    }

    /// Ticks of the clock that found it in user mode, and in the kernel: coarse, but they tell the
    /// share of each.
    pub(crate) fn user_and_system(&self) -> anyhow::Result<[u64; 2]> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name before the last bracket may hold anything. User and system time are the 14th
        // and 15th field of all.
        let (_, fields) = stat.rsplit_once(')').context("unexpected stat")?;
        let mut ticks = fields.split_whitespace().skip(11);
        let mut tick =
            || -> anyhow::Result<u64> { Ok(ticks.next().context("short stat")?.parse()?) };
        Ok([tick()?, tick()?])
    }

    /// Resident memory, in kilobytes.
    pub(crate) fn rss_kb(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line
            .and_then(|line| line.split_whitespace().next())
            .context("no VmRSS")?;
        Ok(kb.parse()?)
    }
}

/// CPU time of all threads of this program so far.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of("self")
}

fn cpu_of(process: &str) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let account = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let spent = account
            .split_whitespace()
            .next()
            .context("empty schedstat")?;
        nanos += spent.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn spawn(mut command: Command, out: Stdio, err: Stdio) -> anyhow::Result<Child> {
    command.stdin(Stdio::piped()).stdout(out).stderr(err);
    let program = PathBuf::from(command.get_program());
    command
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
