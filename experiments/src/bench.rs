//! Benchmarks: each prints ratios measured in one run, because machines differ and are noisy.

pub(crate) mod balance;
pub(crate) mod echo;
pub(crate) mod hop;

mod load;
mod process;
