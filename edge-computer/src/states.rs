//! Remote states move to the computer whose function has needed them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use edge_proto::OK;
use edge_proto::rpc::state_server_client::StateServerClient;
use edge_proto::rpc::{State, StateResponse};
use edge_transport::states::{StateError, StateStore};
use edge_transport::{Endpoint, EndpointError};
use tonic::transport::Channel;

use crate::server::Channels;

/// Why a state could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// This computer has nowhere to put it.
    #[error(
        "the function depends on state '{state}' at {location}, but this computer has no state server"
    )]
    Homeless {
        /// Name of the state.
        state: String,
        /// Where it is.
        location: String,
    },
    /// Where it is said to be is no end-point.
    #[error("state '{state}' has no valid location: {problem}")]
    Location {
        /// Name of the state.
        state: String,
        /// What is wrong.
        problem: EndpointError,
    },
    /// A state server does not answer.
    #[error("state '{state}': no answer from {server}: {}", edge_transport::control::explain(.status))]
    Silent {
        /// Name of the state.
        state: String,
        /// The state server.
        server: Endpoint,
        /// How the call failed.
        status: Box<tonic::Status>,
    },
    /// A state server does not have it or does not take it.
    #[error("state '{state}': {server} says: {retcode}")]
    Refused {
        /// Name of the state.
        state: String,
        /// The state server.
        server: Endpoint,
        /// Its answer.
        retcode: String,
    },
    /// Our own state server does not take it.
    #[error(transparent)]
    Store(#[from] StateError),
}

/// Where states that are needed here move to.
#[derive(Debug)]
pub struct StateHome {
    /// The end-point under which others find what is put here.
    endpoint: Endpoint,
    /// The store itself if it is in this process.
    store: Option<Arc<StateStore>>,
}

impl StateHome {
    /// The state server at `endpoint`; `store` if it is our own.
    pub fn new(endpoint: Endpoint, store: Option<Arc<StateStore>>) -> Self {
        Self { endpoint, store }
    }

    async fn put(
        &self,
        channels: &Channels,
        state: &str,
        content: Bytes,
    ) -> Result<(), MigrationError> {
        let Some(store) = &self.store else {
            let put = State {
                name: state.to_owned(),
                content,
                ..State::default()
            };
            let answer = client(channels, &self.endpoint).put(put).await;
            return accept(state, &self.endpoint, answer).map(drop);
        };
        Ok(store.put(state.to_owned(), content)?)
    }
}

/// Moves those of `states` that are `needed` and elsewhere to `home`, and says so in their
/// locations. Embedded states and those that are not needed stay as they are.
///
/// # Errors
/// If a state that is needed cannot be read or kept. Those that had moved before stay moved.
pub(crate) async fn bring_home(
    home: Option<&StateHome>,
    channels: &Channels,
    needed: &BTreeSet<&str>,
    states: &mut BTreeMap<String, State>,
) -> Result<(), MigrationError> {
    for (name, state) in states {
        if state.location.is_empty() || !needed.contains(name.as_str()) {
            continue;
        }
        let Some(home) = home else {
            return Err(MigrationError::Homeless {
                state: name.clone(),
                location: state.location.clone(),
            });
        };
        if state.location == home.endpoint.as_str() {
            continue;
        }
        let from: Endpoint = state.location.parse().map_err(|problem| {
            let state = name.clone();
            MigrationError::Location { state, problem }
        })?;
        let named = || State {
            name: name.clone(),
            ..State::default()
        };
        let mut old = client(channels, &from);
        let got = accept(name, &from, old.get(named()).await)?;
        let content = got.state.unwrap_or_default().content;
        home.put(channels, name, content).await?;
        if let Err(error) = accept(name, &from, old.del(named()).await) {
            tracing::warn!(%error, "a state that has moved stays behind too");
        }
        state.location = home.endpoint.to_string();
    }
    Ok(())
}

fn client(channels: &Channels, endpoint: &Endpoint) -> StateServerClient<Channel> {
    // The bound is that of whoever keeps the content.
    StateServerClient::new(channels.to(endpoint)).max_decoding_message_size(usize::MAX)
}

fn accept(
    state: &str,
    server: &Endpoint,
    answer: Result<tonic::Response<StateResponse>, tonic::Status>,
) -> Result<StateResponse, MigrationError> {
    let (state, server) = (state.to_owned(), server.clone());
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) if answer.retcode == OK => Ok(answer),
        Ok(answer) => Err(MigrationError::Refused {
            state,
            server,
            retcode: answer.retcode,
        }),
        Err(status) => Err(MigrationError::Silent {
            state,
            server,
            status: Box::new(status),
        }),
    }
}
