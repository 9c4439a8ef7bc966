//! Ends the processes of a computer that does not come to do so itself: it is killed, or a second
//! signal ends it at once.
//!
//! A small process of the shell is told of each process group, and sees its standard input end when
//! the computer has, however that came about. It then kills what is left and removes its folder. A process
//! that the computer had started and not told of yet is known by its working directory, which is in there.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Weak};

use rustix::process::Pid;
use tokio::process::Command;

/// Signals that are meant for the computer are none of its business.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
own=$(cd -P -- "$1" && pwd -P)
groups=
while read -r what group; do
  case $what in
    begun) groups="$groups $group" ;;
    ended)
      left=
      for one in $groups; do [ "$one" = "$group" ] || left="$left $one"; done
      groups=$left ;;
  esac
done
for one in $groups; do kill -KILL "-$one"; done
for one in /proc/[0-9]*/cwd; do
  case $(readlink "$one") in
    "${own:-$1}"/*)
      one=${one#/proc/}
      kill -KILL "-${one%/cwd}" || kill -KILL "${one%/cwd}" ;;
  esac
done
exec rm -rf -- "$1"
"#;

/// The process that does it; dropped, it does.
#[derive(Debug)]
pub(super) struct Guard(File);

/// A process group that must not outlive the computer. Dropped, it has ended.
#[derive(Debug)]
pub(super) struct Guarded {
    guard: Weak<Guard>,
    group: Pid,
}

impl Guard {
    /// Starts it, for processes that have their files in `folder`. To be called within a runtime.
    pub(super) fn start(folder: &Path) -> std::io::Result<Arc<Self>> {
        let path = std::env::var_os("PATH").map(|path| ("PATH", path));
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "edge-runtime-guard"])
            .arg(folder)
            .env_clear()
            .envs(path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let stdin = child.stdin.take().expect("its input is piped");
        let stdin = File::from(stdin.into_owned_fd()?);
        // Nothing waits for it, whatever becomes of it.
        rustix::io::ioctl_fionbio(&stdin, true)?;
        Ok(Arc::new(Self(stdin)))
    }

    /// Kills `group` if the computer ends before it does.
    pub(super) fn watch(self: &Arc<Self>, group: Pid) -> Guarded {
        self.tell("begun", group);
        Guarded {
            guard: Arc::downgrade(self),
            group,
        }
    }

    fn tell(&self, what: &str, group: Pid) {
        let line = format!("{what} {}\n", group.as_raw_nonzero());
        if let Err(error) = (&self.0).write_all(line.as_bytes()) {
            tracing::warn!(%error, "runtime processes may outlive this computer");
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.upgrade() {
            guard.tell("ended", self.group);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> (Child, Pid) {
        sleeper_in(Path::new("/"))
    }

    fn sleeper_in(folder: &Path) -> (Child, Pid) {
        let mut command = Command::new("sleep");
        let command = command.arg("1000").process_group(0).current_dir(folder);
        let child = command.spawn().unwrap();
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        (child, group)
    }

    #[tokio::test]
    async fn what_has_not_ended_is_killed_and_the_folder_removed() {
        let folder = tempfile::tempdir().unwrap().keep();
        let guard = Guard::start(&folder).unwrap();
        let (mut left, group) = sleeper();
        // As if the computer were gone before it can tell.
        std::mem::forget(guard.watch(group));
        let (mut ended, group) = sleeper();
        drop(guard.watch(group));
        drop(guard);
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        while folder.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(ended.try_wait().unwrap(), None);
        ended.kill().unwrap();
        ended.wait().unwrap();
    }

    #[tokio::test]
    async fn who_was_started_and_not_told_of_is_killed() {
        let folder = tempfile::tempdir().unwrap().keep();
        let guard = Guard::start(&folder).unwrap();
        let own = folder.join("own");
        std::fs::create_dir(&own).unwrap();
        let (mut untold, _) = sleeper_in(&own);
        drop(guard);
        assert_eq!(untold.wait().unwrap().signal(), Some(9));
    }
}
