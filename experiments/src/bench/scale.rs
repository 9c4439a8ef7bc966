//! How the hop's cost grows.

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {}

/// Runs.
pub(crate) async fn run(_: &Flags) -> anyhow::Result<()> {
    Ok(())
}
