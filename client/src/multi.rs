//! Uncoordinated access: each request goes to a primary end-point and, by chance, to others.
//!
//! The scheme is that of "Uncoordinated access to serverless computing in MEC
//! systems for IoT" (Cicconetti, Conti, Passarella; Computer Networks 172,
//! 2020): a client that knows several end-points sends every request to its
//! primary and, independently with the persistence probability, a copy to each
//! other one. Whoever answers first is the primary from then on, so that the
//! client follows the fastest end-point and keeps probing the rest.

mod attempt;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use edge_proto::rpc::{self, LambdaRequest, LambdaResponse};
use edge_transport::{CallError, Endpoint, LambdaCall, LambdaClient, Metadata};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use prost::Message as _;
use rand::RngExt as _;
use rand_pcg::Pcg64;

use self::attempt::{Attempt, Peer};
use crate::random::{Variable, generator};
use crate::{Answer, RequestError};

/// How the `retcode` begins when no end-point answered, as in the C++ reference;
/// behind it stands why.
pub const NONE_RESPONDED: &str = "none of the destinations responded correctly";

/// Why there can be no such client.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MultiClientError {
    /// No end-point was given.
    #[error("no end-points: give at least one")]
    NoEndpoints,
    /// The persistence is no probability.
    #[error("the persistence probability is {0}, and must be from 0 to 1")]
    Persistence(f64),
}

/// A client of several end-points, of which the first to answer wins.
///
/// Calls may be concurrent. The copies of a request that lost are cancelled,
/// except one at each end-point that has not answered yet: it may finish in the
/// background, so that a connection that takes longer to open than the primary
/// takes to answer comes into being all the same.
#[derive(Debug)]
pub struct MultiClient {
    transport: Arc<LambdaClient>,
    peers: Vec<Arc<Peer>>,
    persistence: f64,
    choice: Mutex<Choice>,
}

/// What calls decide upon.
#[derive(Debug)]
struct Choice {
    primary: usize,
    random: Pcg64,
}

impl MultiClient {
    /// A client of `endpoints`, the first of which in alphabetical order is the
    /// primary at the beginning. `persistence` is the probability of a copy to
    /// each of the others; `seed` fixes the choices.
    ///
    /// # Errors
    /// If there is no end-point, or `persistence` is not within 0 and 1.
    pub fn new(
        transport: Arc<LambdaClient>,
        endpoints: impl IntoIterator<Item = Endpoint>,
        persistence: f64,
        seed: u64,
    ) -> Result<Self, MultiClientError> {
        let endpoints: BTreeSet<_> = endpoints.into_iter().collect();
        if endpoints.is_empty() {
            return Err(MultiClientError::NoEndpoints);
        }
        if !(0.0..=1.0).contains(&persistence) {
            return Err(MultiClientError::Persistence(persistence));
        }
        Ok(Self {
            transport,
            peers: endpoints.into_iter().map(Peer::new).map(Arc::new).collect(),
            persistence,
            choice: Mutex::new(Choice {
                primary: 0,
                random: generator(seed, 0, Variable::Persistence),
            }),
        })
    }

    /// The end-point that gets every request, until another one is faster.
    pub fn primary(&self) -> &Endpoint {
        &self.peers[self.lock().primary].endpoint
    }

    /// Sends `request` to the primary and by chance to others, and returns the
    /// first answer that is OK, at most after `timeout`. Its responder is the
    /// end-point that it came from, unless the answer names one. To be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// If no end-point answered OK: the last answer with another `retcode`, or,
    /// without any answer, a retcode that begins with [`NONE_RESPONDED`]. A primary that gave
    /// no answer hands its role to the next end-point.
    pub async fn call(
        &self,
        request: &LambdaRequest,
        timeout: Duration,
    ) -> Result<Answer, RequestError> {
        let begin = Instant::now();
        let call = LambdaCall {
            message: request.encode_to_vec().into(),
            metadata: Metadata::new(),
            deadline: begin + timeout,
        };
        let (primary, targets) = self.draw();
        let raced = match targets.as_slice() {
            [] => {
                let peer = &self.peers[primary];
                let outcome = peer.attempt(&self.transport, &call).await;
                outcome.map(|response| (primary, response))
            }
            _ => self.race(primary, &targets, call).await,
        };
        match raced {
            Ok((winner, mut response)) => {
                self.lock().primary = winner;
                if response.responder.is_empty() {
                    response.responder = self.peers[winner].endpoint.to_string();
                }
                Ok(Answer {
                    response,
                    latency: begin.elapsed(),
                })
            }
            Err(error) => {
                if !self.peers[primary].answers() {
                    self.depose(primary);
                }
                Err(none_responded(error))
            }
        }
    }

    /// The primary, and who else gets a copy.
    fn draw(&self) -> (usize, Vec<usize>) {
        let mut choice = self.lock();
        let primary = choice.primary;
        let others = (0..self.peers.len()).filter(|&peer| peer != primary);
        let copies = others
            .filter(|_| choice.random.random_bool(self.persistence))
            .collect();
        (primary, copies)
    }

    async fn race(
        &self,
        primary: usize,
        copies: &[usize],
        call: LambdaCall,
    ) -> Result<(usize, LambdaResponse), RequestError> {
        let mut attempts: FuturesUnordered<_> = std::iter::once(primary)
            .chain(copies.iter().copied())
            .map(|index| {
                let peer = self.peers[index].clone();
                Attempt::spawn(index, peer, self.transport.clone(), call.clone())
            })
            .collect();
        let mut failure = None;
        while let Some((index, outcome)) = attempts.next().await {
            match outcome {
                Ok(response) => {
                    for attempt in attempts {
                        attempt.lose();
                    }
                    return Ok((index, response));
                }
                Err(error @ RequestError::Retcode { .. }) => failure = Some(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.expect("the primary's attempt has failed"))
    }

    /// Makes the end-point after `failed` the primary, unless it is not the
    /// primary any more.
    fn depose(&self, failed: usize) {
        let mut choice = self.lock();
        if choice.primary == failed {
            choice.primary = (failed + 1) % self.peers.len();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Choice> {
        self.choice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without any answer the failure is put into a response, as clients of the
/// reference expect it.
fn none_responded(error: RequestError) -> RequestError {
    let outcome = match error {
        RequestError::Retcode { .. } => return error,
        RequestError::Call(CallError::Deadline) => rpc::Outcome::Deadline,
        _ => rpc::Outcome::Unavailable,
    };
    let retcode = format!("{NONE_RESPONDED}: {error}");
    RequestError::Retcode {
        outcome,
        response: Box::new(LambdaResponse::error(outcome, retcode)),
    }
}

#[cfg(test)]
mod tests {
    use edge_transport::Core;

    use super::*;

    fn client(persistence: f64, seed: u64) -> MultiClient {
        let transport = Arc::new(LambdaClient::new(Core::current(), Arc::default()));
        let endpoints = [3, 1, 2].map(|port| Endpoint::new("localhost", port));
        MultiClient::new(transport, endpoints, persistence, seed).unwrap()
    }

    fn draws(persistence: f64, seed: u64) -> Vec<usize> {
        let client = client(persistence, seed);
        (0..1000).flat_map(|_| client.draw().1).collect()
    }

    #[tokio::test]
    async fn the_first_end_point_in_order_is_the_primary_at_first() {
        assert_eq!(client(0.5, 0).primary(), &Endpoint::new("localhost", 1));
    }

    #[tokio::test]
    async fn persistence_is_the_probability_of_a_copy_to_each_other_end_point() {
        assert!(draws(0.0, 1).is_empty());
        assert_eq!(draws(1.0, 1).len(), 2000);
        let half = draws(0.5, 1);
        assert!((900..1100).contains(&half.len()), "{} of 2000", half.len());
        assert!(half.contains(&1) && half.contains(&2) && !half.contains(&0));
    }

    #[tokio::test]
    async fn the_seed_fixes_the_choices() {
        assert_eq!(draws(0.5, 1), draws(0.5, 1));
        assert_ne!(draws(0.5, 1), draws(0.5, 2));
    }

    #[tokio::test]
    async fn only_a_failed_primary_is_deposed() {
        let client = client(0.5, 0);
        client.depose(2);
        assert_eq!(client.lock().primary, 0);
        client.depose(0);
        assert_eq!(client.lock().primary, 1);
    }
}
