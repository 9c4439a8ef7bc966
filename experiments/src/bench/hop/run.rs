//! Round by round, cell by cell, hop by hop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};

use super::kind::Kind;
use super::noise::{Noise, Watch};
use super::plan::{Cell, Plan};
use super::row::{HalfLoad, Row, Sample};
use super::stage::{Hop, LAMBDA, Stage};
use crate::bench::load::{Measured, TooMany, message};
use crate::bench::process::Process;

/// What came out.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) rows: Vec<Row>,
    pub(super) noise: Noise,
}

/// Everything that was measured of one hop under one load.
#[derive(Debug)]
struct Series {
    kind: Kind,
    cell: Cell,
    samples: Vec<Sample>,
}

/// Measures all hops under all loads, and then all of them at half load.
pub(super) async fn measure(plan: &Plan, stage: &Stage) -> anyhow::Result<Outcome> {
    let watch = Watch::begin(stage)?;
    let half = usize::from(plan.reference().is_some());
    let steps = plan.rounds * stage.hops.len() * (plan.cells().len() + half);
    let progress = progress(steps);
    let mut all: Vec<Series> = Vec::new();
    for cell in plan.cells() {
        all.extend(stage.hops.iter().map(|hop| Series {
            kind: hop.kind,
            cell,
            samples: Vec::new(),
        }));
    }
    for round in 0..plan.rounds {
        for series in &mut all {
            let hop = stage.hops.iter().find(|hop| hop.kind == series.kind);
            let Some(hop) = hop else { continue };
            let rate = plan.paced.unwrap_or_default();
            let sample = sample(plan, hop, series.cell, rate, round, &progress).await?;
            series.samples.push(sample);
        }
    }
    let mut rows: Vec<_> = all
        .iter()
        .map(|series| Row::of(series.kind, series.cell, &series.samples))
        .collect();
    if let Some(reference) = plan.reference() {
        at_half_load(plan, stage, reference, &mut rows, &progress).await?;
    }
    progress.finish_and_clear();
    let noise = watch.end(stage, &rows)?;
    Ok(Outcome { rows, noise })
}

/// The same open loop for all, at half of what the slowest hop can do. A peer that breaks down under it
/// all the same is left out.
async fn at_half_load(
    plan: &Plan,
    stage: &Stage,
    reference: Cell,
    rows: &mut [Row],
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let slowest = rows
        .iter()
        .filter(|row| row.is(reference) && row.kind != Kind::Direct)
        .map(|row| row.rps)
        .min_by(f64::total_cmp);
    let Some(rate) = slowest.map(|rps| rps / 2.0) else {
        return Ok(());
    };
    let cell = Cell {
        in_flight: 0,
        ..reference
    };
    let mut samples: Vec<_> = stage.hops.iter().map(|_| Some(Vec::new())).collect();
    for round in 0..plan.rounds {
        for (hop, kept_up) in stage.hops.iter().zip(&mut samples) {
            let Some(samples) = kept_up else { continue };
            match sample(plan, hop, cell, rate, round, progress).await {
                Ok(sample) => samples.push(sample),
                Err(error) if error.is::<TooMany>() && hop.kind.is_peer() => {
                    progress.suspend(|| eprintln!("{error:#}: it has no figures at half load"));
                    *kept_up = None;
                }
                Err(error) => return Err(error),
            }
        }
    }
    for (hop, samples) in stage.hops.iter().zip(&samples) {
        let Some(samples) = samples else { continue };
        let paced = Row::of(hop.kind, cell, samples);
        let same_bytes = |row: &&mut Row| row.kind == hop.kind && row.bytes == cell.bytes;
        for row in rows.iter_mut().filter(same_bytes) {
            row.half_load = Some(HalfLoad::of(&paced, rate));
        }
    }
    Ok(())
}

async fn sample(
    plan: &Plan,
    hop: &Hop,
    cell: Cell,
    rate: f64,
    round: usize,
    progress: &ProgressBar,
) -> anyhow::Result<Sample> {
    progress.set_message(format!(
        "{}, {} bytes, {} in flight",
        hop.kind.name(),
        cell.bytes,
        cell.in_flight
    ));
    let request = message(LAMBDA, cell.bytes);
    offer(hop, cell, rate, &request, plan.warm_up(cell), u64::MAX).await?;
    let before = Spent::of(hop)?;
    let measured = offer(hop, cell, rate, &request, plan.length(cell), round as u64).await?;
    let spent = Spent::of(hop)?.since(&before);
    progress.inc(1);
    Ok(Sample {
        rps: measured.rate(),
        percentiles_us: [50.0, 99.0, 99.9].map(|p| measured.percentile_us(p)),
        cpu_us: spent.cpu.as_secs_f64() * 1e6 / measured.requests.max(1) as f64,
        ticks: spent.ticks,
        errors: measured.errors,
        rss_kb: hop.process.as_ref().map_or(Ok(0), Process::rss_kb)?,
    })
}

async fn offer(
    hop: &Hop,
    cell: Cell,
    rate: f64,
    request: &Bytes,
    length: Duration,
    seed: u64,
) -> anyhow::Result<Measured> {
    let measured = if cell.in_flight == 0 {
        hop.caller.open_loop(request, rate, length, seed).await
    } else {
        let requests: Arc<[Bytes]> = Arc::new([request.clone()]);
        hop.caller
            .closed_loop(&requests, cell.in_flight, length)
            .await
    };
    measured.with_context(|| format!("{}, {cell:?}", hop.kind.name()))
}

/// What a hop has used so far.
#[derive(Debug, Default)]
struct Spent {
    cpu: Duration,
    ticks: [u64; 2],
}

impl Spent {
    fn of(hop: &Hop) -> anyhow::Result<Self> {
        hop.process.as_ref().map_or(Ok(Self::default()), |process| {
            Ok(Self {
                cpu: process.cpu()?,
                ticks: process.user_and_system()?,
            })
        })
    }

    fn since(&self, before: &Self) -> Self {
        let ticks = [0, 1].map(|i| self.ticks[i].saturating_sub(before.ticks[i]));
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            ticks,
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left: {msg}");
    bar.set_style(style.expect("the template is valid"));
    bar
}
