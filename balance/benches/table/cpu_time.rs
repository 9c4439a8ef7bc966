//! The time of the processor, of which a thread has none while others have their turn, and what becomes of many
//! measurements of it.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds that this thread has had of a processor.
pub(crate) fn nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// In ascending order.
pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
