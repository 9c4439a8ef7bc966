//! Processes that a benchmark starts, and the CPU time they use. They end with us, however we end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::fabric::hosted;

/// How long a program may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

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
        Self::start_ending(Ends::WithUs, command, ready, log)
    }

    /// As [`Self::start_command`], of a [`hosted::command`], which ends with the calling thread.
    pub(crate) fn start_hosted(command: Command, ready: &str, log: bool) -> anyhow::Result<Self> {
        Self::start_ending(Ends::WithTheThread, command, ready, log)
    }

    fn start_ending(ends: Ends, command: Command, ready: &str, log: bool) -> anyhow::Result<Self> {
        let (out, err) = if log {
            (Stdio::null(), Stdio::piped())
        } else {
            (Stdio::piped(), Stdio::null())
        };
        let program = PathBuf::from(command.get_program());
        let mut child = spawn(ends, command, out, err)?;
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
        let (tells, told) = mpsc::sync_channel(64);
        let is_ready = ready.to_owned();
        let is_ready = move |line: &str| line.contains(&is_ready) && !line.is_empty();
        std::thread::spawn(move || {
            loop {
                let mut line = String::new();
                if !matches!(lines.read_line(&mut line), Ok(1..)) {
                    return;
                }
                let is_last = is_ready(&line);
                if tells.send((line, is_last)).is_err() || is_last {
                    break;
                }
            }
            // Goes on reading, so that the child never waits for us.
            let _until_it_ends = std::io::copy(&mut lines, &mut std::io::sink());
        });
        let deadline = Instant::now() + READY_WITHIN;
        let mut said = String::new();
        loop {
            match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((greeting, true)) => {
                    greeting.trim().clone_into(&mut process.greeting);
                    return Ok(process);
                }
                Ok((line, false)) => said += &line,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("{} ended at once: {said}", program.display())
                }
                Err(mpsc::RecvTimeoutError::Timeout) => anyhow::bail!(
                    "{} has not said '{ready}' within {} s: {said}",
                    program.display(),
                    READY_WITHIN.as_secs()
                ),
            }
        }
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
            child: spawn(Ends::WithUs, command, out.into(), log.into())?,
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

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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

/// With whom a process ends that nobody ends.
#[derive(Debug, Clone, Copy)]
enum Ends {
    WithUs,
    /// With the thread that starts it, by a command that sees to that.
    WithTheThread,
}

fn spawn(ends: Ends, command: Command, out: Stdio, err: Stdio) -> anyhow::Result<Child> {
    let ending = match ends {
        Ends::WithTheThread => return spawn_here(command, out, err),
        Ends::WithUs => ending(&command)?,
    };
    let (tells, told) = mpsc::sync_channel(1);
    let order = move || {
        // Whoever has ordered it waits for it.
        let _sent = tells.send(spawn_here(ending, out, err));
    };
    let ordered = starter().send(Box::new(order));
    anyhow::ensure!(ordered.is_ok(), "nobody is there to start it");
    told.recv().context("it was not started")?
}

/// `command` such that the system ends it with the thread that has started it.
fn ending(command: &Command) -> anyhow::Result<Command> {
    let mut ending = hosted::command(command.get_program())?;
    ending.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => ending.env(name, value),
            None => ending.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        ending.current_dir(folder);
    }
    Ok(ending)
}

fn spawn_here(mut command: Command, out: Stdio, err: Stdio) -> anyhow::Result<Child> {
    command.stdin(Stdio::piped()).stdout(out).stderr(err);
    command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))
}

type Order = Box<dyn FnOnce() + Send>;

/// A thread that starts processes and never ends: the system ends them with the thread that has
/// started them, which others of ours may outlive.
fn starter() -> &'static mpsc::SyncSender<Order> {
    static STARTER: OnceLock<mpsc::SyncSender<Order>> = OnceLock::new();
    STARTER.get_or_init(|| {
        // Whoever orders waits until it is done.
        let (orders, ordered) = mpsc::sync_channel::<Order>(1);
        std::thread::spawn(move || ordered.into_iter().for_each(|order| order()));
        orders
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
