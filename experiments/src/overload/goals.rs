//! What a router is expected to stand.

use super::figures::Figures;

/// Load at which goodput, latency and fairness are judged.
const JUDGED_AT: f64 = 3.0;
/// Least goodput, as a share of the capacity.
const GOODPUT: f64 = 0.95;
/// Least index of fairness.
const JAIN: f64 = 0.95;
/// How long it may take until latencies are normal again, in milliseconds.
const BACK_WITHIN_MS: u64 = 2000;

/// The goals; those without a field are constants of this file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goals {
    /// Wait for a turn in the router that is allowed on top, in milliseconds.
    pub(super) queue_bound_ms: f64,
}

impl Goals {
    /// Which of them a cell misses, in words.
    pub(super) fn missed(&self, figures: &Figures) -> Vec<String> {
        let mut missed = Vec::new();
        let mut expect = |holds: bool, what: String| {
            if !holds {
                missed.push(format!("{} x: {what}", figures.factor));
            }
        };
        let memory = &figures.router_memory;
        expect(
            memory.is_flat(),
            format!("memory from {} to {} kB", memory.start_kb, memory.peak_kb),
        );
        let back = figures.back_to_normal_ms;
        expect(
            back.is_some_and(|time| time <= BACK_WITHIN_MS),
            match back {
                Some(time) => format!("back to normal after {time} ms"),
                None => "not back to normal".to_owned(),
            },
        );
        if figures.factor == JUDGED_AT {
            let goodput = figures.goodput_of_capacity;
            expect(
                goodput >= GOODPUT,
                format!("goodput {:.1} % of the capacity", goodput * 100.0),
            );
            let allowed = 2.0 * figures.unloaded_p99_ms + self.queue_bound_ms;
            expect(
                figures.p99_ms <= allowed,
                format!("p99 {:.0} ms, allowed {allowed:.0} ms", figures.p99_ms),
            );
            expect(figures.jain >= JAIN, format!("Jain {:.3}", figures.jain));
        }
        missed
    }
}
