//! Receives the results of asynchronous requests and hands each to whoever waits for it.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edge_proto::rpc::callback_server_server::{CallbackServer, CallbackServerServer};
use edge_proto::rpc::{LambdaResponse, Void};
use edge_transport::{BindError, Cores, Endpoint, Listener, Server, ServerHandle};
use tokio::sync::oneshot;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Why results cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The end-point is taken or not of this machine.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The thread of the server could not be started.
    #[error("cannot start the thread of the callback server")]
    Thread(#[from] std::io::Error),
    /// Nobody could call back there.
    #[error("{0} means all interfaces: give the address at which computers can reach this machine")]
    Unspecified(Endpoint),
}

/// A callback server and the requests that wait for it.
///
/// A result that names its request (our computers fill in the `uuid`) finds it
/// at once. One that does not, from a computer of the C++ reference, is taken
/// for the result of the only request that waits; it is dropped when there is
/// none or more than one.
#[derive(Debug)]
pub struct CallbackReceiver {
    waiting: Arc<Waiting>,
    endpoint: Endpoint,
    server: ServerHandle,
    cores: Arc<Cores>,
}

/// Whoever waits, by the uuid of the request.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<String, oneshot::Sender<LambdaResponse>>>);

/// A request that waits for its result; dropping it gives up.
#[derive(Debug)]
pub(crate) struct Expected {
    uuid: String,
    waiting: Arc<Waiting>,
    result: oneshot::Receiver<LambdaResponse>,
}

impl CallbackReceiver {
    /// Listens at `endpoint`; with port 0, at a free port of that address.
    ///
    /// # Errors
    /// If the end-point cannot be bound, or is one that nobody can call.
    pub fn start(endpoint: &Endpoint) -> Result<Self, CallbackError> {
        if endpoint.is_unspecified() {
            return Err(CallbackError::Unspecified(endpoint.clone()));
        }
        let listener = Listener::bind(endpoint)?;
        let endpoint = Endpoint::new(endpoint.host(), listener.local_addr().port());
        let cores = Arc::new(Cores::start("callback", NonZeroUsize::MIN)?);
        let waiting = Arc::new(Waiting::default());
        let service = CallbackServerServer::new(Service(waiting.clone()));
        let server = Server::new(Routes::new(service)).serve(listener, &cores);
        Ok(Self {
            waiting,
            endpoint,
            server,
            cores,
        })
    }

    /// What requests name as their `callback`.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Stops receiving.
    pub async fn stop(&self) {
        const PATIENCE: Duration = Duration::from_millis(200);
        self.server.drain(PATIENCE).await;
        self.cores.join().await;
    }

    /// Registers the request `uuid`; to be called before it is sent, because
    /// its result may overtake the acknowledgement.
    pub(crate) fn expect(&self, uuid: &str) -> Expected {
        let (sender, result) = oneshot::channel();
        self.waiting.lock().insert(uuid.to_owned(), sender);
        Expected {
            uuid: uuid.to_owned(),
            waiting: self.waiting.clone(),
            result,
        }
    }
}

impl Waiting {
    fn deliver(&self, response: LambdaResponse) -> Result<(), &'static str> {
        let mut waiting = self.lock();
        let sender = if !response.uuid.is_empty() {
            waiting
                .remove(&response.uuid)
                .ok_or("its request does not wait any more")?
        } else if waiting.len() == 1 {
            let only = waiting.drain().next();
            only.map(|(_, sender)| sender).ok_or("nobody waits")?
        } else {
            return Err("it names no request, and not exactly one waits");
        };
        sender
            .send(response)
            .map_err(|_| "its request does not wait any more")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<LambdaResponse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected {
    /// Waits for the result; `None` if the receiver has stopped.
    pub(crate) async fn result(&mut self) -> Option<LambdaResponse> {
        (&mut self.result).await.ok()
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.uuid);
    }
}

/// The gRPC side.
#[derive(Debug)]
struct Service(Arc<Waiting>);

#[tonic::async_trait]
impl CallbackServer for Service {
    async fn receive_response(
        &self,
        request: Request<LambdaResponse>,
    ) -> Result<Response<Void>, Status> {
        if let Err(reason) = self.0.deliver(request.into_inner()) {
            tracing::warn!("a result was dropped: {reason}");
        }
        Ok(Response::new(Void {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(uuid: &str, output: &str) -> LambdaResponse {
        LambdaResponse {
            uuid: uuid.to_owned(),
            output: output.to_owned(),
            ..LambdaResponse::default()
        }
    }

    fn receiver() -> CallbackReceiver {
        CallbackReceiver::start(&Endpoint::new("127.0.0.1", 0)).unwrap()
    }

    #[tokio::test]
    async fn results_that_name_their_request_find_it_in_any_order() {
        let receiver = receiver();
        let (mut first, mut second) = (receiver.expect("1"), receiver.expect("2"));
        receiver.waiting.deliver(result("2", "two")).unwrap();
        receiver.waiting.deliver(result("1", "one")).unwrap();
        assert_eq!(first.result().await.unwrap().output, "one");
        assert_eq!(second.result().await.unwrap().output, "two");
        receiver.stop().await;
    }

    #[tokio::test]
    async fn an_anonymous_result_is_for_the_only_request_that_waits() {
        let receiver = receiver();
        let mut only = receiver.expect("1");
        receiver.waiting.deliver(result("", "one")).unwrap();
        assert_eq!(only.result().await.unwrap().output, "one");
        drop(only);
        assert!(receiver.waiting.deliver(result("", "late")).is_err());
        let _two = (receiver.expect("2"), receiver.expect("3"));
        assert!(receiver.waiting.deliver(result("", "whose?")).is_err());
        receiver.stop().await;
    }

    #[tokio::test]
    async fn a_request_that_gave_up_is_forgotten() {
        let receiver = receiver();
        drop(receiver.expect("1"));
        assert!(receiver.waiting.lock().is_empty());
        assert!(receiver.waiting.deliver(result("1", "late")).is_err());
        receiver.stop().await;
    }

    #[test]
    fn nobody_can_call_back_to_all_interfaces() {
        let error = CallbackReceiver::start(&Endpoint::new("0.0.0.0", 0)).unwrap_err();
        assert!(error.to_string().contains("all interfaces"), "{error}");
    }
}
