//! Benchmarks: each prints ratios measured in one run, because machines differ and are noisy.

pub(crate) mod balance;
pub(crate) mod built;
pub(crate) mod certificates;
pub(crate) mod echo;
pub(crate) mod hop;
pub(crate) mod machine;
pub(crate) mod page;
pub(crate) mod percentile;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod router;
pub(crate) mod scale;

mod affinity;
mod load;
