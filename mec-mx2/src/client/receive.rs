//! Where a device receives notifications.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use edge_transport::{Cores, Endpoint};
use http::StatusCode;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::ClientError;
use super::book::{Contexts, Heard};
use crate::api::serve::Serving;
use crate::model::Notification;
use crate::root::ApiRoot;

/// Largest notification read, in bytes.
const MAX_BODY: usize = 1 << 20;
const MAX_CONNECTIONS: usize = 256;

/// A running receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    root: ApiRoot,
    serving: Serving,
    cores: Arc<Cores>,
}

impl Receiver {
    /// Receives below `root`; port 0 picks a free one.
    pub(super) fn start(root: &ApiRoot, contexts: Arc<Contexts>) -> Result<Self, ClientError> {
        let failed = |reason: String| ClientError::Receiver {
            root: root.to_string(),
            reason,
        };
        if root.is_secure() {
            return Err(failed("it has to begin with http://".to_owned()));
        }
        if root.endpoint().is_unspecified() {
            return Err(failed(
                "give the address at which the server can reach this machine".to_owned(),
            ));
        }
        let socket = listen(root.endpoint()).map_err(|error| failed(error.to_string()))?;
        let port = socket
            .local_addr()
            .map_err(|error| failed(error.to_string()))?
            .port();
        let cores = Cores::start("mx2-device", NonZeroUsize::MIN);
        let cores = Arc::new(cores.map_err(|error| failed(error.to_string()))?);
        let router = Router::new()
            .route(&format!("{}/{{*id}}", root.path()), post(hear))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(contexts);
        Ok(Self {
            root: root.with_port(port),
            serving: Serving::start(socket, router, None, MAX_CONNECTIONS, &cores),
            cores,
        })
    }

    pub(super) fn root(&self) -> &ApiRoot {
        &self.root
    }

    pub(super) async fn stop(&self) {
        self.serving.drain(Duration::from_secs(1)).await;
        self.cores.join().await;
    }
}

fn listen(endpoint: &Endpoint) -> std::io::Result<std::net::TcpListener> {
    let addresses = endpoint.to_socket_addrs()?;
    let socket = std::net::TcpListener::bind(addresses.as_slice())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

async fn hear(
    State(contexts): State<Arc<Contexts>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    // The last segment says whose it is: some servers put a path of their own before it.
    let id = id.rsplit('/').next().unwrap_or_default();
    let status = match Notification::parse(&body) {
        Err(error) => {
            tracing::warn!(%error, "a notification is not understood");
            StatusCode::BAD_REQUEST
        }
        Ok(notification) => match contexts.hear(id, notification) {
            Heard::Taken => StatusCode::NO_CONTENT,
            Heard::Unknown => StatusCode::GONE,
        },
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
