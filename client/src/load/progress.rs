//! A line on the terminal that tells how the run is going.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::lane::Shared;
use crate::recorder::Recorder;
use crate::report::Tally;

const PERIOD: Duration = Duration::from_millis(500);
/// Back to the beginning of the line, and away with what stood there.
const CLEAR: &str = "\r\x1b[K";

/// A progress line that lives as long as this.
#[derive(Debug)]
pub(super) struct ProgressLine {
    _task: AbortOnDropHandle<()>,
}

/// Shows the progress on standard error if that is a terminal, else nothing:
/// logs are no place for it.
pub(super) fn show(shared: &Arc<Shared>, recorders: &[Arc<Recorder>]) -> Option<ProgressLine> {
    std::io::stderr().is_terminal().then(|| {
        let refresh = refresh(shared.clone(), recorders.to_vec());
        ProgressLine {
            _task: AbortOnDropHandle::new(tokio::spawn(refresh)),
        }
    })
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        // A terminal that is gone need not be tidy.
        let _ = write!(std::io::stderr(), "{CLEAR}");
    }
}

async fn refresh(shared: Arc<Shared>, recorders: Vec<Arc<Recorder>>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut total = Tally::default();
        for recorder in &recorders {
            total.merge(&recorder.lock());
        }
        let line = line(shared.start.elapsed(), &total);
        let mut terminal = std::io::stderr();
        if write!(terminal, "{CLEAR}{line}").is_err() || terminal.flush().is_err() {
            return;
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 requests")]
fn line(elapsed: Duration, tally: &Tally) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = tally.ok as f64 / seconds.max(1e-3);
    let millis = |quantile| tally.latency.value_at_quantile(quantile) as f64 / 1e6;
    format!(
        "{seconds:.1} s  sent {}  ok {}  errors {}  {rate:.1}/s  p50 {:.3} ms  p99 {:.3} ms",
        tally.sent,
        tally.ok,
        tally.failed(),
        millis(0.5),
        millis(0.99),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_it_is_going() {
        let tally = Tally {
            sent: 30,
            ok: 20,
            ..Tally::default()
        };
        assert_eq!(
            line(Duration::from_secs(2), &tally),
            "2.0 s  sent 30  ok 20  errors 0  10.0/s  p50 0.000 ms  p99 0.000 ms"
        );
    }
}
