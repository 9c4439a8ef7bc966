//! The abbreviations of long options that the C++ reference understood.

use std::collections::BTreeSet;

use clap::Command;

/// The long options that every program of the reference has.
const EVERYWHERE: [&str; 2] = ["help", "version"];

/// Makes every prefix that was unambiguous in the reference a hidden alias here.
///
/// `reference_options` are the long options of the reference's program, without dashes.
/// A prefix among them that begins only one of them becomes an alias of our option of
/// that name, unless it is the exact name of an option of ours. Options of the reference
/// that `command` does not have still make prefixes ambiguous, but get no aliases.
#[must_use]
pub fn reference_prefixes(command: Command, reference_options: &[&str]) -> Command {
    let theirs: BTreeSet<&str> = reference_options
        .iter()
        .copied()
        .chain(EVERYWHERE)
        .collect();
    let ours: BTreeSet<String> = command
        .get_arguments()
        .flat_map(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long().into_iter().chain(aliases)
        })
        .map(str::to_owned)
        .collect();
    command.mut_args(|arg| {
        let Some(long) = arg.get_long().filter(|long| theirs.contains(long)) else {
            return arg;
        };
        let unambiguous = |prefix: &&str| {
            let sharing = theirs.iter().filter(|option| option.starts_with(prefix));
            sharing.count() == 1 && !ours.contains(*prefix)
        };
        let prefixes: Vec<_> = (1..long.len())
            .filter_map(|length| long.get(..length))
            .filter(unambiguous)
            .map(str::to_owned)
            .collect();
        arg.aliases(prefixes)
    })
}
