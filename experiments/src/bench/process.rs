//! Processes that a benchmark starts, and the CPU time they use.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

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
        program: &PathBuf,
        arguments: &[String],
        ready: &str,
        log: bool,
    ) -> anyhow::Result<Self> {
        let (out, err) = if log {
            (Stdio::null(), Stdio::piped())
        } else {
            (Stdio::piped(), Stdio::null())
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut lines: Box<dyn std::io::BufRead + Send> =
            match (child.stdout.take(), child.stderr.take()) {
                (Some(out), _) => Box::new(BufReader::new(out)),
                (None, Some(err)) => Box::new(BufReader::new(err)),
                (None, None) => anyhow::bail!("{} has no output", program.display()),
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
        Ok(Self {
            child,
            greeting: greeting.trim().to_owned(),
        })
    }

    /// CPU time of all its threads so far, from the scheduler's accounts.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let account = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let spent = account
                .split_whitespace()
                .next()
                .context("empty schedstat")?;
            nanos += spent.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
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

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
