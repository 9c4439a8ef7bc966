//! What the computers can do, and the file that tells them so.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

/// The computers of a cell, all alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Capacity {
    pub(super) computers: usize,
    /// Requests that each executes at the same time.
    pub(super) workers: u32,
    /// How long that takes, always.
    pub(super) service: Duration,
}

impl Capacity {
    /// Requests per second that all computers together can execute.
    pub(super) fn rate(&self) -> f64 {
        self.computers as f64 * f64::from(self.workers) / self.service.as_secs_f64()
    }
}

/// Writes a computer of which every lambda may use all cores: several at the same time share them
/// equally, so that the capacity is the same for any mixture.
pub(super) fn write(path: &Path, capacity: &Capacity, lambdas: &[&str]) -> anyhow::Result<()> {
    /// Operations of an execution: any number that is large enough to be divided.
    const OPERATIONS: f64 = 1e8;
    let containers: Vec<_> = lambdas
        .iter()
        .map(|lambda| {
            serde_json::json!({
                "name": format!("container-{lambda}"),
                "processor": "cpu",
                "num-workers": capacity.workers,
                "lambda": {
                    "name": lambda,
                    "requirements": "proportional",
                    "op-coeff": 0, "op-offset": OPERATIONS,
                    "mem-coeff": 1, "mem-offset": 0,
                    "output-type": "copy-input",
                },
            })
        })
        .collect();
    let platform = serde_json::json!({
        "version": "1.0",
        "processors": [{
            "name": "cpu",
            "type": "GenericCpu",
            "speed": OPERATIONS / capacity.service.as_secs_f64(),
            "cores": capacity.workers,
            "memory": 1_000_000_000,
        }],
        "containers": containers,
    });
    std::fs::write(path, platform.to_string())
        .with_context(|| format!("cannot write {}", path.display()))
}
