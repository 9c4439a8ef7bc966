//! Answers that are there before all of the request is: their clients get to see them.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Request;
use hyper::body::{Body, Bytes, Frame};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{PATIENCE, Stack};

/// More than sockets hold, and less than is read of what nobody wants.
const LARGE: usize = 15 << 20;
const INVOKE: &str = "_/actions/echo?blocking=true";
const OWNER: &str = "bzpr"; // o:k
const STRANGER: &str = "eDp5"; // x:y

/// A client that does nothing else while it sends, and looks for the answer only then.
struct Sender(TcpStream);

impl Sender {
    async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn head(&mut self, path: &str, key: &str, more: &str) {
        let head = format!(
            "POST /api/v1/namespaces/{path} HTTP/1.1\r\nhost: proxy\r\n\
             authorization: Basic {key}\r\n{more}\r\n"
        );
        self.0.write_all(head.as_bytes()).await.unwrap();
    }

    async fn body(&mut self, mut length: usize) -> std::io::Result<()> {
        let piece = vec![b'x'; 1 << 16];
        while length > 0 {
            let part = length.min(piece.len());
            self.0.write_all(&piece[..part]).await?;
            length -= part;
        }
        Ok(())
    }

    /// The status line, as soon as all of the answer's head is there, and nothing of its body.
    async fn status(&mut self) -> String {
        let mut head = Vec::new();
        let reading = async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await?);
            }
            let text = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1).unwrap();
            let length = length.lines().next().unwrap().parse().unwrap();
            self.0.read_exact(&mut vec![0; length]).await?;
            Ok::<_, std::io::Error>(text.lines().next().unwrap().to_owned())
        };
        let read = tokio::time::timeout(PATIENCE, reading).await.unwrap();
        read.unwrap()
    }

    /// Whether the other side has ended the connection, by one means or another.
    async fn is_at_the_end(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut [0; 1])).await;
        match read.unwrap() {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

async fn guarded() -> Stack {
    Stack::with(|config| {
        config.auth.open = false;
        config.auth.key = "o:k".to_owned().into();
        config.limits.invocations_per_minute = 1;
    })
    .await
}

#[tokio::test]
async fn whoever_sends_all_before_it_looks_for_the_answer_sees_it() {
    let stack = guarded().await;
    let length = format!("content-length: {LARGE}\r\n");
    let first = stack.client.with_key("o:k").post(INVOKE, "{}").await;
    assert_eq!(first.status, 200);
    for (path, key, status) in [
        (INVOKE, OWNER, "429 too many requests"),
        (INVOKE, STRANGER, "401 unauthorized"),
        ("bob/actions/echo", OWNER, "403 forbidden"),
        ("_/actions/-bad", OWNER, "400 bad request"),
        ("_/nothing", OWNER, "404 not found"),
        ("_/actions", OWNER, "405 method not allowed"),
    ] {
        let mut sender = Sender::to(stack.proxy.address()).await;
        // The connection goes on, too.
        for _ in 0..2 {
            sender.head(path, key, &length).await;
            sender.body(LARGE).await.unwrap();
            assert_eq!(sender.status().await, format!("http/1.1 {status}"));
        }
    }
}

#[tokio::test]
async fn so_does_whoever_sends_too_much_or_when_there_is_no_room() {
    let stack = Stack::start().await;
    for more in [
        format!("content-length: {LARGE}\r\n"),
        "transfer-encoding: chunked\r\n".to_owned(),
    ] {
        let mut sender = Sender::to(stack.proxy.address()).await;
        sender.head(INVOKE, STRANGER, &more).await;
        if more.starts_with("transfer") {
            let size = format!("{LARGE:x}\r\n");
            sender.0.write_all(size.as_bytes()).await.unwrap();
            sender.body(LARGE).await.unwrap();
            sender.0.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        } else {
            sender.body(LARGE).await.unwrap();
        }
        let status = sender.status().await;
        assert_eq!(status, "http/1.1 413 payload too large");
    }
    let stack = Stack::with(|config| config.limits.max_in_flight = 1).await;
    let waiting = stack.client.clone();
    let slow =
        tokio::spawn(async move { waiting.post("_/actions/slow?blocking=true", "{}").await });
    stack.platform.wait_for_slow(1).await;
    let mut sender = Sender::to(stack.proxy.address()).await;
    let length = format!("content-length: {LARGE}\r\n");
    sender.head(INVOKE, STRANGER, &length).await;
    sender.body(LARGE).await.unwrap();
    let status = sender.status().await;
    assert_eq!(status, "http/1.1 503 service unavailable");
    stack.platform.release();
    assert_eq!(slow.await.unwrap().status, 200);
}

/// A body of HTTP/2, which tells when all of it has been taken.
struct Large(usize, Option<oneshot::Sender<()>>);

impl Body for Large {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.0 == 0 {
            let all_taken = this.1.take().map(|told| told.send(()));
            assert_eq!(all_taken, Some(Ok(())));
            return Poll::Ready(None);
        }
        let part = this.0.min(1 << 16);
        this.0 -= part;
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; part].into()))))
    }
}

#[tokio::test]
async fn so_does_a_client_of_http2_whose_stream_is_not_reset() {
    let stack = guarded().await;
    let stream = TcpStream::connect(stack.proxy.address()).await.unwrap();
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut requests, connection) = shaken.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let url = format!("http://proxy/api/v1/namespaces/{INVOKE}");
    let (tell, told) = oneshot::channel();
    let request = Request::post(&url)
        .header("authorization", format!("Basic {STRANGER}"))
        .body(Large(LARGE, Some(tell)))
        .unwrap();
    let answer = requests.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 401);
    let taken = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(taken, Ok(()));
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_rest_of_the_request() {
    let stack = guarded().await;
    let mut sender = Sender::to(stack.proxy.address()).await;
    sender.head(INVOKE, STRANGER, "content-length: 2\r\n").await;
    assert_eq!(sender.status().await, "http/1.1 401 unauthorized");
    // Nor for one that its client keeps until it is told to send it.
    let mut sender = Sender::to(stack.proxy.address()).await;
    let expects = "content-length: 9000\r\nexpect: 100-continue\r\n";
    sender.head(INVOKE, STRANGER, expects).await;
    assert_eq!(sender.status().await, "http/1.1 401 unauthorized");
    assert!(sender.is_at_the_end().await);
}

#[tokio::test]
async fn whoever_sends_without_end_is_left() {
    let stack = guarded().await;
    let mut sender = Sender::to(stack.proxy.address()).await;
    let length = "content-length: 1000000000000\r\n";
    sender.head(INVOKE, STRANGER, length).await;
    assert!(sender.body(1 << 40).await.is_err());
}
