//! The configuration of the brokers, as it stands in their TOML files; here that of `edgerouter`.

mod admission;
mod dispatcher;
mod estimator;
mod fake;
mod limits;
mod places;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::time::Duration;

use edge_balance::{Nanos, OptimizerConfig, RetryBudget, Statistic};
use edge_daemon::admin::AdminConfig;
use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use edge_transport::quic::Congestion;
use edge_transport::{Endpoint, Listens};
use serde::{Deserialize, Serialize};

pub use self::admission::AdmissionConfig;
pub use self::dispatcher::{DISPATCHER_ADMIN_PORT, DispatcherConfig};
pub use self::estimator::EstimatorConfig;
pub use self::fake::FakeConfig;
pub use self::limits::LimitsConfig;
pub use self::table::TableConfig;
use crate::forward::Delay;

/// Admin port of a router.
pub const ADMIN_PORT: u16 = 9473;

/// Everything that can be configured. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The lambda server.
    pub server: ServerConfig,
    /// The table server.
    pub tables: TablesConfig,
    /// The controller that fills the tables.
    pub controller: ControllerConfig,
    /// How a destination is picked.
    pub table: TableConfig,
    /// How weights follow latencies, for policies that do not learn by themselves.
    pub optimizer: OptimizerSection,
    /// Limits and artificial delays of forwarding.
    pub router: RouterConfig,
    /// Made-up table entries.
    pub fake: FakeConfig,
    /// When a failed request may be sent elsewhere.
    pub retry: RetryConfig,
    /// How many requests may be where, and who waits.
    pub admission: AdmissionConfig,
    /// Decisions that are kept, so that people can ask for the reasons.
    pub explain: ExplainConfig,
    /// Lambdas about which something is known, by name.
    pub lambda: BTreeMap<String, LambdaConfig>,
    /// Encryption beyond the data path.
    pub tls: TlsConfig,
    /// What one peer may ask of us.
    pub limits: LimitsConfig,
    /// How long a stopping router waits for requests in flight.
    pub drain: DrainConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Metrics and health over HTTP.
    pub admin: AdminConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            tables: TablesConfig::default(),
            controller: ControllerConfig::default(),
            table: TableConfig::default(),
            optimizer: OptimizerSection::None {},
            router: RouterConfig::default(),
            fake: FakeConfig::default(),
            retry: RetryConfig::default(),
            admission: AdmissionConfig::default(),
            explain: ExplainConfig::default(),
            lambda: BTreeMap::new(),
            tls: TlsConfig::default(),
            limits: LimitsConfig::default(),
            drain: DrainConfig::default(),
            log: LogConfig::default(),
            admin: AdminConfig::on_port(ADMIN_PORT),
        }
    }
}

impl Config {
    /// Names of the lambdas that may be executed twice.
    pub(crate) fn idempotent_lambdas(&self) -> Box<[String]> {
        let idempotent = self.lambda.iter().filter(|(_, lambda)| lambda.idempotent);
        idempotent.map(|(name, _)| name.clone()).collect()
    }

    /// Priorities of the lambdas that have one.
    pub(crate) fn priorities(&self) -> HashMap<String, u8> {
        let urgent = self.lambda.iter().filter(|(_, lambda)| lambda.priority > 0);
        urgent
            .map(|(name, lambda)| (name.clone(), lambda.priority))
            .collect()
    }

    /// The lambdas with a policy of their own.
    pub(crate) fn exceptions(&self) -> impl Iterator<Item = (&str, &TableConfig)> {
        self.lambda
            .iter()
            .filter_map(|(name, lambda)| Some((name.as_str(), lambda.policy.as_ref()?)))
    }
}

/// The lambda server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// Where lambda requests are taken.
    pub endpoint: Endpoint,
    /// What the controller is told instead of `endpoint`, for a router behind
    /// an address translator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<Endpoint>,
    /// What lambda requests are taken over: `grpc`, `quic`, or `both` on the same port. Destinations
    /// are reached as their end-points say.
    #[serde(rename = "type")]
    pub transport: Listens,
    /// How fast QUIC sends: `tolerant`, `cubic` or `bbr`.
    pub congestion: Congestion,
    /// Cores that serve; all of the machine if absent. Never limits how many
    /// requests are in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_threads: Option<NumThreads>,
    /// Mutual TLS on the data path, with the files that `CERT_DIR` and the
    /// other variables name.
    pub secure: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new("0.0.0.0", 6473),
            advertise: None,
            transport: Listens::default(),
            congestion: Congestion::default(),
            num_threads: None,
            secure: false,
        }
    }
}

impl ServerConfig {
    /// What makes no sense, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let checked = self.endpoint.check_listening();
        checked.map_err(|problem| ("server.endpoint", problem))
    }
}

/// A number of cores between 1 and 512: each is a thread with connections of
/// its own, so that an absurd number is an error rather than a burden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub struct NumThreads(NonZeroUsize);

impl NumThreads {
    /// The number.
    pub fn get(self) -> NonZeroUsize {
        self.0
    }
}

impl TryFrom<usize> for NumThreads {
    type Error = String;

    fn try_from(count: usize) -> Result<Self, String> {
        match NonZeroUsize::new(count) {
            Some(count) if count.get() <= 512 => Ok(Self(count)),
            _ => Err(format!("{count} threads: must be between 1 and 512")),
        }
    }
}

impl From<NumThreads> for usize {
    fn from(count: NumThreads) -> Self {
        count.0.get()
    }
}

/// The table server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TablesConfig {
    /// Where the tables are served.
    pub endpoint: Endpoint,
    /// Entries, over all lambdas, beyond which none is added, 1 to 100000000.
    pub max_entries: usize,
}

impl TablesConfig {
    /// What is out of range, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        const MOST: usize = 100_000_000;
        let checked = self.endpoint.check_over_tcp();
        checked.map_err(|problem| ("tables.endpoint", problem))?;
        if !(1..=MOST).contains(&self.max_entries) {
            let problem = format!("{} is not between 1 and {MOST}", self.max_entries);
            return Err(("tables.max-entries", problem));
        }
        Ok(())
    }
}

impl Default for TablesConfig {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new("0.0.0.0", 6474),
            max_entries: 1_000_000,
        }
    }
}

/// The controller that fills the tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ControllerConfig {
    /// Where it is; absent: tables are filled by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

impl ControllerConfig {
    /// What makes no sense, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let checked = self.endpoint.as_ref().map(Endpoint::check_over_tcp);
        let checked = checked.unwrap_or(Ok(()));
        checked.map_err(|problem| ("controller.endpoint", problem))
    }
}

/// How weights follow latencies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "kebab-case")]
pub enum OptimizerSection {
    /// They do not: weights stay as they were announced.
    None {},
    /// Each period, the weight becomes a statistic of the latencies in it.
    Trivial {
        /// In seconds.
        period: f64,
        /// Which statistic.
        stat: Stat,
    },
    /// With each answer: alpha x old + (1 - alpha) x latency.
    Async {
        /// Share of the old weight, between 0 and 1.
        alpha: f64,
    },
    /// With each answer: the latency.
    #[serde(rename = "asyncPF")]
    AsyncPf {},
}

impl OptimizerSection {
    pub(crate) fn config(&self) -> OptimizerConfig {
        match *self {
            Self::None {} => OptimizerConfig::None,
            Self::Trivial { period, stat } => OptimizerConfig::Trivial {
                period: Nanos::from_secs_f64(period),
                statistic: match stat {
                    Stat::Mean => Statistic::Mean,
                    Stat::Min => Statistic::Min,
                    Stat::Max => Statistic::Max,
                },
            },
            Self::Async { alpha } => OptimizerConfig::Async { alpha },
            Self::AsyncPf {} => OptimizerConfig::AsyncPf,
        }
    }

    /// What is out of range, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        match *self {
            Self::Trivial { period, .. } if !(0.001..=86_400.0).contains(&period) => Err((
                "optimizer.period",
                format!("{period} s is not between 0.001 and 86400"),
            )),
            Self::Async { alpha } if !(0.0..=1.0).contains(&alpha) => {
                Err(("optimizer.alpha", format!("{alpha} is not between 0 and 1")))
            }
            _ => Ok(()),
        }
    }
}

/// A statistic of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stat {
    /// Arithmetic mean.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
}

/// Limits and artificial delays of forwarding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouterConfig {
    /// Requests in flight towards one destination, others wait; 0: no limit.
    pub max_pending_clients: usize,
    /// Shortest pause before a request is sent on, in seconds.
    pub min_forward_time: f64,
    /// Longest pause before a request is sent on, in seconds.
    pub max_forward_time: f64,
    /// Contact nobody: answer requests with a made-up processing time.
    pub fake: bool,
}

impl RouterConfig {
    pub(crate) fn delay(&self) -> Delay {
        let (min, max) = (self.min_forward_time, self.max_forward_time);
        let pause = (max > 0.0).then(|| {
            (
                Duration::from_secs_f64(min.min(max)),
                Duration::from_secs_f64(max),
            )
        });
        Delay {
            pause,
            fake: self.fake,
        }
    }

    /// What is out of range, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        const LONGEST: f64 = 3600.0;
        let (min, max) = (self.min_forward_time, self.max_forward_time);
        if !(0.0..=LONGEST).contains(&max) {
            let problem = format!("{max} s is not between 0 and {LONGEST}");
            return Err(("router.max-forward-time", problem));
        }
        if !(0.0..=max).contains(&min) {
            let problem = format!("{min} s is not between 0 and max-forward-time ({max} s)");
            return Err(("router.min-forward-time", problem));
        }
        Ok(())
    }
}

/// When a failed request may be sent elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetryConfig {
    /// Destinations that one request tries at the most.
    pub max_attempts: usize,
    /// Retries allowed per request, over the last 10 s.
    pub ratio: f64,
    /// Retries allowed per second on top of that.
    pub reserve_per_second: f64,
    /// The longest pause before the second retry of a request, doubled for each one after it, up to
    /// 250 ms. The first retry goes to another destination at once.
    #[serde(with = "edge_daemon::duration")]
    pub back_off: Duration,
    /// Whether a copy of a request that may be executed twice is sent elsewhere when there is no
    /// answer after the time in which 95 % of them are answered, as long as that helps. Copies count as retries.
    pub hedge: bool,
}

/// What back-off doubles up to.
const MOST_BACK_OFF: Duration = Duration::from_millis(250);

/// The pauses before retries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackOff(Duration);

impl BackOff {
    /// The longest pause, `exponent` doublings after the first.
    pub(crate) fn for_retry(self, exponent: u32) -> Duration {
        let factor = 1_u32 << exponent.min(16);
        self.0.saturating_mul(factor).min(MOST_BACK_OFF)
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 8,
            ratio: 0.2,
            reserve_per_second: 10.0,
            back_off: Duration::from_millis(5),
            hedge: true,
        }
    }
}

impl RetryConfig {
    const WINDOW: Duration = Duration::from_secs(10);

    pub(crate) fn budget(&self) -> RetryBudget {
        RetryBudget::new(
            self.ratio,
            self.reserve_per_second,
            Nanos::from(Self::WINDOW),
        )
    }

    pub(crate) fn back_off(&self) -> BackOff {
        BackOff(self.back_off)
    }

    /// What is out of range, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.back_off > MOST_BACK_OFF {
            let problem = format!("{:?} is longer than {MOST_BACK_OFF:?}", self.back_off);
            return Err(("retry.back-off", problem));
        }
        if !(1..=64).contains(&self.max_attempts) {
            let problem = format!("{} is not between 1 and 64", self.max_attempts);
            return Err(("retry.max-attempts", problem));
        }
        if !(0.0..=10.0).contains(&self.ratio) {
            return Err((
                "retry.ratio",
                format!("{} is not between 0 and 10", self.ratio),
            ));
        }
        if !(0.0..=1e6).contains(&self.reserve_per_second) {
            let problem = format!("{} is not between 0 and 1e6", self.reserve_per_second);
            return Err(("retry.reserve-per-second", problem));
        }
        Ok(())
    }
}

/// Decisions that are kept for the page `/explain` of the admin endpoint. A request with the metadata
/// `edge-explain` is always among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExplainConfig {
    /// Share of requests whose decisions are kept, from 0 to 1.
    pub sample: f64,
    /// Decisions that are kept, the latest ones; 0: none at all.
    pub keep: usize,
}

impl Default for ExplainConfig {
    fn default() -> Self {
        Self {
            sample: 0.001,
            keep: 256,
        }
    }
}

impl ExplainConfig {
    /// What is out of range, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        const MOST: usize = 100_000;
        if !(0.0..=1.0).contains(&self.sample) {
            let problem = format!("{} is not between 0 and 1", self.sample);
            return Err(("explain.sample", problem));
        }
        if self.keep > MOST {
            let problem = format!("{} is not between 0 and {MOST}", self.keep);
            return Err(("explain.keep", problem));
        }
        Ok(())
    }
}

/// What is known about a lambda.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LambdaConfig {
    /// Executing it twice does no harm, so that it may be sent elsewhere even
    /// when a computer may already have begun with it.
    pub idempotent: bool,
    /// Where destinations are busy, requests for lambdas of higher priority go before all others:
    /// 0 to 255.
    pub priority: u8,
    /// How its destination is picked, where not as `[table]` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<TableConfig>,
}

/// Encryption beyond the data path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// Mutual TLS on the control plane, too: tables and controller.
    pub control: bool,
}
