//! Is the tail of QUIC on a lossy path at most half as long as that of TCP with TLS?

use super::campaign;
use super::figures::Figures;
use super::flags::Goal;
use super::mode::Mode;

/// 99th percentile of QUIC by that of TCP with TLS, at most.
const GOAL: f64 = 0.5;

/// Measures, and says whether the goal is met.
pub(super) async fn run(flags: &Goal) -> anyhow::Result<()> {
    let figures = campaign::run(&flags.common, flags.cells()?).await?;
    let mut missed = false;
    let over_quic = figures.iter().filter(|figures| figures.mode.is_quic());
    for quic in over_quic {
        let Some(ratio) = ratio(quic, &figures) else {
            continue;
        };
        let applies = quic.loss > 0.0;
        let met = ratio <= GOAL;
        missed |= applies && !met;
        if !flags.common.json {
            let verdict = match (applies, met) {
                (false, _) => "for comparison",
                (true, true) => "met",
                (true, false) => "missed",
            };
            println!(
                "{} % loss: p99 of {} is {ratio:.2} times that of TCP with TLS (goal: {GOAL}): {verdict}",
                quic.loss,
                quic.mode.name()
            );
        }
    }
    anyhow::ensure!(!(missed && flags.check), "the goal is missed");
    Ok(())
}

fn ratio(quic: &Figures, all: &[Figures]) -> Option<f64> {
    let tls = all
        .iter()
        .find(|other| other.mode == Mode::GrpcTls && other.loss == quic.loss)?;
    Some(quic.p99_ms? / tls.p99_ms?)
}
