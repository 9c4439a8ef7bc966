//! Remote states move to the computer whose function has needed them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use edge_proto::OK;
use edge_proto::rpc::state_server_client::StateServerClient;
use edge_proto::rpc::{State, StateResponse};
use edge_transport::control::Channel;
use edge_transport::states::{MESSAGE_FRAME_BYTES, StateError, StateStore};
use edge_transport::{Endpoint, EndpointError, Seldom};
use tonic::Code;

use crate::server::{Channels, beginning};

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
    /// It is longer than what is moved here.
    #[error(
        "state '{state}' at {server} is longer than the {limit} bytes that this computer takes \
         (state.max-state-bytes)"
    )]
    TooLarge {
        /// Name of the state.
        state: String,
        /// The state server.
        server: Endpoint,
        /// Bytes that a content may have.
        limit: usize,
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
    /// Longest content that is fetched, in bytes.
    max_state_bytes: usize,
    /// When it was logged that states stay behind.
    behind: Seldom,
}

impl StateHome {
    /// The state server at `endpoint`; `store` if it is our own. Contents of more than
    /// `max_state_bytes` are not moved there.
    pub fn new(endpoint: Endpoint, store: Option<Arc<StateStore>>, max_state_bytes: usize) -> Self {
        Self {
            endpoint,
            store,
            max_state_bytes,
            behind: Seldom::default(),
        }
    }

    /// The content of the state `name` at `from`, which the request names: anybody's server, whose
    /// answers are therefore bounded.
    async fn fetch(
        &self,
        channels: &Channels,
        name: &str,
        from: &Endpoint,
    ) -> Result<Bytes, MigrationError> {
        let limit = self.max_state_bytes;
        let too_large = || MigrationError::TooLarge {
            state: name.to_owned(),
            server: from.clone(),
            limit,
        };
        let longest = limit.saturating_add(MESSAGE_FRAME_BYTES);
        let mut server = client(channels, from).max_decoding_message_size(longest);
        let answer = server.get(named(name)).await;
        if let Err(status) = &answer
            && status.code() == Code::OutOfRange
        {
            return Err(too_large());
        }
        let content = accept(name, from, answer)?
            .state
            .unwrap_or_default()
            .content;
        if content.len() > limit {
            return Err(too_large());
        }
        Ok(content)
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
        let content = home.fetch(channels, name, &from).await?;
        home.put(channels, name, content).await?;
        let forgotten = client(channels, &from).del(named(name)).await;
        // Anybody can cause it, and the server that a request names chooses what it says.
        if let Err(error) = accept(name, &from, forgotten)
            && let Some(unlogged) = home.behind.due(Instant::now())
        {
            let reason = error.to_string();
            tracing::warn!(
                reason = beginning(&reason),
                unlogged,
                "a state that has moved stays behind too"
            );
        }
        state.location = home.endpoint.to_string();
    }
    Ok(())
}

fn client(channels: &Channels, endpoint: &Endpoint) -> StateServerClient<Channel> {
    StateServerClient::new(channels.to(endpoint))
}

fn named(name: &str) -> State {
    State {
        name: name.to_owned(),
        ..State::default()
    }
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
