//! Choosers that know what no broker can know: the yardstick for those that run.
//!
//! What a choice looks at is kept up to date in arrays, one number per executor, so that a choice is
//! a scan which the compiler makes vector instructions of.

mod expected;
mod scan;
mod work;

pub(super) use expected::Oracle;
pub(super) use work::WorkOracle;

use super::executor::Executor;

/// Seconds that a choice adds for an executor which fails: it is taken when no other is left.
const FAILS: f64 = 1e9;
/// Seconds that it adds for one that makes no progress.
const PAUSED: f64 = 1e6;

/// Seconds to add for what is wrong with the executor beside its speed.
fn penalty(executor: &Executor) -> f64 {
    let fails = executor.is_down() || executor.fails() > 0.0;
    let paused = executor.factor() == 0.0;
    f64::from(u8::from(fails)) * FAILS + f64::from(u8::from(paused)) * PAUSED
}
