//! What is simulated: routers, executors, load, network and what goes wrong.

use std::sync::Arc;

/// One world to run contenders in. [`Scenario::default`] is a small quiet one to start from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    /// For tables and plots.
    pub(crate) name: String,
    /// Brokers, each with a forwarding table of its own; at least 1.
    pub(crate) routers: usize,
    /// Speed of each executor: work done in a second by one worker. At least one, all above 0.
    pub(crate) speeds: Vec<f64>,
    /// Requests that an executor serves at the same time; at least 1.
    pub(crate) workers: u32,
    /// Offered work over nominal capacity, that is without acceleration and antagonists.
    pub(crate) load: f64,
    /// How much work a request is.
    pub(crate) service: Service,
    /// When requests come.
    pub(crate) arrivals: Arrivals,
    /// How long messages travel.
    pub(crate) network: Network,
    /// What goes wrong, and when.
    pub(crate) antagonists: Vec<Antagonist>,
    /// Requests in the run; at least 1.
    pub(crate) requests: usize,
    /// Share of the requests, the first ones, that the outcome leaves out; 0 to below 1.
    pub(crate) warm_up: f64,
    /// The lambdas that are asked for; at least one.
    pub(crate) lambdas: Vec<LambdaMix>,
    /// Each router knows this many executors, those with the shortest round trip; all if none.
    pub(crate) nearest: Option<usize>,
    /// How executors share their workers.
    pub(crate) discipline: Discipline,
    /// What executors know of the wait when they turn requests down.
    pub(crate) foresight: Foresight,
    /// How requests are distributed over routers.
    pub(crate) shares: RouterShares,
    /// Workers of each executor, where they differ; as long as `speeds`.
    pub(crate) worker_mix: Option<Vec<u32>>,
    /// Every so-manieth executor is of another make: it says nothing of its load, answers no probes
    /// and turns nothing down. None if there is no number.
    pub(crate) silent_every: Option<usize>,
}

/// How much work a request is: the distribution and its mean, in seconds at speed 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Service {
    /// Always the mean.
    Constant {
        /// Seconds at speed 1.
        mean: f64,
    },
    /// Exponential.
    Exponential {
        /// Seconds at speed 1.
        mean: f64,
    },
    /// Log-normal with a coefficient of variation of 2.
    HeavyTail {
        /// Seconds at speed 1.
        mean: f64,
    },
    /// Nine of ten take 0.4 times the mean, one takes 6.4 times the mean.
    Bimodal {
        /// Seconds at speed 1.
        mean: f64,
    },
}

/// When requests come. The long-term rate follows from the load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arrivals {
    /// Independently.
    Poisson,
    /// Poisson at 2.2 times the mean rate for a quarter of the time, at 0.6 times otherwise, the
    /// same for all routers; phases last 50 and 150 mean services in the mean.
    Bursts,
    /// Each router switches between 1.8 and 0.2 times its mean rate on its own; phases last 100
    /// mean services in the mean.
    Ipp,
    /// At these moments: seconds in ascending order, stretched to the rate that the load asks for
    /// and repeated where they are too few. At least two, the last above the first.
    Trace(Arc<[f64]>),
}

/// How long messages travel between a router and an executor, half of the round trip each way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Network {
    /// No time at all.
    None,
    /// A round trip of so many seconds.
    Constant(f64),
    /// A round trip per pair, log-uniform between two bounds in seconds; each message takes
    /// 1 + 0.1 Exp(1) times its half.
    LogUniform {
        /// Seconds, above 0.
        min: f64,
        /// Seconds, at least `min`.
        max: f64,
    },
    /// Routers and executors have places in the unit square; a round trip takes a base and its
    /// share of the distance, in seconds, and each message 1 + 0.1 Exp(1) times its half.
    Plane {
        /// Seconds at no distance.
        base: f64,
        /// Seconds for a distance of 1.
        per_unit: f64,
    },
}

/// Something that goes wrong with one executor for a part of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Antagonist {
    /// Which one.
    pub(crate) executor: usize,
    /// Start, as a share of the run.
    pub(crate) from: f64,
    /// End, as a share of the run; above `from`.
    pub(crate) to: f64,
    /// What.
    pub(crate) kind: Disturbance,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Disturbance {
    /// Everything, also what is running, takes so many times longer.
    SlowDown(f64),
    /// Nothing makes progress; requests are still taken in, or turned down.
    Pause,
    /// Connections are refused; what was there is lost and the executor comes back empty.
    Crash,
    /// Requests are answered with an error after 0.2 ms, with this probability.
    FailFast(f64),
}

/// One of the lambdas of a mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LambdaMix {
    /// How often it is asked for, relative to the others.
    pub(crate) share: f64,
    /// Its mean work relative to the scenario's.
    pub(crate) size: f64,
    /// Executors that run this lambda faster than their speed says.
    pub(crate) accelerated: Option<Acceleration>,
}

/// Special hardware on some executors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Acceleration {
    /// Every so-manieth executor has it; at least 1.
    pub(crate) every: usize,
    /// How many times faster the lambda runs there.
    pub(crate) factor: f64,
}

/// How an executor shares its workers among its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    /// One request per worker, the others wait in order of arrival.
    Fifo,
    /// All run at once; more of them than workers share these equally.
    Sharing,
}

/// What executors know of the wait when they turn requests down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foresight {
    /// Mean services, learnt from the past: real functions.
    Learnt,
    /// The work of every request in front: the computers of this project that simulate theirs. Where
    /// workers are shared there is nothing to wait for.
    Exact,
}

/// How requests are distributed over routers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RouterShares {
    /// Evenly.
    Equal,
    /// The k-th router gets a share in proportion to k to the power of minus this.
    Zipf(f64),
}

impl Service {
    /// Seconds at speed 1.
    pub(crate) fn mean(self) -> f64 {
        match self {
            Service::Constant { mean }
            | Service::Exponential { mean }
            | Service::HeavyTail { mean }
            | Service::Bimodal { mean } => mean,
        }
    }
}

impl LambdaMix {
    /// The only lambda of a scenario.
    pub(crate) const ONLY: LambdaMix = LambdaMix {
        share: 1.0,
        size: 1.0,
        accelerated: None,
    };
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario {
            name: "default".to_owned(),
            routers: 1,
            speeds: vec![1.0],
            workers: 1,
            load: 0.7,
            service: Service::Exponential { mean: 0.01 },
            arrivals: Arrivals::Poisson,
            network: Network::None,
            antagonists: Vec::new(),
            requests: 60_000,
            warm_up: 0.15,
            lambdas: vec![LambdaMix::ONLY],
            nearest: None,
            discipline: Discipline::Fifo,
            foresight: Foresight::Learnt,
            shares: RouterShares::Equal,
            worker_mix: None,
            silent_every: None,
        }
    }
}

impl Scenario {
    /// Workers of one executor.
    pub(crate) fn workers_of(&self, executor: usize) -> u32 {
        self.worker_mix
            .as_ref()
            .map_or(self.workers, |mix| mix[executor])
    }

    /// Whether one executor says nothing of its load.
    pub(crate) fn is_silent(&self, executor: usize) -> bool {
        self.silent_every
            .is_some_and(|every| executor.is_multiple_of(every.max(1)))
    }

    /// Mean work of a request over all lambdas, in seconds at speed 1.
    pub(crate) fn mean_work(&self) -> f64 {
        let shares: f64 = self.lambdas.iter().map(|lambda| lambda.share).sum();
        let sizes: f64 = self.lambdas.iter().map(|l| l.share * l.size).sum();
        self.service.mean() * sizes / shares
    }

    /// Requests in a second over all routers, in the long term.
    pub(crate) fn rate(&self) -> f64 {
        let capacity: f64 = (0..self.speeds.len())
            .map(|executor| self.speeds[executor] * f64::from(self.workers_of(executor)))
            .sum();
        self.load * capacity / self.mean_work()
    }

    /// Speed at which an executor runs a lambda when nothing is wrong.
    pub(crate) fn speed(&self, executor: usize, lambda: usize) -> f64 {
        let accelerated = self.lambdas[lambda]
            .accelerated
            .filter(|a| executor.is_multiple_of(a.every));
        self.speeds[executor] * accelerated.map_or(1.0, |a| a.factor)
    }
}
