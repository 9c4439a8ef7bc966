//! Our own programs: found beside this one, or built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context as _;

/// Where this program was built from.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A program, and how it got there.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// For people: what is measured.
    pub(crate) origin: String,
}

/// The programs of these names beside this one, in that order. They are built first if one is
/// missing or older than the sources of the tree from which this program was built.
pub(crate) fn programs(names: &[&str]) -> anyhow::Result<Vec<Program>> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let sources = newest_source();
    let stale = |path: &Path| {
        let built = modified(path);
        built.is_none() || sources.is_some_and(|sources| built < Some(sources))
    };
    let paths: Vec<_> = names.iter().map(|name| own.with_file_name(name)).collect();
    let old: Vec<_> = paths.iter().map(|path| stale(path)).collect();
    for (path, _) in paths.iter().zip(&old).filter(|(_, old)| **old) {
        let why = modified(path).map_or("missing", |_| "older than its sources");
        eprintln!("{} is {why}: building it", path.display());
    }
    if old.contains(&true) {
        build(names, profile(&own))?;
    }
    let profile = profile(&own);
    let profile = if cfg!(debug_assertions) {
        "debug: figures mean nothing"
    } else {
        profile
    };
    let found = |(path, old): (PathBuf, bool)| {
        anyhow::ensure!(
            path.is_file(),
            "{} is missing: build it first, with cargo build --release",
            path.display()
        );
        let state = match (old, sources) {
            // Cargo builds in the tree: a program that was copied elsewhere stays what it was.
            _ if stale(&path) => "older than its sources",
            (true, _) => "just built",
            (false, Some(_)) => "newer than all sources of its tree",
            (false, None) => "its sources are not here",
        };
        let origin = format!("{} ({profile}; {state})", path.display());
        Ok(Program { path, origin })
    };
    paths.into_iter().zip(old).map(found).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// When a source of one of our programs was changed last.
fn newest_source() -> Option<SystemTime> {
    let folders = [
        "balance",
        "broker",
        "client",
        "daemon",
        "edge-computer",
        "proto",
        "transport",
    ];
    let mut newest = None;
    let mut open: Vec<PathBuf> = folders
        .iter()
        .map(|folder| Path::new(TREE).join(folder).join("src"))
        .collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                newest = newest.max(modified(&path));
            }
        }
    }
    newest
}

/// The profile that this program was built with, which is what its folder is called after.
fn profile(own: &Path) -> &'static str {
    let folder = own.parent().and_then(Path::file_name);
    match folder.and_then(|name| name.to_str()) {
        Some("dist") => "dist",
        _ if cfg!(debug_assertions) => "dev",
        _ => "release",
    }
}

/// Builds into the folder that this program came from.
fn build(names: &[&str], profile: &str) -> anyhow::Result<()> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let mut command = Command::new(cargo);
    command.current_dir(TREE);
    command.args(["build", "--quiet", "--locked", "--profile", profile]);
    for name in names {
        command.args(["--bin", name]);
    }
    let status = command.status().context("cannot run cargo")?;
    anyhow::ensure!(
        status.success(),
        "cargo could not build {}",
        names.join(", ")
    );
    Ok(())
}
