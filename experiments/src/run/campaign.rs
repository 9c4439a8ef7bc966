//! All cells of an experiment, several at a time.

use std::path::Path;

use anyhow::Context as _;
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, signals};
use futures_util::StreamExt as _;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};

use super::cell::Cell;
use super::figures::Figures;
use super::flags::{Common, Plan};
use super::scene::{Outcome, Programs};
use super::{page, table};
use crate::bench::{built, programs};
use crate::fabric::doctor::{self, Backend};

/// Runs the cells, prints what came out, and writes the page.
///
/// # Errors
/// A cell could not be run, a file not written, or a signal came.
pub(super) async fn run(flags: &Common, plan: Plan) -> anyhow::Result<Vec<Figures>> {
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let backend = backend(flags.backend).await?;
    let programs = programs(flags.programs.as_deref())?;
    let experiment = plan.cells[0][0].experiment;
    let figures = tokio::select! {
        figures = measure(flags, &plan, backend, &programs) => figures?,
        // Programs, and the hosts that they live on, end with the future that holds them.
        reason = shutdown.requested() => return Err(Interrupted(reason).into()),
    };
    if !flags.json {
        table::print(&figures, backend);
    }
    let written = page::write(&flags.out, experiment, &figures, backend)?;
    eprintln!("written: {}", written.display());
    let failed: Vec<&str> = figures
        .iter()
        .filter(|figures| figures.requests == 0)
        .filter_map(|figures| figures.error.as_deref())
        .collect();
    anyhow::ensure!(
        failed.is_empty(),
        "{} cells without an answer: {}",
        failed.len(),
        failed[0]
    );
    Ok(figures)
}

/// What was asked for, else the best that works.
pub(super) async fn backend(asked: Option<Backend>) -> anyhow::Result<Backend> {
    match asked {
        Some(Backend::Proxy) => Ok(Backend::Proxy),
        Some(Backend::Fabric) => match doctor::backend().await {
            (Backend::Fabric, _) => Ok(Backend::Fabric),
            (_, why) => anyhow::bail!("no packet fabric: {}", why.unwrap_or_default()),
        },
        None => {
            let (backend, why) = doctor::backend().await;
            if let Some(why) = why {
                eprintln!("no packet fabric ({why}): proxies it is, and TCP does not lose packets");
            }
            Ok(backend)
        }
    }
}

/// Those in the folder, else those built with this program.
pub(super) fn programs(folder: Option<&Path>) -> anyhow::Result<Programs> {
    let names = ["edgecomputer", "edgerouter", "edgeclient"];
    let paths: Vec<_> = match folder {
        Some(folder) => {
            let paths = names.map(|name| folder.join(name));
            for path in &paths {
                programs::named("--programs", path)?;
            }
            paths.into()
        }
        None => {
            let found = built::programs(&names)?;
            found.into_iter().map(|program| program.path).collect()
        }
    };
    let [computer, router, client] = paths.try_into().expect("as many as names");
    Ok(Programs {
        computer,
        router,
        client,
    })
}

async fn measure(
    flags: &Common,
    plan: &Plan,
    backend: Backend,
    programs: &Programs,
) -> anyhow::Result<Vec<Figures>> {
    let runs: usize = plan.cells.iter().map(Vec::len).sum();
    let bar = progress(runs);
    let all = plan.cells.iter().enumerate();
    let all = all.flat_map(|(number, runs)| runs.iter().map(move |cell| (number, cell)));
    let mut playing = stream::iter(all)
        .map(|(number, cell)| {
            let bar = bar.clone();
            async move {
                bar.set_message(cell.name());
                (number, play(cell, backend, programs).await)
            }
        })
        .buffer_unordered(plan.jobs);
    let mut outcomes: Vec<Vec<Played>> = plan.cells.iter().map(|_| Vec::new()).collect();
    let mut figures: Vec<Option<Figures>> = plan.cells.iter().map(|_| None).collect();
    while let Some((number, outcome)) = playing.next().await {
        bar.inc(1);
        outcomes[number].push(outcome);
        let runs = &plan.cells[number];
        if outcomes[number].len() == runs.len() {
            let known = conclude(&runs[0], backend, std::mem::take(&mut outcomes[number]));
            if flags.json {
                let line = serde_json::to_string(&known)?;
                bar.suspend(|| println!("{line}"));
            }
            figures[number] = Some(known);
        }
    }
    bar.finish_and_clear();
    let figures: Option<Vec<_>> = figures.into_iter().collect();
    figures.context("a cell has not been run")
}

/// What became of a run.
enum Played {
    Ended(Outcome),
    /// It cannot be shown here.
    Impossible,
    /// Why it failed.
    Failed(String),
}

async fn play(cell: &Cell, backend: Backend, programs: &Programs) -> Played {
    let lossy_tcp = cell.loss > 0.0 && !cell.scene.mode.is_quic();
    if lossy_tcp && backend == Backend::Proxy {
        return Played::Impossible;
    }
    match cell.scene.play(backend, programs).await {
        Ok(outcome) => Played::Ended(outcome),
        Err(error) => Played::Failed(format!("{}: {error:#}", cell.name())),
    }
}

fn conclude(cell: &Cell, backend: Backend, runs: Vec<Played>) -> Figures {
    let mut outcomes = Vec::new();
    let mut failure = None;
    for run in runs {
        match run {
            Played::Ended(outcome) => outcomes.push(outcome),
            Played::Impossible => {}
            Played::Failed(why) => failure = Some(why),
        }
    }
    let mut figures = Figures::of(cell, backend, &outcomes);
    figures.error = failure.or(figures.error);
    figures
}

/// A bar on a terminal, nothing elsewhere.
fn progress(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs: {msg}");
    bar.set_style(style.expect("the template is valid"));
    bar
}
