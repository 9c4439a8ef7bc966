//! What the demo's client has seen, request by request.

use std::collections::BTreeMap;
use std::time::Duration;

use edge_client::{Answer, RequestError};

/// All answers so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// End-point and label of each computer.
    computers: Vec<(String, &'static str)>,
    answers: Vec<Entry>,
    failures: BTreeMap<String, u64>,
    failed: u64,
    /// Answers that [`Ledger::look`] has reported.
    looked: usize,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// When its request was due, from the start.
    due: Duration,
    latency: Duration,
    /// Position of the computer.
    computer: usize,
}

/// What one computer has answered within some time.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) label: &'static str,
    pub(crate) endpoint: String,
    /// Fraction of all answers.
    pub(crate) share: f64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
}

impl Ledger {
    pub(crate) fn new(computers: Vec<(String, &'static str)>) -> Self {
        Self {
            computers,
            answers: Vec::new(),
            failures: BTreeMap::new(),
            failed: 0,
            looked: 0,
        }
    }

    pub(crate) fn record(
        &mut self,
        due: Duration,
        latency: Duration,
        answered: Result<Answer, RequestError>,
    ) {
        let problem = match answered {
            Ok(answer) => {
                let responder = &answer.response.responder;
                match self
                    .computers
                    .iter()
                    .position(|(endpoint, _)| endpoint == responder)
                {
                    Some(computer) => {
                        self.answers.push(Entry {
                            due,
                            latency,
                            computer,
                        });
                        return;
                    }
                    None => format!("answered by '{responder}', which is no computer of ours"),
                }
            }
            Err(error) => error.to_string(),
        };
        self.failed += 1;
        *self.failures.entry(problem).or_default() += 1;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.answers.len() as u64 + self.failed
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// What went wrong, and how often.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        self.failures
            .iter()
            .map(|(problem, count)| (problem.as_str(), *count))
    }

    /// What has come in since the last look.
    pub(crate) fn look(&mut self) -> Vec<Share> {
        let new = &self.answers[self.looked..];
        let shares = self.shares(new.iter().copied());
        self.looked = self.answers.len();
        shares
    }

    /// What became of the requests that were due between two moments.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Vec<Share> {
        self.shares(
            self.answers
                .iter()
                .copied()
                .filter(|a| (from..to).contains(&a.due)),
        )
    }

    /// Latencies of all computers between two moments, at a fraction of 1.
    pub(crate) fn quantile(&self, from: Duration, to: Duration, q: f64) -> Option<Duration> {
        let due = self
            .answers
            .iter()
            .filter(|answer| (from..to).contains(&answer.due));
        quantile(due.map(|answer| answer.latency).collect(), q)
    }

    fn shares(&self, answers: impl Iterator<Item = Entry>) -> Vec<Share> {
        let mut by_computer = vec![Vec::new(); self.computers.len()];
        for answer in answers {
            by_computer[answer.computer].push(answer.latency);
        }
        let all: usize = by_computer.iter().map(Vec::len).sum();
        self.computers
            .iter()
            .zip(by_computer)
            .map(|((endpoint, label), latencies)| Share {
                label,
                endpoint: endpoint.clone(),
                share: latencies.len() as f64 / all.max(1) as f64,
                p50: quantile(latencies.clone(), 0.5),
                p99: quantile(latencies, 0.99),
            })
            .collect()
    }
}

/// The smallest value that at least a fraction `q` of all does not exceed.
fn quantile(mut values: Vec<Duration>, q: f64) -> Option<Duration> {
    values.sort_unstable();
    let rank = (values.len() as f64 * q).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(
            quantile(values.clone(), 0.5),
            Some(Duration::from_millis(50))
        );
        assert_eq!(
            quantile(values.clone(), 0.99),
            Some(Duration::from_millis(99))
        );
        assert_eq!(quantile(values, 1.0), Some(Duration::from_millis(100)));
        assert_eq!(quantile(Vec::new(), 0.5), None);
    }
}
