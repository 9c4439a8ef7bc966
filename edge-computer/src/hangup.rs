//! SIGHUP, the end of a terminal: the functions of a computer are to end with it, and not to be cut
//! off.

use std::io;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// From now on SIGHUP is what SIGTERM is, unless the process ignores it, as under `nohup`. To be
/// called within a runtime.
///
/// # Errors
/// The operating system refuses the handler.
pub fn terminates() -> io::Result<()> {
    let kind = SignalKind::hangup();
    // Where it cannot be told, it is not ignored.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if is_ignored(&status, kind) {
        return Ok(());
    }
    let mut hangup = signal(kind)?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if let Err(error) = kill_process(getpid(), Signal::TERM) {
                tracing::error!(%error, "cannot end at SIGHUP");
            }
        }
    });
    Ok(())
}

/// Whether a process ignores a signal, by its `status` in the file system `proc`.
fn is_ignored(status: &str, kind: SignalKind) -> bool {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> (kind.as_raw_value() - 1)) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_bits_of_a_mask() {
        let status = "Name:\tedge\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        let ignored = |kind| is_ignored(status, kind);
        assert!(ignored(SignalKind::hangup()));
        assert!(!ignored(SignalKind::interrupt()));
        assert!(!is_ignored("", SignalKind::hangup()));
    }
}
