//! The balancing brain, sans-IO: forwarding tables, selection policies, latency estimates, health and retry budget.
//!
//! A [`ForwardingTable`] says which destinations serve which lambda and at what weight;
//! [`ForwardingTable::pick`] chooses one of them for a request and hands out a [`Pick`], which counts
//! the request as in flight until it is told how the request ended. What is learnt from that ending
//! (latency, health) steers the next picks. An [`Optimizer`] turns latencies into weights for the
//! policies that only look at weights, and a [`RetryBudget`] bounds how much a broker retries.
//!
//! Nothing here waits, opens a socket or looks at a clock: time comes in as [`Nanos`], randomness as
//! `&mut dyn rand::Rng`. The broker and the simulators therefore run the very same code, and a run
//! repeats when its inputs do. Everything is `Send + Sync` and meant to be shared by all cores; with
//! the default policy a pick takes no lock.
//!
//! ```
//! use edge_balance::{Destinations, ForwardingTable, Nanos, PolicyConfig, Report, Tried};
//! use rand_pcg::{Pcg32, rand_core::SeedableRng};
//! use std::sync::Arc;
//!
//! let table = ForwardingTable::new(PolicyConfig::default(), Arc::new(Destinations::new()));
//! table.change("resize", "edge-1:6473", 1.0, true, Nanos(0))?;
//!
//! let pick = table.pick("resize", &Tried::new(), Nanos(0), &mut Pcg32::seed_from_u64(1))?;
//! assert_eq!(pick.destination().name(), "edge-1:6473");
//! let (latency, now) = (Nanos::from_secs_f64(0.012), Nanos::from_secs_f64(0.012));
//! pick.succeeded(latency, &Report::default(), now);
//! assert_eq!(table.to_string(), "resize [0.012] edge-1:6473 (F)\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acceptance;
mod admission;
mod average;
mod destination;
mod explanation;
mod health;
mod hedging;
mod lambda_state;
mod load;
mod nanos;
mod openings;
mod optimizer;
mod outlier;
mod owner;
mod pair;
mod pick;
mod policy;
mod probe;
mod real;
mod refusal_budget;
mod report;
mod request;
mod retry_budget;
mod route;
mod routes;
mod sent;
mod silence;
mod sorted;
mod speeds;
mod stamp;
mod table;
mod terms;
mod tried;

pub use acceptance::Acceptance;
pub use admission::{
    AdaptiveLimit, Client, CoreLimit, FairQueue, Key, LambdaKey, LimitConfig, Pushed, QueueConfig,
    Shed, Waiter,
};
pub use destination::{Destination, Destinations};
pub use explanation::{Candidate, Explanation};
pub use health::{FIRST_EJECTION, Health, LONGEST_EJECTION, Standing};
pub use hedging::Hedging;
pub use nanos::Nanos;
pub use optimizer::{InvalidOptimizer, Optimizer, OptimizerConfig, Statistic};
pub use owner::Owner;
pub use pick::{NoDestination, Pick, Picked, Reason, SharedHedging};
pub use policy::{
    CompletionConfig, EstimatorConfig, Forecast, InvalidPolicy, PolicyConfig, PolicyKeys,
};
pub use probe::{Answers, Probe, Probes};
pub use report::Report;
pub use request::Request;
pub use retry_budget::{RetryBudget, Withdrawal};
pub use table::{
    Cleared, ForwardingTable, Lease, Listing, LoneLambda, Occupancy, ProbeLease, ProbeLeases,
    RouteChange, Rows, TableEntry, TableError,
};
pub use tried::Tried;
