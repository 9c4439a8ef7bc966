//! Tells how the run is going: by a line on the terminal, or a line of the log when nothing succeeds.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::lane::Shared;
use crate::recorder::Recorder;
use crate::report::Tally;

const PERIOD: Duration = Duration::from_millis(500);
/// Back to the beginning of the line, and away with what stood there.
const CLEAR: &str = "\r\x1b[K";

/// Tells how it is going as long as it lives.
#[derive(Debug)]
pub(super) struct Telling {
    _task: AbortOnDropHandle<()>,
    shows_line: bool,
}

/// Shows the progress on standard error if that is a terminal. Logs are no place for it: they are told
/// when requests begin to fail.
pub(super) fn tell(shared: &Arc<Shared>, recorders: &[Arc<Recorder>]) -> Telling {
    let shows_line = std::io::stderr().is_terminal();
    let recorders = recorders.to_vec();
    let task = match shows_line {
        true => tokio::spawn(refresh(shared.clone(), recorders)),
        false => tokio::spawn(watch(recorders)),
    };
    Telling {
        _task: AbortOnDropHandle::new(task),
        shows_line,
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if self.shows_line {
            // A terminal that is gone need not be tidy.
            let _ = write!(std::io::stderr(), "{CLEAR}");
        }
    }
}

async fn watch(recorders: Vec<Arc<Recorder>>) {
    let mut ticks = ticks();
    let mut outage = Outage::default();
    loop {
        ticks.tick().await;
        match outage.look(&total(&recorders)) {
            Some(News::Begins(example)) => {
                tracing::warn!("requests fail, and none succeeds: {example}");
            }
            Some(News::Ends { failed }) => {
                tracing::warn!(failed, "requests succeed again");
            }
            None => {}
        }
    }
}

/// Whether requests fail and none succeeds, from one look to the next.
#[derive(Debug, Default)]
struct Outage {
    ok: u64,
    failed: u64,
    /// Failures before it began, while it lasts.
    since: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum News {
    /// With what the first failure of the most frequent kind says.
    Begins(String),
    Ends {
        failed: u64,
    },
}

impl Outage {
    fn look(&mut self, tally: &Tally) -> Option<News> {
        let failed = tally.failed();
        let succeeds = tally.ok > self.ok;
        let before = std::mem::replace(&mut self.failed, failed);
        self.ok = tally.ok;
        if succeeds {
            let began_at = self.since.take()?;
            let failed = failed - began_at;
            return Some(News::Ends { failed });
        }
        if failed == before || self.since.is_some() {
            return None;
        }
        self.since = Some(before);
        let kinds = tally.errors.values();
        let kind = kinds.max_by_key(|failures| failures.count)?;
        Some(News::Begins(kind.example.clone()))
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn total(recorders: &[Arc<Recorder>]) -> Tally {
    let mut total = Tally::default();
    for recorder in recorders {
        total.merge(&recorder.lock());
    }
    total
}

async fn refresh(shared: Arc<Shared>, recorders: Vec<Arc<Recorder>>) {
    let mut ticks = ticks();
    loop {
        ticks.tick().await;
        let line = line(shared.start.elapsed(), &total(&recorders));
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
    use crate::ErrorKind;

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

    #[test]
    fn an_outage_is_told_once_and_so_is_its_end() {
        let mut tally = Tally::default();
        let mut outage = Outage::default();
        assert_eq!(outage.look(&tally), None, "nothing has happened yet");
        tally.fail(ErrorKind::Connect, 2, || "nobody is there".to_owned());
        let begins = Some(News::Begins("nobody is there".to_owned()));
        assert_eq!(outage.look(&tally), begins);
        tally.fail(ErrorKind::Connect, 1, String::new);
        assert_eq!(outage.look(&tally), None);
        assert_eq!(outage.look(&tally), None, "it waits for its answers");
        tally.ok += 1;
        assert_eq!(outage.look(&tally), Some(News::Ends { failed: 3 }));
        tally.ok += 1;
        tally.fail(ErrorKind::Connect, 1, String::new);
        assert_eq!(outage.look(&tally), None, "others succeed");
        tally.fail(ErrorKind::Connect, 1, String::new);
        assert_eq!(outage.look(&tally), begins);
    }
}
