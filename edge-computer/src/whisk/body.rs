//! The body of a request: no larger and no slower than reasonable, and read to its end if it is answered
//! before it has come, so that a client that sends all of it first gets to see the answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};

use super::reply::Refusal;

/// How long a body may take to arrive.
const ARRIVED_WITHIN: Duration = Duration::from_secs(30);
/// How much of a body that nobody wants is read all the same, in bytes, and for how long.
const READ_ANYWAY: usize = 16 << 20;
const READ_ANYWAY_WITHIN: Duration = Duration::from_secs(10);

/// A body, as far as nobody has read it.
#[derive(Debug)]
pub(super) struct Arriving {
    incoming: Incoming,
    /// Its client sends it, whatever the answer: it does not wait to be told to, or has been, and it
    /// is not too slow.
    comes: bool,
}

impl Arriving {
    pub(super) fn new(incoming: Incoming, headers: &HeaderMap) -> Self {
        let comes = !headers.contains_key(header::EXPECT);
        Self { incoming, comes }
    }

    /// All of it, at most `limit` bytes.
    pub(super) async fn read(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        let body = Limited::new(&mut self.incoming, limit).collect();
        let read = tokio::time::timeout(ARRIVED_WITHIN, body).await;
        self.comes = read.is_ok();
        let Ok(body) = read else {
            let text = "The request did not arrive in time.";
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text));
        };
        let body = body.map_err(|_| {
            let text = format!("Request larger than allowed: more than {limit} bytes.");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
        })?;
        Ok(body.to_bytes())
    }

    /// Lets what has not been read of it come.
    pub(super) fn leave(self) {
        if self.comes && !self.incoming.is_end_stream() {
            // It ends with its connection.
            tokio::spawn(async move {
                let discarded = discard(self.incoming);
                let _in_time = tokio::time::timeout(READ_ANYWAY_WITHIN, discarded).await;
            });
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = READ_ANYWAY;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}
