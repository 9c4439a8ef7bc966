//! Channels to callback and state servers, kept while they may be needed again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};

/// Channels kept at the most; requests name the end-points, so there could be any number.
const KEPT: usize = 256;

/// One channel per end-point, for all cores.
#[derive(Debug)]
pub(crate) struct Channels {
    tls: Option<Arc<rustls::ClientConfig>>,
    timeout: Duration,
    kept: Mutex<HashMap<Endpoint, Channel>>,
}

impl Channels {
    /// No channel yet; calls on them take at most `timeout`.
    pub(crate) fn new(tls: Option<Arc<rustls::ClientConfig>>, timeout: Duration) -> Self {
        Self {
            tls,
            timeout,
            kept: Mutex::default(),
        }
    }

    /// The channel to `endpoint`, connected when it is first used.
    pub(crate) fn to(&self, endpoint: &Endpoint) -> Channel {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = kept.get(endpoint) {
            return channel.clone();
        }
        if kept.len() >= KEPT {
            // Calls under way have clones of theirs.
            kept.clear();
        }
        let channel = control::channel(endpoint, self.tls.clone(), self.timeout);
        kept.insert(endpoint.clone(), channel.clone());
        channel
    }
}
