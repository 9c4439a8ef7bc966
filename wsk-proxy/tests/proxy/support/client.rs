//! A client of HTTP/1.1 that shows everything it gets.

use std::net::SocketAddr;

use base64::Engine as _;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::PATIENCE;

/// A client of one proxy.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    authorization: Option<String>,
}

/// A request that is being put together.
#[derive(Clone)]
pub(crate) struct Request {
    client: Client,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// All of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A connection.
pub(crate) struct Session(SendRequest<Full<Bytes>>);

impl Client {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self {
            address,
            authorization: None,
        }
    }

    pub(crate) fn with_key(&self, key: &str) -> Self {
        let token = base64::engine::general_purpose::STANDARD.encode(key);
        Self {
            authorization: Some(format!("Basic {token}")),
            ..self.clone()
        }
    }

    /// A request for a path below `/api/v1/namespaces/`.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        self.root(method, &format!("/api/v1/namespaces/{path}"))
    }

    /// A request for a path of its own.
    pub(crate) fn root(&self, method: Method, path: &str) -> Request {
        Request {
            client: self.clone(),
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.request(Method::POST, path).body(body).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.request(Method::PUT, path).body(body).send().await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path).send().await
    }

    /// The result of a blocking call that has to succeed.
    pub(crate) async fn call(&self, action: &str, input: impl Into<Bytes>) -> Value {
        let path = format!("_/actions/{action}?blocking=true&result=true");
        let answer = self.post(&path, input).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn connect(&self) -> Session {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (requests, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        // It ends when the test drops the session, or the proxy goes.
        tokio::spawn(async move { drop(connection.await) });
        Session(requests)
    }
}

impl Request {
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let mut session = self.client.connect().await;
        session.send(self).await.unwrap()
    }
}

impl Session {
    pub(crate) async fn send(&mut self, request: Request) -> hyper::Result<Answer> {
        let mut message = http::Request::builder()
            .method(request.method)
            .uri(request.path)
            .header("host", "proxy");
        if let Some(authorization) = request.client.authorization {
            message = message.header("authorization", authorization);
        }
        for (name, value) in request.headers {
            message = message.header(name, value);
        }
        let message = message.body(Full::new(request.body)).unwrap();
        let exchange = async {
            let response = self.0.send_request(message).await?;
            let (head, body) = response.into_parts();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let type_of = self.headers.get("content-type").unwrap();
        assert_eq!(type_of, "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The activation that it is about, as its header says.
    pub(crate) fn activation(&self) -> String {
        let id = self.headers.get("x-openwhisk-activation-id");
        id.unwrap().to_str().unwrap().to_owned()
    }

    /// Whether it is an error as OpenWhisk's clients understand it.
    pub(crate) fn assert_error(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        let json = self.json();
        let text = |key: &str| json[key].as_str().unwrap_or_default().len();
        assert!(text("error") > 0 && text("code") > 0, "{json}");
        assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
        assert_eq!(
            json["code"],
            self.headers.get("x-request-id").unwrap().to_str().unwrap()
        );
    }
}
