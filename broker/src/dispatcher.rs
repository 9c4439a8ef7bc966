//! A dispatcher: a broker with one table, which predicts instead of averaging.

use crate::config::DispatcherConfig;
use crate::router::{Router, RouterHandle, StartError};

/// A dispatcher. Once it runs it is handled as a [`Router`](crate::Router) is,
/// with which it shares the way of a request: deadlines, retries, health.
///
/// Its one table serves all requests, whoever sent them, so `forward` means
/// nothing to it; and it knows no weights: whatever weight is set, the table
/// shows 1.
#[derive(Debug)]
pub struct Dispatcher;

impl Dispatcher {
    /// Starts a dispatcher: all ports are bound before anything is announced.
    ///
    /// # Errors
    /// If the configuration is not acceptable, or something that it needs
    /// cannot be had.
    pub async fn start(config: DispatcherConfig) -> Result<RouterHandle, StartError> {
        let (common, estimator) = config.split();
        Router::start_as(common, Some(&estimator)).await
    }
}
