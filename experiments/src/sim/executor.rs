//! An executor: workers, a queue, and what an antagonist makes of them.

use std::cmp::{Ordering, Reverse};
use std::collections::VecDeque;

use dary_heap::QuaternaryHeap;
use edge_balance::{Acceptance, Nanos, Report};

use super::events::{Event, Events};
use super::job::{Job, Jobs};
use super::scenario::{Discipline, Foresight, Scenario};
use super::utilisation::Utilisation;

/// One executor.
#[derive(Debug)]
pub(super) struct Executor {
    workers: usize,
    /// Speed for each lambda when nothing is wrong.
    speeds: Box<[f64]>,
    /// Seconds at speed 1 that a request of each lambda takes in the mean.
    mean_work: Box<[f64]>,
    /// What an antagonist leaves of the speed: 1 for all, 0 for a pause.
    factor: f64,
    down: bool,
    fails: f64,
    /// What real executors decide by whether to turn a request down.
    acceptance: Acceptance,
    foresight: Foresight,
    silent: bool,
    /// None where nobody asks.
    utilisation: Option<Utilisation>,
    at_work: AtWork,
}

#[derive(Debug)]
enum AtWork {
    Fifo {
        running: Vec<u32>,
        waiting: VecDeque<u32>,
    },
    Sharing(Sharing),
}

/// Requests that share the workers. All make the same progress, each from where it came in, which
/// is why one number tells how far all of them are.
#[derive(Debug, Default)]
struct Sharing {
    /// The one that will be done first is on top.
    running: QuaternaryHeap<Reverse<Share>>,
    /// Seconds of a worker that each request which was always there would have had.
    progress: f64,
    /// When that was true.
    at: u64,
    /// Whether an event has been planned for the first, and which that was.
    planned: Option<u32>,
}

/// A request, in the order of the progress at which it will be done.
#[derive(Debug, PartialEq)]
struct Share {
    until: f64,
    id: u32,
}

impl Eq for Share {}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        self.until.total_cmp(&other.until)
    }
}

impl Executor {
    pub(super) fn new(scenario: &Scenario, executor: usize) -> Self {
        let speed = |lambda| scenario.speed(executor, lambda);
        let lambdas = scenario.lambdas.iter();
        Executor {
            workers: scenario.workers_of(executor) as usize,
            speeds: (0..scenario.lambdas.len()).map(speed).collect(),
            mean_work: lambdas.map(|l| scenario.service.mean() * l.size).collect(),
            factor: 1.0,
            down: false,
            fails: 0.0,
            acceptance: Acceptance::new(scenario.workers_of(executor)),
            foresight: scenario.foresight,
            silent: scenario.is_silent(executor),
            utilisation: None,
            at_work: match scenario.discipline {
                Discipline::Fifo => AtWork::Fifo {
                    running: Vec::new(),
                    waiting: VecDeque::new(),
                },
                Discipline::Sharing => AtWork::Sharing(Sharing::default()),
            },
        }
    }

    /// Keeps account of how busy it is, and tells with its answers.
    pub(super) fn tell_utilisation(&mut self) {
        self.utilisation = Some(Utilisation::default());
    }

    /// Speed of a worker for a lambda, now.
    pub(super) fn speed(&self, lambda: u32) -> f64 {
        self.speeds[lambda as usize] * self.factor
    }

    /// The same when nothing is wrong.
    pub(super) fn nominal_speed(&self, lambda: u32) -> f64 {
        self.speeds[lambda as usize]
    }

    /// Where workers are shared: how much each worker does until a request that needs `own` of one
    /// is done, if it comes now and nobody follows.
    pub(super) fn shared_work(&self, own: f64, now: u64) -> f64 {
        let AtWork::Sharing(sharing) = &self.at_work else {
            return own;
        };
        let pace = sharing.pace(self.workers, self.factor);
        let progress = sharing.progress + seconds(now - sharing.at) * pace;
        let left = |share: &Reverse<Share>| (share.0.until - progress).clamp(0.0, own);
        let others: f64 = sharing.running.iter().map(left).sum();
        own.max((own + others) / self.workers as f64)
    }

    /// What an antagonist leaves of the speed.
    pub(super) fn factor(&self) -> f64 {
        self.factor
    }

    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// Probability of an error.
    pub(super) fn fails(&self) -> f64 {
        self.fails
    }

    pub(super) fn set_fails(&mut self, probability: f64) {
        self.fails = probability;
    }

    /// Whether a request would have to wait longer than it is willing to.
    pub(super) fn refuses(&self, max_wait: Option<Nanos>, jobs: &Jobs, now: u64) -> bool {
        match self.foresight {
            _ if self.silent => false,
            Foresight::Learnt => self.acceptance.refuses(max_wait),
            Foresight::Exact => {
                max_wait.is_some_and(|max_wait| self.wait(jobs, now) > max_wait.as_secs_f64())
            }
        }
    }

    /// Seconds until a worker would take a request that comes now.
    fn wait(&self, jobs: &Jobs, now: u64) -> f64 {
        let AtWork::Fifo { running, waiting } = &self.at_work else {
            return 0.0;
        };
        if running.len() < self.workers {
            return 0.0;
        }
        let mut free: Vec<f64> = running
            .iter()
            .map(|id| {
                let job = &jobs[*id];
                let speed = self.speed(job.request.lambda);
                job.left / speed - seconds(now - job.since)
            })
            .collect();
        for id in waiting {
            let request = &jobs[*id].request;
            let first = free.iter_mut().min_by(|a, b| a.total_cmp(b));
            *first.expect("all workers are at work") += request.work / self.speed(request.lambda);
        }
        free.into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Whether it says nothing of its load, see [`Scenario::silent_every`].
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Requests that wait or run.
    pub(super) fn in_flight(&self) -> u32 {
        self.acceptance.in_system()
    }

    pub(super) fn workers(&self) -> u32 {
        self.workers as u32
    }

    /// What it says with the answer to a request that has left.
    pub(super) fn answer(&self, job: &Job) -> Report {
        if self.silent {
            return Report::default();
        }
        job.report(self.workers(), self.utilisation())
    }

    /// What an answer to a probe says of the load.
    pub(super) fn report(&self) -> Report {
        Report {
            in_flight: Some(self.in_flight()),
            workers: Some(self.workers()),
            utilization: self.utilisation(),
            ..Report::default()
        }
    }

    /// How long it expects a request to take, waiting included, in whole milliseconds, since that is
    /// what answers to dry requests tell.
    pub(super) fn estimate(&self, lambda: u32) -> Nanos {
        let wait = self.acceptance.estimated_wait();
        let service = Nanos::from_secs_f64(self.mean_work[lambda as usize] / self.speed(lambda));
        Nanos::from_millis((wait + service).0 / 1_000_000)
    }

    /// How long a request that is done has executed; where workers are shared, as if it had had one
    /// of its own.
    fn service(&self, job: &Job, now: u64) -> Nanos {
        match self.at_work {
            AtWork::Fifo { .. } => Nanos(now - job.started),
            AtWork::Sharing(_) => {
                Nanos::from_secs_f64(job.request.work / self.speed(job.request.lambda))
            }
        }
    }

    /// Before requests come or go: so far things were as they are.
    fn note(&mut self, now: u64) {
        let busy = self.workers.min(self.in_flight() as usize);
        if let Some(utilisation) = &mut self.utilisation {
            utilisation.note(busy, self.workers, now);
        }
    }

    /// How busy it has been lately, from 0 to 1.
    pub(super) fn utilisation(&self) -> Option<f32> {
        self.utilisation.as_ref().map(Utilisation::share)
    }

    /// Takes a request in.
    pub(super) fn arrive(&mut self, id: u32, now: u64, jobs: &mut Jobs, events: &mut Events) {
        self.note(now);
        self.acceptance.arrived(jobs[id].request.lambda as usize);
        let (workers, factor) = (self.workers, self.factor);
        match &mut self.at_work {
            AtWork::Fifo { running, waiting } => {
                if running.len() < workers {
                    running.push(id);
                    self.start(id, now, jobs, events);
                } else {
                    waiting.push_back(id);
                }
            }
            AtWork::Sharing(sharing) => {
                sharing.advance(now, workers, factor);
                let job = &mut jobs[id];
                let need = job.request.work / self.speeds[job.request.lambda as usize];
                let until = sharing.progress + need;
                sharing.running.push(Reverse(Share { until, id }));
                sharing.plan(now, workers, factor, jobs, events);
            }
        }
    }

    /// Lets a request go that is done, with what its answer reports.
    pub(super) fn complete(&mut self, id: u32, now: u64, jobs: &mut Jobs, events: &mut Events) {
        self.note(now);
        let job = &mut jobs[id];
        job.service = self.service(job, now);
        job.residence = Nanos(now - job.reached);
        self.acceptance
            .left(job.request.lambda as usize, Some(job.service));
        job.in_flight = self.in_flight();
        let (workers, factor) = (self.workers, self.factor);
        match &mut self.at_work {
            AtWork::Fifo { running, waiting } => {
                leave(running, id);
                if let Some(next) = waiting.pop_front() {
                    running.push(next);
                    self.start(next, now, jobs, events);
                }
            }
            AtWork::Sharing(sharing) => {
                sharing.advance(now, workers, factor);
                let first = sharing.running.pop();
                debug_assert!(first.is_some_and(|share| share.0.id == id));
                sharing.planned = None;
                sharing.plan(now, workers, factor, jobs, events);
            }
        }
    }

    fn start(&self, id: u32, now: u64, jobs: &mut Jobs, events: &mut Events) {
        let job = &mut jobs[id];
        job.started = now;
        job.since = now;
        job.left = job.request.work;
        let speed = self.speed(job.request.lambda);
        plan(id, now, speed, jobs, events);
    }

    /// Changes the speed, also of what is running.
    pub(super) fn set_factor(
        &mut self,
        factor: f64,
        now: u64,
        jobs: &mut Jobs,
        events: &mut Events,
    ) {
        let before = self.factor;
        if factor == before {
            return;
        }
        match &mut self.at_work {
            AtWork::Fifo { running, .. } => {
                for id in running {
                    let job = &mut jobs[*id];
                    let speed = self.speeds[job.request.lambda as usize];
                    job.left -= seconds(now - job.since) * speed * before;
                    job.since = now;
                    job.generation = job.generation.wrapping_add(1);
                    plan(*id, now, speed * factor, jobs, events);
                }
            }
            AtWork::Sharing(sharing) => {
                sharing.advance(now, self.workers, before);
                sharing.plan(now, self.workers, factor, jobs, events);
            }
        }
        self.factor = factor;
    }

    /// Goes down, losing everything, or comes up again.
    pub(super) fn set_down(&mut self, down: bool, now: u64, jobs: &mut Jobs) -> Vec<u32> {
        self.down = down;
        self.note(now);
        if !down {
            return Vec::new();
        }
        self.acceptance.emptied();
        let lost: Vec<u32> = match &mut self.at_work {
            AtWork::Fifo { running, waiting } => {
                running.drain(..).chain(waiting.drain(..)).collect()
            }
            AtWork::Sharing(sharing) => {
                sharing.planned = None;
                let all = std::mem::take(&mut sharing.running);
                all.into_sorted_vec().iter().map(|s| s.0.id).collect()
            }
        };
        for id in &lost {
            let generation = &mut jobs[*id].generation;
            *generation = generation.wrapping_add(1);
        }
        lost
    }
}

/// Plans when the work of a request is done, unless it makes no progress.
fn plan(id: u32, now: u64, speed: f64, jobs: &Jobs, events: &mut Events) {
    if speed > 0.0 {
        let job = &jobs[id];
        let generation = job.generation;
        let at = now + nanos(job.left / speed);
        events.push(
            at,
            Event::Complete {
                job: id,
                generation,
            },
        );
    }
}

impl Sharing {
    /// Progress per second.
    fn pace(&self, workers: usize, factor: f64) -> f64 {
        factor * (workers as f64 / self.running.len().max(1) as f64).min(1.0)
    }

    fn advance(&mut self, now: u64, workers: usize, factor: f64) {
        self.progress += seconds(now - self.at) * self.pace(workers, factor);
        self.at = now;
    }

    fn plan(
        &mut self,
        now: u64,
        workers: usize,
        factor: f64,
        jobs: &mut Jobs,
        events: &mut Events,
    ) {
        if let Some(id) = self.planned.take() {
            let generation = &mut jobs[id].generation;
            *generation = generation.wrapping_add(1);
        }
        let pace = self.pace(workers, factor);
        if let Some(Reverse(first)) = self.running.peek().filter(|_| pace > 0.0) {
            let job = first.id;
            self.planned = Some(job);
            let generation = jobs[job].generation;
            let at = now + nanos((first.until - self.progress) / pace);
            events.push(at, Event::Complete { job, generation });
        }
    }
}

fn leave(running: &mut Vec<u32>, id: u32) {
    let place = running.iter().position(|other| *other == id);
    running.swap_remove(place.expect("what completes was running"));
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 * 1e-9
}

/// Rounded; what would be negative by an error of rounding is nothing.
fn nanos(seconds: f64) -> u64 {
    // Without a call of the mathematical library, which `round` is on most targets.
    (seconds * 1e9 + 0.5) as u64
}
