//! Lines in a rectangle, with axes that fit them.

use maud::{Markup, html};

/// All lengths in pixels.
const WIDTH: f64 = 372.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 22.0;
const RIGHT: f64 = 8.0;

/// How values become lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    /// From the power of ten below the smallest value.
    Log,
}

/// A line.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// Of the style sheet.
    pub(super) class: &'static str,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// A rectangle with lines.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) series: Vec<Series>,
}

/// From values to pixels.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Chart {
    pub(super) fn render(&self) -> Markup {
        let values = |of: fn(&(f64, f64)) -> f64| {
            let points = self.series.iter().flat_map(|series| &series.points);
            points.map(of).collect::<Vec<_>>()
        };
        let x = Axis::new(self.x, &values(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Axis::new(self.y, &values(|point| point.1), HEIGHT - BOTTOM, TOP);
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img"
                aria-label=(self.title) {
                text.title x=(LEFT) y="14" { (self.title) }
                @for tick in y.ticks() {
                    @let at = length(y.at(tick));
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at) y2=(at) {}
                    text.tick x=(LEFT - 5.0) y=(length(y.at(tick) + 4.0)) text-anchor="end" { (tick) }
                }
                @for tick in x.ticks() {
                    @let at = length(x.at(tick));
                    line.grid x1=(at) x2=(at) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                    text.tick x=(at) y=(HEIGHT - BOTTOM + 15.0) text-anchor="middle" { (tick) }
                }
                @for series in &self.series {
                    @if !series.points.is_empty() {
                        polyline class={ "line " (series.class) @if series.dashed { " dashed" } }
                            points=(path(&series.points, &x, &y)) {}
                    }
                }
            }
        }
    }
}

fn path(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let points = points
        .iter()
        .map(|(at_x, at_y)| format!("{},{}", length(x.at(*at_x)), length(y.at(*at_y))));
    points.collect::<Vec<_>>().join(" ")
}

fn length(pixels: f64) -> String {
    format!("{pixels:.1}")
}

impl Axis {
    fn new(scale: Scale, values: &[f64], from: f64, to: f64) -> Self {
        let high = values.iter().copied().fold(0.0, f64::max);
        let (low, high) = match scale {
            Scale::Linear if high > 0.0 => (0.0, high),
            Scale::Linear => (0.0, 1.0),
            Scale::Log => {
                let positive = values.iter().copied().filter(|value| *value > 0.0);
                let low = positive.fold(f64::INFINITY, f64::min);
                if low.is_finite() {
                    let low = 10_f64.powf(low.log10().floor());
                    (low, high.max(low * 10.0))
                } else {
                    (1.0, 10.0)
                }
            }
        };
        Self {
            scale,
            low,
            high,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Log => {
                let first = self.low.log10().round() as i32;
                let decades = (first..).map(|exponent| 10_f64.powi(exponent));
                decades.take_while(|tick| *tick <= self.high).collect()
            }
            Scale::Linear => {
                let rough = self.high / 5.0;
                let decade = 10_f64.powf(rough.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
                let step = steps
                    .into_iter()
                    .find(|step| *step >= rough)
                    .unwrap_or(rough);
                let count = (self.high / step + 1e-9).floor() as u32;
                // Without the digits that binary fractions add.
                let rounded = |value: f64| (value * 1e6).round() / 1e6;
                (0..=count).map(|n| rounded(f64::from(n) * step)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_begin_at_zero_and_have_round_ticks() {
        let axis = Axis::new(Scale::Linear, &[0.2, 1.0], 0.0, 100.0);
        assert_eq!(axis.ticks(), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!((axis.at(0.0), axis.at(1.0)), (0.0, 100.0));
        let axis = Axis::new(Scale::Linear, &[83.0], 0.0, 100.0);
        assert_eq!(axis.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0]);
    }

    #[test]
    fn logarithmic_axes_begin_at_a_power_of_ten() {
        let axis = Axis::new(Scale::Log, &[1.5, 250.0], 200.0, 0.0);
        assert_eq!(axis.ticks(), [1.0, 10.0, 100.0]);
        assert_eq!((axis.at(1.0), axis.at(250.0)), (200.0, 0.0));
        assert!(axis.at(0.0).is_finite());
    }

    #[test]
    fn axes_of_nothing_are_finite() {
        for scale in [Scale::Linear, Scale::Log] {
            let axis = Axis::new(scale, &[], 0.0, 100.0);
            assert!(axis.at(1.0).is_finite() && axis.ticks().len() < 20);
        }
    }
}
