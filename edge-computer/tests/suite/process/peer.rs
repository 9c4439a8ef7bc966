//! A caller that speaks HTTP/2 by hand, because those of libraries keep their hands off a
//! connection as soon as they hear that it ends. This one never answers a PING, without which the
//! server cannot know what is still on its way.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use edge_proto::RUN_LAMBDA_PATH;
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use prost::Message as _;

use super::support::PATIENCE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// `END_STREAM` of DATA, `ACK` of SETTINGS and PING.
const END_OR_ACK: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) struct Peer {
    stream: TcpStream,
    /// What has come in so far, by stream.
    bodies: BTreeMap<u32, Vec<u8>>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(endpoint: &str) -> Self {
        let mut stream = TcpStream::connect(endpoint).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let mut peer = Self {
            stream,
            bodies: BTreeMap::new(),
        };
        peer.write(SETTINGS, 0, 0, &[]);
        peer
    }

    /// Sends a request that may take years on a stream of that number.
    pub(crate) fn send(&mut self, stream: u32, request: &LambdaRequest) {
        let mut block = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", RUN_LAMBDA_PATH),
            (":authority", "test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "20000H"),
        ] {
            // HPACK: a literal that is not indexed.
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend(text.as_bytes());
            }
        }
        self.write(HEADERS, END_HEADERS, stream, &block);
        let message = request.encode_to_vec();
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend(message);
        self.write(DATA, END_OR_ACK, stream, &body);
    }

    /// Waits until the server has read all that was sent so far.
    pub(crate) fn wait_for_pong(&mut self) {
        self.write(PING, 0, 0, &[7; 8]);
        self.read_until(|frame| frame.kind == PING && frame.flags == END_OR_ACK);
    }

    /// Waits until the server says that it goes.
    pub(crate) fn wait_for_goaway(&mut self) {
        self.read_until(|frame| frame.kind == GOAWAY);
    }

    /// Waits for the answer to the request on that stream.
    pub(crate) fn answer(&mut self, stream: u32) -> LambdaResponse {
        loop {
            if let Some(message) = self.bodies.get(&stream).and_then(|body| body.get(5..)) {
                return LambdaResponse::decode(message).unwrap();
            }
            self.read_until(|frame| frame.kind == DATA && frame.stream == stream);
        }
    }

    fn read_until(&mut self, wanted: impl Fn(&Frame) -> bool) {
        loop {
            let frame = self.read();
            match (frame.kind, frame.flags) {
                (SETTINGS, 0) => self.write(SETTINGS, END_OR_ACK, 0, &[]),
                (DATA, _) => {
                    let body = self.bodies.entry(frame.stream).or_default();
                    body.extend(&frame.payload);
                }
                _ => {}
            }
            if wanted(&frame) {
                return;
            }
        }
    }

    fn read(&mut self) -> Frame {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).unwrap();
        let [l2, l1, l0, kind, flags, s3, s2, s1, s0] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l2, l1, l0]) as usize];
        self.stream.read_exact(&mut payload).unwrap();
        let stream = u32::from_be_bytes([s3, s2, s1, s0]);
        Frame {
            kind,
            flags,
            stream,
            payload,
        }
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).unwrap();
    }
}
