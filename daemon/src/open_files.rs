//! How many files and connections a process may have open at the same time.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The most that Linux takes unless told otherwise (`fs.nr_open`), where there is no hard limit.
const UNLIMITED: u64 = 1 << 20;

/// The limits that this process was started with, if it has raised one of them.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit, 1024 on most systems and far below the connections that daemons are
/// made for, to the hard limit. It is that low for programs that use `select(2)`, which ours do
/// not; and a process without a file left to open can reach nobody, so that whoever holds a
/// thousand connections to it could keep it from all others.
///
/// If the system refuses, the limit stays as it was, and the bounds that are configured hold as
/// far as they are below it.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current else { return };
    let hard = limit.maximum.unwrap_or(UNLIMITED.max(soft));
    if soft < hard {
        let raised = Rlimit {
            current: Some(hard),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            let _before = BEFORE.set(limit);
        }
    }
}

/// Gives `child`, a program of somebody else that inherited the limit which [`run`](crate::run())
/// raised, the one back that this process was started with: it may use `select(2)`, or go through
/// all files that it could have open.
///
/// To be called as soon as it has been started. What it asked for before is what it had inherited.
pub fn restore(child: Pid) {
    if let Some(before) = BEFORE.get() {
        // An error means that it has ended.
        let _gone = prlimit(Some(child), Resource::Nofile, *before);
    }
}
