//! On which cores processes may run. Where the scheduler may put two that talk to each other on one core
//! or on two, as it likes, what a message costs them differs by more than what is to be measured.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Two cores, which share no pipeline if there are such.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TwoCores {
    /// All that this program may use.
    all: CpuSet,
    one: usize,
    other: usize,
}

/// Why processes cannot be kept apart.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Apart {
    /// There are not enough cores.
    #[error("this program may use one core only")]
    OneCore,
    /// The system does not let us.
    #[error("the system does not let cores be chosen: {0}")]
    Forbidden(#[from] io::Error),
}

impl TwoCores {
    /// Two of those that this program may use.
    pub(crate) fn choose() -> Result<Self, Apart> {
        let all = sched_getaffinity(None).map_err(io::Error::from)?;
        let cores: Vec<_> = (0..CpuSet::MAX_CPU)
            .filter(|core| all.is_set(*core))
            .collect();
        let [one, others @ ..] = &cores[..] else {
            return Err(Apart::OneCore);
        };
        let threads = threads_of_core(*one);
        let other = others.iter().find(|core| !threads.contains(core));
        let other = other.or(others.first()).ok_or(Apart::OneCore)?;
        Ok(Self {
            all,
            one: *one,
            other: *other,
        })
    }

    /// Lets a process, of which this is the number, run there only: all of its threads, and those that
    /// they start.
    pub(crate) fn put(&self, process: u32, place: Place) -> Result<(), Apart> {
        match place {
            Place::One => confine(process, &only(self.one)),
            Place::Other => confine(process, &only(self.other)),
            Place::Any => confine(process, &self.all),
        }
    }
}

/// Where a process may run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// On the one core,
    One,
    /// on the other,
    Other,
    /// or on all that this program may use.
    Any,
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

fn confine(process: u32, cores: &CpuSet) -> Result<(), Apart> {
    let mut confined = BTreeSet::new();
    loop {
        let threads = threads(process)?;
        if threads.is_subset(&confined) {
            return Ok(());
        }
        for thread in threads.difference(&confined) {
            match sched_setaffinity(Pid::from_raw(*thread), cores) {
                // It has ended.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(Apart::Forbidden(error.into())),
            }
        }
        confined.extend(threads);
    }
}

fn threads(process: u32) -> io::Result<BTreeSet<i32>> {
    let mut threads = BTreeSet::new();
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let name = thread?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        threads.insert(number.ok_or(io::ErrorKind::InvalidData)?);
    }
    Ok(threads)
}

/// The processors that are threads of one core with this one, as far as the system tells.
fn threads_of_core(core: usize) -> Vec<usize> {
    let topology = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let list = std::fs::read_to_string(Path::new(&topology)).unwrap_or_default();
    ranges(list.trim())
}

/// The numbers of a list such as `0,4-6`.
fn ranges(list: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(ranges("0,4-6"), [0, 4, 5, 6]);
        assert_eq!(ranges("3"), [3]);
        assert!(ranges("").is_empty());
    }

    /// Of a process of its own: other tests run in this one.
    #[test]
    fn all_threads_of_a_process_are_confined_and_freed() {
        let Ok(cores) = TwoCores::choose() else {
            return;
        };
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let allowed = || sched_getaffinity(Pid::from_raw(child.id().cast_signed())).unwrap();
        cores.put(child.id(), Place::One).unwrap();
        assert_eq!(allowed(), only(cores.one));
        cores.put(child.id(), Place::Other).unwrap();
        assert_eq!(allowed(), only(cores.other));
        assert_ne!(cores.one, cores.other);
        cores.put(child.id(), Place::Any).unwrap();
        assert_eq!(allowed(), cores.all);
        child.kill().unwrap();
        child.wait().unwrap();
        // Nobody is there any more, which is not passed over.
        assert!(matches!(
            cores.put(child.id(), Place::Any),
            Err(Apart::Forbidden(_))
        ));
    }
}
