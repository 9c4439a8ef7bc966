//! Streams in one direction (RFC 9114, section 6.2): settings, good-byes, and what has no meaning here.

use std::future::Future;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, ReadError, RecvStream, SendStream};

use super::super::number::{self, Number};
use super::code::{self, Fault};
use super::frame::{Frame, Frames, Kind};
use super::qpack::{Cancellations, keeps_no_table};
use super::{most_in_a_frame, settings};

const CONTROL: u64 = 0x00;
const PUSH: u64 = 0x01;
const ENCODER: u64 = 0x02;
const DECODER: u64 = 0x03;

const CLOSED: Fault = Fault::new(code::CLOSED_CRITICAL_STREAM, "a stream has to stay open");
const TWICE: Fault = Fault::new(
    code::STREAM_CREATION_ERROR,
    "there is such a stream already",
);
const NO_PUSHES: Fault = Fault::new(code::STREAM_CREATION_ERROR, "clients push nothing");
const NOT_ALLOWED: Fault = Fault::new(code::ID_ERROR, "no push was allowed");
const NOT_PROMISED: Fault = Fault::new(code::ID_ERROR, "no push was promised");
const FEWER: Fault = Fault::new(code::ID_ERROR, "fewer pushes are allowed than before");
const MORE: Fault = Fault::new(code::ID_ERROR, "more is taken than before");
const NO_REQUEST: Fault = Fault::new(code::ID_ERROR, "no request has this number");
const NO_NUMBER: Fault = Fault::new(code::FRAME_ERROR, "a frame has to have one number");
const OF_SERVERS: Fault = Fault::new(code::FRAME_UNEXPECTED, "servers allow no pushes");
const NO_TABLE: Fault = Fault::new(code::QPACK_ENCODER_STREAM_ERROR, "no table was allowed");
const NOT_SAID: Fault = Fault::new(code::QPACK_DECODER_STREAM_ERROR, "no table is used");

/// Which side the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// What the peer has said on its control stream.
#[derive(Debug)]
pub(super) struct Said {
    side: Side,
    /// Streams that there are once.
    opened: AtomicU8,
    max_field_section: AtomicU64,
    /// The first request, or push, that it does not take.
    leaves_at: AtomicU64,
    max_push: AtomicU64,
}

impl Said {
    pub(super) fn by(side: Side) -> Self {
        Self {
            side,
            opened: AtomicU8::new(0),
            max_field_section: AtomicU64::new(u64::MAX),
            leaves_at: AtomicU64::new(u64::MAX),
            max_push: AtomicU64::new(0),
        }
    }

    /// Bytes of fields that it takes in one section.
    pub(super) fn max_field_section(&self) -> u64 {
        self.max_field_section.load(Ordering::Relaxed)
    }

    /// Whether it has said that it does not take the request on this stream.
    pub(super) fn takes(&self, stream: quinn::StreamId) -> bool {
        u64::from(quinn::VarInt::from(stream)) < self.leaves_at.load(Ordering::Relaxed)
    }

    /// Whether it is leaving.
    fn is_leaving(&self) -> bool {
        self.leaves_at.load(Ordering::Relaxed) != u64::MAX
    }

    fn open(&self, kind: u64) -> Result<(), Fault> {
        match self.opened.fetch_or(1 << kind, Ordering::Relaxed) & 1 << kind {
            0 => Ok(()),
            _ => Err(TWICE),
        }
    }

    fn heed(&self, frame: &Frame) -> Result<(), Fault> {
        let number = || {
            let mut rest = &frame.payload[..];
            let number = number::take(&mut rest).filter(|_| rest.is_empty());
            number.ok_or(NO_NUMBER)
        };
        match (frame.kind, self.side) {
            (Kind::Settings, _) => {
                if let Some(most) = settings::max_field_section(&frame.payload)? {
                    self.max_field_section.store(most, Ordering::Relaxed);
                }
            }
            (Kind::GoAway, side) => {
                let id = number()?;
                // Those of requests have the two lowest bits unset.
                if side == Side::Server && id % 4 != 0 {
                    return Err(NO_REQUEST);
                }
                if self.leaves_at.fetch_min(id, Ordering::Relaxed) < id {
                    return Err(MORE);
                }
            }
            (Kind::MaxPushId, Side::Server) => return Err(OF_SERVERS),
            (Kind::MaxPushId, Side::Client) => {
                let most = number()?;
                if self.max_push.fetch_max(most, Ordering::Relaxed) > most {
                    return Err(FEWER);
                }
            }
            (Kind::CancelPush, side) => {
                number()?;
                return Err(match side {
                    Side::Client => NOT_PROMISED,
                    Side::Server => NOT_ALLOWED,
                });
            }
            // Refused where it is read.
            _ => {}
        }
        Ok(())
    }
}

/// Opens our control stream, and says what we take; none if the connection has ended.
pub(super) async fn open(connection: &Connection, max_header_bytes: u32) -> Option<SendStream> {
    let mut stream = connection.open_uni().await.ok()?;
    let settings = Bytes::from(settings::ours(max_header_bytes));
    stream.write_chunk(settings).await.ok()?;
    Some(stream)
}

/// Ends when the peer wants no more of our control stream, which it has to.
pub(super) fn unwanted(ours: &SendStream) -> impl Future<Output = Option<Fault>> + Send + 'static {
    let stopped = ours.stopped();
    async move { stopped.await.is_ok().then_some(CLOSED) }
}

/// Takes what the peer says on streams in one direction. Ends when that is against the rules, or with
/// the connection. `leaving` is called when it has said that it leaves.
pub(super) async fn heed(
    connection: &Connection,
    said: &Said,
    max_header_bytes: u32,
    leaving: impl Fn(),
) -> Option<Fault> {
    let mut streams = FuturesUnordered::new();
    let most = most_in_a_frame(max_header_bytes);
    loop {
        tokio::select! {
            biased;
            Some(read) = streams.next() => if let Err(fault) = read {
                return Some(fault);
            },
            accepted = connection.accept_uni() => match accepted {
                Ok(stream) => streams.push(take(stream, said, most, &leaving)),
                Err(_) => return None,
            },
        }
    }
}

/// A stream as it is read.
struct Reading {
    stream: RecvStream,
    bytes: Bytes,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the peer.
    Closed,
    /// With the connection.
    Lost,
}

impl Reading {
    /// Waits for more bytes.
    async fn more(&mut self) -> Result<(), End> {
        match self.stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => {
                self.bytes = chunk.bytes;
                Ok(())
            }
            Err(ReadError::ConnectionLost(_)) => Err(End::Lost),
            _ => Err(End::Closed),
        }
    }

    /// What the stream is for; none if it ends before it says so.
    async fn purpose(&mut self) -> Option<u64> {
        let mut number = Number::default();
        loop {
            while let Some((first, _)) = self.bytes.split_first() {
                let purpose = number.add(*first);
                bytes::Buf::advance(&mut self.bytes, 1);
                if purpose.is_some() {
                    return purpose;
                }
            }
            self.more().await.ok()?;
        }
    }

    /// Has `read` read a stream that must not end.
    async fn all(
        &mut self,
        mut read: impl FnMut(&mut Bytes) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            read(&mut self.bytes)?;
            match self.more().await {
                Ok(()) => {}
                Err(End::Closed) => return Err(CLOSED),
                Err(End::Lost) => return Ok(()),
            }
        }
    }
}

async fn take(
    stream: RecvStream,
    said: &Said,
    most: u64,
    leaving: &impl Fn(),
) -> Result<(), Fault> {
    let bytes = Bytes::new();
    let mut reading = Reading { stream, bytes };
    let Some(purpose) = reading.purpose().await else {
        return Ok(());
    };
    match purpose {
        CONTROL => {
            said.open(CONTROL)?;
            let mut frames = Frames::of_control(most);
            let read = |bytes: &mut Bytes| {
                while let Some(frame) = frames.next(bytes)? {
                    said.heed(&frame)?;
                    if said.is_leaving() {
                        leaving();
                    }
                }
                Ok(())
            };
            reading.all(read).await
        }
        ENCODER => {
            said.open(ENCODER)?;
            let read = |bytes: &mut Bytes| match keeps_no_table(bytes) {
                true => Ok(()),
                false => Err(NO_TABLE),
            };
            reading.all(read).await
        }
        DECODER => {
            said.open(DECODER)?;
            let mut cancellations = Cancellations::default();
            let read = |bytes: &mut Bytes| match cancellations.read(bytes) {
                true => Ok(()),
                false => Err(NOT_SAID),
            };
            reading.all(read).await
        }
        PUSH => Err(match said.side {
            Side::Client => NO_PUSHES,
            Side::Server => NOT_ALLOWED,
        }),
        _ => {
            // An extension, or what is there for nobody to rely on anything.
            reading.stream.stop(code::STREAM_CREATION_ERROR).ok();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(side: Side, frames: &[(Kind, &'static [u8])]) -> Result<(), Fault> {
        let said = Said::by(side);
        frames.iter().try_for_each(|(kind, payload)| {
            let payload = Bytes::from_static(payload);
            said.heed(&Frame {
                kind: *kind,
                payload,
            })
        })
    }

    #[test]
    fn good_byes_name_requests_and_never_more_of_them() {
        use Kind::GoAway;
        let server = |frames| heard(Side::Server, frames);
        assert_eq!(
            server(&[(GoAway, &[8]), (GoAway, &[8]), (GoAway, &[4])]),
            Ok(())
        );
        assert_eq!(server(&[(GoAway, &[4]), (GoAway, &[8])]), Err(MORE));
        assert_eq!(server(&[(GoAway, &[3])]), Err(NO_REQUEST));
        assert_eq!(heard(Side::Client, &[(GoAway, &[3])]), Ok(()));
        for payload in [&[][..], &[0x40], &[4, 0]] {
            assert_eq!(heard(Side::Server, &[(GoAway, payload)]), Err(NO_NUMBER));
        }
    }

    #[test]
    fn pushes_are_allowed_by_clients_and_never_fewer_of_them() {
        use Kind::{CancelPush, MaxPushId};
        let client = |frames| heard(Side::Client, frames);
        assert_eq!(client(&[(MaxPushId, &[1]), (MaxPushId, &[1])]), Ok(()));
        assert_eq!(client(&[(MaxPushId, &[1]), (MaxPushId, &[0])]), Err(FEWER));
        assert_eq!(
            client(&[(MaxPushId, &[9]), (CancelPush, &[1])]),
            Err(NOT_PROMISED)
        );
        let server = |frames| heard(Side::Server, frames);
        assert_eq!(server(&[(MaxPushId, &[1])]), Err(OF_SERVERS));
        assert_eq!(server(&[(CancelPush, &[1])]), Err(NOT_ALLOWED));
    }

    #[test]
    fn streams_that_there_are_once_are_opened_once() {
        let said = Said::by(Side::Client);
        for kind in [CONTROL, ENCODER, DECODER] {
            assert_eq!(said.open(kind), Ok(()));
            assert_eq!(said.open(kind), Err(TWICE));
        }
    }

    #[test]
    fn the_size_of_fields_is_what_the_settings_say() {
        let said = Said::by(Side::Client);
        assert_eq!(said.max_field_section(), u64::MAX);
        let payload = Bytes::from_static(&[6, 0x50, 0]);
        let kind = Kind::Settings;
        said.heed(&Frame { kind, payload }).unwrap();
        assert_eq!(said.max_field_section(), 0x1000);
    }
}
