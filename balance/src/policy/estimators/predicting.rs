//! The estimators that fit what they have seen: `rtt`, `util`, `delay`.

use super::fit::Point;
use super::spread::{self, Candidate};
use super::window::{Span, Window};
use super::{EstimatorConfig, Forecast};
use crate::policy::slots::{Slot, follow};
use crate::policy::{Choice, Cost, Executed, Policy, Scene, any_index};
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, Routes};
use crate::stamp::{Age, Stamp};
use crate::{Destination, Nanos};
use rand::Rng;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether the answer comes or not: after this pause a route without samples may get another
/// request for the sake of a sample. One that answers everything with errors never has a sample.
const EXPLORED_AGAIN_AFTER: Nanos = Nanos::from_secs(1);
/// Explorations earned by a request: with many destinations and few requests samples get stale
/// sooner than they come, and finding out must not be all that is done.
const CREDIT_PER_PICK: f32 = 0.25;
/// Explorations saved up at the most.
const MOST_CREDIT: f32 = 4.0;

/// Chooses the smallest predicted time, requests in flight included.
///
/// A route without samples (new, or all of them stale) is explored: one request goes there whatever
/// is predicted elsewhere, in at most a quarter of all picks. Otherwise it counts as the mean of the
/// others, so that a burst before the first answer is spread evenly. It locks per lambda; a fit is
/// made anew when a sample comes or goes, not when it is used.
#[derive(Debug)]
pub(super) struct Predicting {
    spans: Spans,
    state: Mutex<State>,
}

/// What is fitted, by the type of the estimator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    network: Option<Span>,
    processing: Option<Span>,
    /// Processing means all the time until the answer.
    whole: bool,
    load_timeout: Nanos,
}

#[derive(Debug)]
struct State {
    slots: Vec<Slot<Model>>,
    credit: f32,
}

/// What is known of one lambda at one destination.
#[derive(Debug, Default)]
struct Model {
    network: Window,
    processing: Window,
    /// When a request was last sent there without a prediction.
    explored: Option<Nanos>,
}

impl Spans {
    /// None for `probe`, which fits nothing.
    pub(super) fn of(config: EstimatorConfig) -> Option<Self> {
        let span = |samples, stale| Some(Span { samples, stale });
        Some(match config {
            EstimatorConfig::Rtt {
                window_size,
                stale_period,
            } => Spans {
                network: span(window_size, stale_period),
                processing: None,
                whole: false,
                load_timeout: Nanos::ZERO,
            },
            EstimatorConfig::Util {
                rtt_window_size,
                rtt_stale_period,
                util_window_size,
                util_stale_period,
                util_load_timeout,
            } => Spans {
                network: span(rtt_window_size, rtt_stale_period),
                processing: span(util_window_size, util_stale_period),
                whole: false,
                load_timeout: util_load_timeout,
            },
            EstimatorConfig::Delay {
                util_window_size,
                util_stale_period,
                util_load_timeout,
            } => Spans {
                network: None,
                processing: span(util_window_size, util_stale_period),
                whole: true,
                load_timeout: util_load_timeout,
            },
            EstimatorConfig::Probe => return None,
        })
    }

    /// The last load that the destination reported, for any lambda, unless it is too old.
    fn load(&self, destination: &Destination, now: Nanos) -> f64 {
        let known = destination.load().utilization(Stamp::at(now));
        let timeout = Age::from_millis(self.load_timeout.0 / 1_000_000);
        known
            .filter(|(_, age)| *age < timeout)
            .map_or(0.0, |(load, _)| f64::from(load))
    }
}

impl Model {
    /// None unless all that is needed was measured.
    fn forecast(
        &mut self,
        spans: &Spans,
        route: &Route,
        input_bytes: usize,
        now: Nanos,
    ) -> Option<Forecast> {
        let mut forecast = Forecast {
            input_bytes,
            ..Forecast::default()
        };
        if let Some(span) = spans.network {
            let fit = self.network.fit(span, now)?;
            forecast.network = fit.at(input_bytes as f64, 0.0);
        }
        if let Some(span) = spans.processing {
            let fit = self.processing.fit(span, now)?;
            forecast.load = spans.load(route.destination(), now);
            forecast.processing = fit.at(input_bytes as f64, forecast.load);
        }
        Some(forecast)
    }

    fn may_be_explored(&self, now: Nanos) -> bool {
        self.explored
            .is_none_or(|at| now.since(at) >= EXPLORED_AGAIN_AFTER)
    }
}

impl Predicting {
    pub(super) fn new(spans: Spans) -> Self {
        Predicting {
            spans,
            state: Mutex::new(State {
                slots: Vec::new(),
                credit: MOST_CREDIT,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn candidate<'a>(
        &self,
        route: &'a SharedRoute,
        model: &mut Model,
        scene: &Scene<'_>,
    ) -> Candidate<'a> {
        Candidate {
            route,
            forecast: model.forecast(&self.spans, route, scene.request.input_bytes, scene.now),
            unseen: route.destination().in_flight(),
        }
    }
}

impl Policy for Predicting {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let mut state = self.state();
        let state = &mut *state;
        state.credit = (state.credit + CREDIT_PER_PICK).min(MOST_CREDIT);
        let mut unmeasured = Vec::new();
        let candidates = spread::candidates(state.slots.iter_mut(), scene, |route, model| {
            let candidate = self.candidate(route, model, scene);
            if candidate.forecast.is_none() && model.may_be_explored(scene.now) {
                unmeasured.push(route);
            }
            candidate
        });
        // A request that failed elsewhere already is not the one to find out with.
        let explores = state.credit >= 1.0 && scene.tried.is_empty() && !unmeasured.is_empty();
        let (route, forecast) = if explores {
            (unmeasured[any_index(unmeasured.len(), rng)], None)
        } else {
            let chosen = candidates[spread::cheapest(&candidates, rng)?];
            (chosen.route, chosen.promised())
        };
        let route = SharedRoute::clone(route);
        let any_measured = candidates.iter().any(|c| c.forecast.is_some());
        drop(candidates);
        if forecast.is_none() {
            // Where nothing was measured at all, finding out costs nothing.
            if explores && any_measured {
                state.credit -= 1.0;
            }
            let mut slots = state.slots.iter_mut();
            if let Some(slot) = slots.find(|slot| SharedRoute::ptr_eq(&slot.route, &route)) {
                slot.state.explored = Some(scene.now);
            }
        }
        Some(Choice {
            explored: forecast.is_none(),
            forecast: Some(Box::new(forecast.unwrap_or(Forecast {
                input_bytes: scene.request.input_bytes,
                load: self.spans.load(route.destination(), scene.now),
                ..Forecast::default()
            }))),
            ..Choice::from(route)
        })
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let mut state = self.state();
        let candidates = spread::candidates(state.slots.iter_mut(), scene, |route, model| {
            self.candidate(route, model, scene)
        });
        spread::explained(&candidates)
    }

    fn routes_changed(&self, change: &Change<'_>, _routes: Routes<'_>, _now: Nanos) {
        follow(&mut self.state().slots, change, |_| Model::default());
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn learnt(&self, route: &Route, executed: &Executed<'_>) {
        let Executed {
            input_bytes,
            company,
            latency,
            report,
            now,
        } = *executed;
        let mut state = self.state();
        let mut slots = state.slots.iter_mut();
        // The route may have been removed, which takes nothing from the request.
        let Some(slot) = slots.find(|slot| std::ptr::eq(&*slot.route, route)) else {
            return;
        };
        let residence = report.residence.unwrap_or_default();
        let warm = residence.since(report.cold_start.unwrap_or_default());
        let point = |load, span: Nanos| Point {
            size: input_bytes as f64,
            load,
            seconds: span.as_secs_f64(),
        };
        let model = &mut slot.state;
        if let Some(span) = self.spans.network {
            let sample = point(0.0, latency.since(warm));
            model.network.record(sample, span, now);
        }
        if let Some(span) = self.spans.processing {
            let load = report
                .utilization
                .map_or_else(|| self.spans.load(route.destination(), now), f64::from);
            let time = if self.spans.whole { latency } else { warm };
            let mut point = point(load, time);
            // What the prediction is going to be multiplied by must not be in the samples already.
            point.seconds /= spread::sharing(route, company.saturating_sub(1));
            model.processing.record(point, span, now);
        }
    }
}
