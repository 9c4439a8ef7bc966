//! The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

mod colour;
mod details;
mod effects;
mod heat_map;
mod overview;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::comparison::{Comparison, Defeat};
use super::factor::SCENARIOS;
use super::lineup::{ORACLE, default_policy};

const STYLE: &str = include_str!("page/style.css");

/// The page.
pub(crate) fn render(comparison: &Comparison, defeats: &[Defeat]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Policies in " (comparison.scenarios.len()) " scenarios" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Which executor? Policies against an omniscient dispatcher" }
                p.lead {
                    (comparison.scenarios.len()) " of " (SCENARIOS) " scenarios, "
                    (comparison.seeds) " seeds each. All numbers are "
                    "ratios to " (ORACLE) ", which knows every queue, speed and round trip and takes the "
                    "least expected completion; 1 is as good. Per scenario a ratio is the geometric "
                    "mean over the seeds, in which all see the same requests; intervals are those of "
                    "Student for 95 %."
                }
                h2 { "Summary" }
                (overview::summary(comparison))
                h2 { "99th percentile in each scenario" }
                (heat_map::render(comparison))
                h2 { "What makes it worse" }
                (effects::render(comparison))
                h2 { "Where " (default_policy()) " is not the best" }
                (overview::defeats(comparison, defeats))
                h2 { "Scenarios" }
                (details::render(comparison))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn page(scenarios: &[usize]) -> String {
        let comparison = sample::comparison(scenarios, 2, |scenario, name, _| {
            if name == ORACLE {
                0.01
            } else {
                0.01 * scenario as f64
            }
        });
        let judged = comparison.entry(default_policy()).unwrap();
        let defeats = comparison.defeats(judged);
        render(&comparison, &defeats).into_string()
    }

    #[test]
    fn the_page_loads_nothing_and_runs_nothing() {
        let page = page(&[2, 90]);
        for forbidden in [
            "<script", "<link", "<img", "http://", "https://", "@import", "url(",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn every_link_has_its_target() {
        let page = page(&[2, 17, 90]);
        let targets: Vec<&str> = page
            .split("href=\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(targets.len() > 9);
        for target in targets {
            assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
        }
    }

    #[test]
    fn on_a_narrow_screen_what_is_wide_is_scrolled_and_the_page_is_not() {
        assert!(!STYLE.contains(" width: 1200px"), "it is at most that");
        let page = page(&[2, 17, 90]);
        for wide in ["<table", "<svg class=\"map\""] {
            let all = page.matches(wide).count();
            assert!(all > 0, "{wide}");
            let held = format!("<div class=\"wide\" tabindex=\"0\">{wide}");
            assert_eq!(page.matches(&held).count(), all, "{wide}");
        }
    }

    #[test]
    fn no_length_or_colour_is_undefined() {
        for undefined in ["NaN", "inf"] {
            assert!(!page(&[2, 90]).contains(undefined), "{undefined}");
        }
    }
}
