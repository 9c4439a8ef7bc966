//! States that are kept in a state server and passed by location.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use edge_proto::OK;
use edge_proto::rpc::State;
use edge_proto::rpc::state_server_client::StateServerClient;
use edge_transport::states::{StateError, StateService, StateStore};
use edge_transport::{BindError, Cores, Endpoint, Limits, Listener, Server, ServerHandle, control};
use tonic::service::Routes;

/// Contents that the server of a client keeps, in bytes.
const MAX_TOTAL_BYTES: usize = 256 << 20;

/// Why states cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StatesError {
    /// The end-point is taken or not of this machine.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The thread of the server could not be started.
    #[error("cannot start the thread of the state server")]
    Thread(#[from] std::io::Error),
    /// Nobody could fetch states from there.
    #[error("{0} means all interfaces: give the address at which computers can reach this machine")]
    Unspecified(Endpoint),
    /// Our own server does not take a state.
    #[error(transparent)]
    Store(#[from] StateError),
    /// The server does not answer.
    #[error("state '{state}': no answer from {server}: {reason}")]
    Silent {
        /// Name of the state.
        state: String,
        /// The state server.
        server: Endpoint,
        /// How the call failed.
        reason: String,
    },
    /// The server does not take a state.
    #[error("state '{state}': {server} says: {retcode}")]
    Refused {
        /// Name of the state.
        state: String,
        /// The state server.
        server: Endpoint,
        /// Its answer.
        retcode: String,
    },
}

/// The state server of a client. Computers that need its states take them away
/// to their own.
#[derive(Debug)]
pub struct RemoteStates {
    endpoint: Endpoint,
    own: Option<Own>,
}

/// A server in this process.
#[derive(Debug)]
struct Own {
    store: Arc<StateStore>,
    server: ServerHandle,
    cores: Arc<Cores>,
}

impl RemoteStates {
    /// Starts a state server at `endpoint`; with port 0, at a free port of that
    /// address. States and all of them together may have 64 MiB and 256 MiB.
    ///
    /// # Errors
    /// If the end-point cannot be bound, or is one that nobody can call.
    pub fn serve(endpoint: &Endpoint) -> Result<Self, StatesError> {
        if endpoint.is_unspecified() {
            return Err(StatesError::Unspecified(endpoint.clone()));
        }
        let max_bytes = Limits::default().max_message_bytes;
        let listener = Listener::bind(endpoint)?;
        let endpoint = Endpoint::new(endpoint.host(), listener.local_addr().port());
        let cores = Arc::new(Cores::start("states", NonZeroUsize::MIN)?);
        let store = Arc::new(StateStore::new(max_bytes, MAX_TOTAL_BYTES));
        let service = StateService::server(store.clone(), max_bytes);
        let server = Server::new(Routes::new(service)).serve(listener, &cores);
        let own = Own {
            store,
            server,
            cores,
        };
        Ok(Self {
            endpoint,
            own: Some(own),
        })
    }

    /// Uses the state server that somebody else runs at `endpoint`.
    pub fn elsewhere(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            own: None,
        }
    }

    /// What requests name as the location of states that have not moved.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Puts all `states` there, in place of what was there before. Waits for
    /// the answer to each at most for `timeout`. To be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// If the server does not answer or does not take one of them.
    pub async fn put(
        &self,
        states: impl IntoIterator<Item = State>,
        timeout: Duration,
    ) -> Result<(), StatesError> {
        if let Some(own) = &self.own {
            for state in states {
                own.store.put(state.name, state.content)?;
            }
            return Ok(());
        }
        let mut client = StateServerClient::new(control::channel(&self.endpoint, None, timeout));
        for state in states {
            let (name, server) = (state.name.clone(), self.endpoint.clone());
            match client.put(state).await {
                Err(status) => {
                    return Err(StatesError::Silent {
                        state: name,
                        server,
                        reason: status.message().to_owned(),
                    });
                }
                Ok(answer) if answer.get_ref().retcode != OK => {
                    return Err(StatesError::Refused {
                        state: name,
                        server,
                        retcode: answer.into_inner().retcode,
                    });
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Stops the server if it is ours.
    pub async fn stop(&self) {
        const PATIENCE: Duration = Duration::from_millis(200);
        if let Some(own) = &self.own {
            own.server.drain(PATIENCE).await;
            own.cores.join().await;
        }
    }
}
