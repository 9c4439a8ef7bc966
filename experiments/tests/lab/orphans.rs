//! Whatever `lab` starts ends with it, even if it is killed and they cannot do anything about it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(120);

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// State and parent of a process, if it is there.
fn state(folder: &Path) -> Option<(char, i32)> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name before the last bracket may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

fn children(parent: u32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| {
            let number: i32 = entry.file_name().to_str()?.parse().ok()?;
            let (_, its_parent) = state(&entry.path())?;
            (u32::try_from(its_parent) == Ok(parent)).then_some(number)
        })
        .collect()
}

/// Not before that the system knows what to do with it.
fn is_the_program(number: i32) -> bool {
    let arguments = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0).skip(1);
    arguments.next().is_some_and(|first| first != b"hosted")
}

/// Some may wait for somebody to take notice of their end.
fn has_ended(number: i32) -> bool {
    let folder = format!("/proc/{number}");
    state(Path::new(&folder)).is_none_or(|(state, _)| state == 'Z')
}

#[test]
fn frozen_children_end_when_it_is_killed() {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["chaos", "--only=poison", "--seconds=600"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut started = Vec::new();
    eventually("four computers and a router", || {
        started = children(lab.id());
        started.len() >= 5 && started.iter().copied().all(is_the_program)
    });
    for number in &started {
        let child = Pid::from_raw(*number).unwrap();
        kill_process(child, Signal::STOP).unwrap();
    }
    lab.kill().unwrap();
    lab.wait().unwrap();
    for number in started {
        eventually("a child ends", || has_ended(number));
    }
}
