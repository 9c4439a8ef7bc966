//! How much memory a router takes, and whether its table can be read whatever its size.

use std::time::Instant;

use serde::Serialize;

use super::site::Site;

/// A router that has done nothing yet.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Memory {
    sweep: &'static str,
    pub(super) lambdas: usize,
    /// Per lambda.
    pub(super) destinations: usize,
    /// As it has started.
    pub(super) rss_kb: u64,
    /// Entries that a dump of the table, page by page, has found.
    pub(super) dumped: u64,
    pub(super) dump_s: f64,
    /// After the dump.
    pub(super) rss_after_dump_kb: u64,
}

/// Idle, and with 10,000 lambdas of 64 destinations each.
pub(super) async fn measure(site: &Site) -> anyhow::Result<Vec<Memory>> {
    let mut rows = Vec::new();
    for (lambdas, destinations) in [(0, 0), (10_000, 64)] {
        let options = [
            format!("--fake-num-lambdas={lambdas}"),
            format!("--fake-num-destinations={destinations}"),
        ];
        let mut router = site.router(&options)?;
        let rss_kb = router.process.rss_kb()?;
        let started = Instant::now();
        let dumped = router.tables.dump().await?;
        let expected = (lambdas * destinations) as u64;
        anyhow::ensure!(
            dumped == expected,
            "{dumped} of {expected} entries were read"
        );
        rows.push(Memory {
            sweep: "memory",
            lambdas,
            destinations,
            rss_kb,
            dumped,
            dump_s: started.elapsed().as_secs_f64(),
            rss_after_dump_kb: router.process.rss_kb()?,
        });
    }
    Ok(rows)
}
