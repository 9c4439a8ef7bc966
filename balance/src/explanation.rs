//! Why a request went where it went, for people who ask.

use crate::policy::Cost;
use crate::{Nanos, Standing};

/// What a policy thought of the destinations of a lambda at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Those that the request had not been to, in the order of the table; of more than 128 some of
    /// them, others each time.
    pub candidates: Vec<Candidate>,
    /// How many there were.
    pub total: usize,
}

/// One destination as a policy saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub destination: String,
    /// Smaller is better. Seconds, where the policy thinks in time; else the weight, or whatever
    /// the policy compares.
    pub cost: f64,
    /// What the cost is made of, by name; those that end in `_s` are seconds.
    pub terms: Vec<(&'static str, f64)>,
    /// Requests of this broker there.
    pub in_flight: u32,
    /// Whether it may be chosen for this lambda.
    pub standing: Standing,
}

impl Explanation {
    pub(crate) fn new(costs: Vec<Cost>, total: usize, now: Nanos) -> Self {
        let candidate = |cost: Cost| {
            let destination = cost.route.destination();
            Candidate {
                destination: destination.name().to_owned(),
                cost: cost.cost,
                terms: cost.terms,
                in_flight: destination.in_flight(),
                standing: cost.route.standing(now),
            }
        };
        Explanation {
            candidates: costs.into_iter().map(candidate).collect(),
            total,
        }
    }
}
