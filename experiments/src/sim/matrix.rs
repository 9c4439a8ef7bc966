//! `lab sim matrix`: all policies against an omniscient dispatcher, in a factorial design of scenarios.

mod choice;
mod comparison;
mod design;
mod disturbances;
mod factor;
mod lineup;
mod order;
mod page;
mod rows;
mod runs;
#[cfg(test)]
mod sample;
mod statistics;
mod text;
mod verdict;
mod words;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use edge_daemon::Interrupted;
use indicatif::{ProgressBar, ProgressStyle};

use comparison::Comparison;
use factor::SCENARIOS;
use runs::{Plan, Runs};
use verdict::Verdict;

use crate::numbers::whole;

/// Runs of each scenario and policy unless told otherwise.
const SEEDS: u32 = 10;
/// The same of `--quick`: on two cores all of it takes less than a minute.
const QUICK_SEEDS: u32 = 5;

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Every tenth scenario only: levels of different factors meet equally often in them
    #[arg(long)]
    quick: bool,
    /// Runs of each scenario and policy; 10 without this, 5 with --quick
    #[arg(long, value_name = "N")]
    seeds: Option<NonZero<u32>>,
    /// The first seed: seeds that a policy was not tuned with judge it best
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first_seed: u32,
    /// Policies and references to compare, beside the default policy and oracleE; without this all
    /// but the dispatcher's estimators, rtt, util and delay
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    policies: Vec<String>,
    /// Scenarios, by index
    #[arg(long, value_name = "INDICES", value_delimiter = ',', value_parser = whole(0..=SCENARIOS - 1), conflicts_with_all = ["filter", "quick"])]
    scenarios: Vec<usize>,
    /// Scenarios with all these words in their names, like "R16 load0.95 antagonist"
    #[arg(long, value_name = "WORDS")]
    filter: Option<String>,
    /// Where matrix.csv and matrix.html go
    #[arg(long, value_name = "FOLDER", default_value = "lab-matrix")]
    out: PathBuf,
    /// End with one JSON object on a line of its own
    #[arg(long)]
    json: bool,
    /// Threads; as many as there are cores without this
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
}

/// Simulates, writes the files and prints the summary. Ctrl-C ends it with nothing written.
///
/// # Errors
/// No such scenarios or policies, files that cannot be written, an interruption.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let plan = plan(flags)?;
    let jobs = match flags.jobs {
        Some(jobs) => jobs,
        None => std::thread::available_parallelism().context("cannot count the cores")?,
    };
    std::fs::create_dir_all(&flags.out)
        .with_context(|| format!("cannot create {}", flags.out.display()))?;

    let began = Instant::now();
    let runs = simulate(plan, jobs.get()).await?;
    let wall = began.elapsed().as_secs_f64();

    let comparison = Comparison::of(&runs)?;
    let judged = comparison
        .entry(lineup::default_policy())
        .context("the default takes part")?;
    let defeats = comparison.defeats(judged);
    let verdict = Verdict::of(&comparison, &defeats)?;
    let (csv, html) = write(&flags.out, &comparison, &defeats)?;

    println!("{}", text::summary(&comparison, &defeats).trim_end());
    let cost = comparison.cost();
    println!(
        "\n{} runs, {:.1} million requests, in {wall:.1} s: {:.2} million requests per second and core",
        runs.plan.run_count(),
        cost.requests as f64 / 1e6,
        cost.requests_per_second_and_core() / 1e6,
    );
    println!("written: {} and {}", csv.display(), html.display());
    if flags.json {
        println!("{}", serde_json::to_string(&verdict)?);
    }
    Ok(())
}

fn plan(flags: &Flags) -> anyhow::Result<Plan> {
    let scenarios = choice::scenarios(&flags.scenarios, flags.filter.as_deref(), flags.quick)?;
    let first = u64::from(flags.first_seed);
    let usual = if flags.quick { QUICK_SEEDS } else { SEEDS };
    let seeds = flags.seeds.map_or(usual, NonZero::get);
    Ok(Plan {
        scenarios,
        entries: lineup::chosen(&flags.policies)?,
        seeds: first..=first + u64::from(seeds) - 1,
    })
}

/// Runs the plan beside the runtime, which waits for Ctrl-C meanwhile.
async fn simulate(plan: Plan, jobs: usize) -> anyhow::Result<Runs> {
    let bar = progress(plan.run_count());
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = tokio::task::spawn_blocking({
        let (bar, stop) = (bar.clone(), Arc::clone(&stop));
        move || plan.run(jobs, &stop, || bar.inc(1))
    });
    let finished = tokio::select! {
        finished = &mut running => finished,
        signal = tokio::signal::ctrl_c() => {
            signal.context("cannot wait for signals")?;
            stop.store(true, Ordering::Relaxed);
            running.await
        }
    };
    bar.finish_and_clear();
    finished
        .context("the simulation panicked")??
        .ok_or(Interrupted("SIGINT"))
        .context("nothing was written")
}

/// On standard error, if that is a terminal.
fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs, {eta} left")
        .expect("the template is well formed");
    ProgressBar::new(runs as u64).with_style(style)
}

/// Writes both files and returns their paths.
fn write(
    folder: &Path,
    comparison: &Comparison,
    defeats: &[comparison::Defeat],
) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (csv, html) = (folder.join("matrix.csv"), folder.join("matrix.html"));
    let rows = rows::rows(comparison);
    crate::files::write_whole(&csv, |file| rows::write(&rows, file))?;
    let page = page::render(comparison, defeats).into_string();
    crate::files::write_whole(&html, |file| Ok(file.write_all(page.as_bytes())?))?;
    Ok((csv, html))
}
