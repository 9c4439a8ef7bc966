//! lab: the one-command demo, benchmarks and experiments.
