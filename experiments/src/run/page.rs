//! The report of an experiment as one HTML page that needs nothing else.

mod chart;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edge_daemon::escaped;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::chart::{Chart, Scale, Series};
use super::cell;
use super::figures::Figures;
use super::mode::Mode;
use super::table::{introduction, number, place};
use crate::bench::percentile::percentile_ms;
use crate::fabric::doctor::Backend;
use crate::files::write_whole;

const STYLE: &str = include_str!("page/style.css");

/// Writes `EXPERIMENT.html` into `folder`.
pub(super) fn write(
    folder: &Path,
    experiment: &str,
    all: &[Figures],
    backend: Backend,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join(format!("{experiment}.html"));
    let page = render(experiment, all, backend).into_string();
    write_whole(&path, |file| Ok(file.write_all(page.as_bytes())?))?;
    Ok(path)
}

fn render(experiment: &str, all: &[Figures], backend: Backend) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (experiment) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (experiment) }
                p.lead { (about(experiment)) }
                p.lead { "Measured over: " (introduction(backend)) "." }
                p.legend {
                    @for mode in modes(all) {
                        span { i class={ "fill " (mode.name()) } {} (mode.name()) }
                    }
                    @if published(all) { span { "dashed: published by the authors of the reference" } }
                }
                @for plots in plots(experiment, all) {
                    h2 { (plots.title) }
                    div.plots { @for chart in &plots.charts { (chart.render()) } }
                }
                h2 { "Figures" }
                div.wide tabindex="0" { (table(all)) }
                (errors(all))
            }
        }
    }
}

fn about(experiment: &str) -> &'static str {
    match experiment {
        cell::LOSS => {
            "A client asks a computer over two links that lose packets in each direction: ten \
             requests of 1000 bytes per second, one at a time."
        }
        cell::ROUTER => {
            "A client asks a router, which asks a computer, with one link between each of them: ten \
             requests of 1000 bytes per second, one at a time."
        }
        cell::CHICAGO => {
            "40 clients and 6 computers at random places of a network of 40 nodes and 92 links of \
             10 Mb/s and 10 ms; each client sends a request of 1000 bytes per second to the nearest \
             router."
        }
        _ => {
            "A client keeps requests of 1000 bytes in flight over one connection, on a path with a \
             round trip of 20 ms and 100 Mb/s."
        }
    }
}

/// Charts that belong together.
struct Plots {
    title: &'static str,
    charts: Vec<Chart>,
}

fn plots(experiment: &str, all: &[Figures]) -> Vec<Plots> {
    match experiment {
        cell::LOSS => vec![
            Plots {
                title: "90th percentile in ms by loss in %",
                charts: by_loss(all, Scale::Log, |f| f.p90_ms, |f| f.published.p90_ms),
            },
            Plots {
                title: "99th percentile in ms by loss in %",
                charts: by_loss(all, Scale::Log, |f| f.p99_ms, |_| None),
            },
            Plots {
                title: "Traffic in kB/s, summed over the switches, by loss in %",
                charts: by_loss(
                    all,
                    Scale::Linear,
                    |f| f.throughput,
                    |f| f.published.throughput,
                ),
            },
        ],
        _ => vec![Plots {
            title: "Share of answers by latency in ms",
            charts: distributions(all),
        }],
    }
}

/// One chart per link.
fn by_loss(
    all: &[Figures],
    scale: Scale,
    ours: impl Fn(&Figures) -> Option<f64>,
    theirs: impl Fn(&Figures) -> Option<f64>,
) -> Vec<Chart> {
    let chart = |group: Vec<&Figures>| {
        let mut series = Vec::new();
        for mode in modes(all) {
            let points = |value: &dyn Fn(&Figures) -> Option<f64>| -> Vec<(f64, f64)> {
                let of_mode = group.iter().filter(|figures| figures.mode == mode);
                of_mode
                    .filter_map(|figures| Some((figures.loss, value(figures)?)))
                    .collect()
            };
            for (points, dashed) in [(points(&ours), false), (points(&theirs), true)] {
                series.push(Series {
                    class: mode.name(),
                    dashed,
                    points,
                });
            }
        }
        Chart {
            title: place(group[0]).to_owned(),
            x: Scale::Linear,
            y: scale,
            series,
        }
    };
    groups(all, |figures| place(figures).to_owned())
        .into_iter()
        .map(chart)
        .collect()
}

/// One chart per link, layout or loss.
fn distributions(all: &[Figures]) -> Vec<Chart> {
    /// Points of a curve.
    const STEPS: usize = 200;
    let name = |figures: &Figures| match place(figures) {
        "" => format!("{} % loss", figures.loss),
        place => place.to_owned(),
    };
    let curve = |figures: &&Figures| Series {
        class: figures.mode.name(),
        dashed: false,
        points: (1..=STEPS)
            .map(|step| step as f64 / STEPS as f64)
            .map(|share| (percentile_ms(&figures.latencies, share), share))
            .filter(|(ms, _)| ms.is_finite())
            .collect(),
    };
    groups(all, name)
        .into_iter()
        .map(|group| Chart {
            title: name(group[0]),
            x: Scale::Log,
            y: Scale::Linear,
            series: group.iter().map(curve).collect(),
        })
        .collect()
}

/// Those of the same name, in the order in which they come.
fn groups(all: &[Figures], name: impl Fn(&Figures) -> String) -> Vec<Vec<&Figures>> {
    let mut groups: Vec<Vec<&Figures>> = Vec::new();
    for figures in all {
        let same = groups
            .iter_mut()
            .find(|group| name(group[0]) == name(figures));
        match same {
            Some(group) => group.push(figures),
            None => groups.push(vec![figures]),
        }
    }
    groups
}

fn modes(all: &[Figures]) -> Vec<Mode> {
    let mut modes: Vec<_> = all.iter().map(|figures| figures.mode).collect();
    modes.sort_unstable();
    modes.dedup();
    modes
}

fn published(all: &[Figures]) -> bool {
    all.iter()
        .any(|figures| figures.published.p90_ms.is_some() && figures.experiment == cell::LOSS)
}

fn table(all: &[Figures]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    @for name in [
                        "", "loss %", "mode", "first ms", "mean ms", "p50 ms", "p90 ms", "p99 ms",
                        "published p90", "ratio", "kB/s", "published", "ratio", "bytes/answer",
                        "answers", "errors", "packets lost",
                    ] {
                        th { (name) }
                    }
                }
            }
            tbody {
                @for figures in all {
                    tr {
                        th { (place(figures)) }
                        td { (figures.loss) }
                        td.name { (figures.mode.name()) }
                        @for value in [
                            figures.first_ms, figures.mean_ms, figures.p50_ms, figures.p90_ms,
                            figures.p99_ms, figures.published.p90_ms, figures.published.p90_ratio,
                            figures.throughput, figures.published.throughput,
                            figures.published.throughput_ratio, figures.bytes_per_request,
                        ] {
                            td { (number(value)) }
                        }
                        td { (figures.requests) }
                        td { (figures.errors) }
                        td { (figures.packets_lost) }
                    }
                }
            }
        }
    }
}

/// Why requests failed: of each cell one of the reasons.
fn errors(all: &[Figures]) -> Markup {
    let reasons = all
        .iter()
        .filter_map(|figures| Some((figures, figures.error.as_deref()?)));
    let reasons: Vec<_> = reasons.collect();
    html! {
        @if !reasons.is_empty() {
            ul.errors {
                @for (figures, reason) in reasons {
                    li {
                        (place(figures)) " " (figures.loss) " % " (figures.mode.name()) ": "
                        (escaped(reason))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Cell, chicago_cell, goal_cell, loss_cell, router_cell, tests::load};
    use super::super::client::Seen;
    use super::super::ground::Carried;
    use super::super::scene::Outcome;
    use super::super::speed::Speed;
    use super::*;
    use std::time::Duration;

    fn page(cells: &[Cell], answers: u64) -> String {
        let outcome = || Outcome {
            seen: vec![Seen {
                latencies: (1..=answers).map(Duration::from_millis).collect(),
                ..Seen::default()
            }],
            carried: Carried::default(),
            window: Duration::from_secs(1),
        };
        let figures: Vec<_> = cells
            .iter()
            .map(|cell| Figures::of(cell, Backend::Fabric, &[outcome()]))
            .collect();
        render(cells[0].experiment, &figures, Backend::Fabric).into_string()
    }

    fn experiments() -> Vec<Vec<Cell>> {
        let losses = |mode| (0..6).map(move |l| loss_cell(Speed::Slow, l, mode, load(), 1));
        vec![
            Mode::PUBLISHED.into_iter().flat_map(losses).collect(),
            vec![router_cell(Speed::Fast, Mode::Grpc, load(), 1)],
            vec![chicago_cell(
                cell::Layout::Centralized,
                Mode::Quic,
                load(),
                1,
            )],
            vec![goal_cell(1.0, Mode::Quic, load(), 1)],
        ]
    }

    #[test]
    fn pages_load_nothing_run_nothing_and_have_no_undefined_numbers() {
        for cells in experiments() {
            for answers in [0, 1, 100] {
                let page = page(&cells, answers);
                for forbidden in [
                    "<script", "<link", "<img", "http://", "https://", "@import", "url(", "NaN",
                    "inf ", "inf\"",
                ] {
                    assert!(!page.contains(forbidden), "{forbidden}");
                }
                assert!(page.contains("<svg") || answers == 0);
                // On a narrow screen charts shrink, and the table alone is scrolled.
                let charts = page.matches("<svg").count();
                assert_eq!(page.matches("<svg viewBox=").count(), charts);
                assert!(page.contains("<div class=\"wide\" tabindex=\"0\"><table>"));
            }
        }
    }

    #[test]
    fn reasons_of_errors_can_be_read_and_are_no_markup() {
        let cell = loss_cell(Speed::Slow, 3, Mode::Quic, load(), 1);
        let outcome = Outcome {
            seen: vec![Seen {
                errors: 2,
                why: Some("deadline: <script>\u{1b}".to_owned()),
                ..Seen::default()
            }],
            carried: Carried::default(),
            window: Duration::from_secs(1),
        };
        let figures = Figures::of(&cell, Backend::Fabric, &[outcome]);
        let page = render(cell.experiment, &[figures], Backend::Fabric).into_string();
        let line = r"slow 3 % quic: deadline: &lt;script&gt;\u{1b}";
        assert!(page.contains(line), "{page}");
    }

    #[test]
    fn what_was_published_is_dashed_beside_ours() {
        let page = page(&experiments()[0], 10);
        assert!(page.contains("dashed: published"));
        assert!(page.contains("class=\"line grpc dashed\""), "{page}");
        assert!(page.contains("291"));
    }
}
