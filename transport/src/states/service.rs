//! The state server: gRPC in front of the store.

use std::sync::Arc;

use edge_proto::OK;
use edge_proto::rpc::state_server_server::{StateServer, StateServerServer};
use edge_proto::rpc::{State, StateResponse};
use tonic::{Request, Response, Status};

use super::store::{StateError, StateStore};

/// Room for what surrounds the content of a state in a message.
pub const MESSAGE_FRAME_BYTES: usize = 64 << 10;

/// Answers `Get`, `Put` and `Del`. As in the C++ reference, errors are texts in the answer.
#[derive(Debug, Clone)]
pub struct StateService {
    store: Arc<StateStore>,
}

impl StateService {
    /// The service of `store`, which takes messages of states up to `max_state_bytes`.
    pub fn server(store: Arc<StateStore>, max_state_bytes: usize) -> StateServerServer<Self> {
        StateServerServer::new(Self { store })
            .max_decoding_message_size(max_state_bytes.saturating_add(MESSAGE_FRAME_BYTES))
    }
}

#[tonic::async_trait]
impl StateServer for StateService {
    async fn get(&self, request: Request<State>) -> Result<Response<StateResponse>, Status> {
        let name = request.into_inner().name;
        Ok(respond(self.store.get(&name).map(|content| {
            Some(State {
                content,
                ..State::default()
            })
        })))
    }

    async fn put(&self, request: Request<State>) -> Result<Response<StateResponse>, Status> {
        let State { name, content, .. } = request.into_inner();
        Ok(respond(self.store.put(name, content).map(|()| None)))
    }

    async fn del(&self, request: Request<State>) -> Result<Response<StateResponse>, Status> {
        let name = request.into_inner().name;
        Ok(respond(self.store.del(&name).map(|()| None)))
    }
}

fn respond(result: Result<Option<State>, StateError>) -> Response<StateResponse> {
    Response::new(match result {
        Ok(state) => StateResponse {
            retcode: OK.to_owned(),
            state,
        },
        Err(error) => StateResponse {
            retcode: error.to_string(),
            state: None,
        },
    })
}
