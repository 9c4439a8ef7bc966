//! Both directions of a request's stream, which are given up where they are dropped too early.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};

use super::super::held::{Held, Incomplete};
use super::code::{self, Fault};
use super::frame::{Frames, Kind};

/// Pieces of a message that are read at once: most come in a datagram or two.
const PIECES: usize = 4;

const UNEXPECTED: Fault = Fault::new(
    code::FRAME_UNEXPECTED,
    "something stands behind the last header fields",
);

/// What we say on a stream.
#[derive(Debug)]
pub(super) struct Sending {
    /// None once it was handed over.
    stream: Option<SendStream>,
    /// What it is cut off with where this is dropped before all was said; none: it was.
    unfinished: Option<VarInt>,
}

impl Sending {
    /// A stream that is cut off with `unfinished` where this is dropped.
    pub(super) fn new(stream: SendStream, unfinished: VarInt) -> Self {
        Self {
            stream: Some(stream),
            unfinished: Some(unfinished),
        }
    }

    fn stream(&mut self) -> &mut SendStream {
        self.stream.as_mut().expect("it is handed over at the end")
    }

    /// Says all of `pieces`.
    pub(super) async fn write(&mut self, pieces: &mut [Bytes]) -> Result<(), WriteError> {
        self.stream().write_all_chunks(pieces).await
    }

    /// All is said.
    pub(super) fn finish(&mut self) {
        self.unfinished = None;
        // It fails where the peer wants no more.
        self.stream().finish().ok();
    }

    /// Cuts the stream off.
    pub(super) fn cut_off(&mut self, code: VarInt) {
        self.unfinished = None;
        // It fails where the stream has ended, which is all that is asked for.
        self.stream().reset(code).ok();
    }

    /// Ends when the peer has all that was said, wants no more of it, or cannot be told.
    pub(super) fn heard(&self) -> impl Future<Output = ()> + Send + 'static {
        let stream = self.stream.as_ref();
        let stopped = stream.expect("it is handed over at the end").stopped();
        async move { _ = stopped.await }
    }

    /// Waits for `future`, or until the peer wants no answer any more, of which nobody asks to be told
    /// before it `lasts`.
    pub(super) async fn unless_stopped<F: Future>(
        &self,
        mut future: Pin<&mut F>,
        lasts: impl Fn() -> bool,
    ) -> Option<F::Output> {
        let mut stopped = pin!(None);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if stopped.is_none() && lasts() {
                stopped.set(Some(self.heard()));
            }
            match stopped.as_mut().as_pin_mut() {
                Some(stopped) => stopped.poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// The stream, on which all was said.
    pub(super) fn into_stream(mut self) -> SendStream {
        self.stream.take().expect("it is handed over once")
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let (Some(stream), Some(code)) = (&mut self.stream, self.unfinished) {
            // It fails where the stream has ended, which is all that is asked for.
            stream.reset(code).ok();
        }
    }
}

/// Why a request or an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// The peer has given it up.
    Reset(VarInt),
    /// The connection has ended.
    Lost(ConnectionError),
    /// The connection has to end.
    Fault(Fault),
    /// It breaks the rules, which concerns no other.
    Malformed(&'static str),
    /// The stream has ended without one.
    Incomplete,
    /// There is no room for all that has come of its header fields.
    TooMuch,
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code),
            ReadError::ConnectionLost(error) => Self::Lost(error),
            _ => Self::Lost(ConnectionError::LocallyClosed),
        }
    }
}

/// A part of a request or an answer.
#[derive(Debug)]
pub(super) enum Piece {
    /// Header fields: before data those of the head, behind it trailers.
    Fields(Bytes),
    Data(Bytes),
}

/// What is next of a request or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    /// So many bytes of data are to come, if they were announced.
    Data(Option<u64>),
    Nothing,
}

/// What the peer says on a stream; it is told to stop where this is dropped before the end.
#[derive(Debug)]
pub(super) struct Receiving {
    /// None once it was handed over.
    stream: Option<RecvStream>,
    /// What it is told to stop with, if it is.
    unread: Option<VarInt>,
    frames: Frames,
    part: Part,
    incomplete: Incomplete,
    /// What has been read; of these, from `first` on, nothing has been looked at.
    pieces: [Bytes; PIECES],
    first: usize,
    count: usize,
}

impl Receiving {
    /// A stream whose peer is told to stop with `unread` where this is dropped; its frames without data
    /// have at most `most` bytes.
    pub(super) fn new(stream: RecvStream, unread: VarInt, most: u64) -> Self {
        Self {
            stream: Some(stream),
            unread: Some(unread),
            frames: Frames::of_request(most),
            part: Part::Head,
            incomplete: Incomplete::default(),
            pieces: Default::default(),
            first: 0,
            count: 0,
        }
    }

    /// The head has been read, and announces so many bytes of data.
    pub(super) fn begin(&mut self, announced: Option<u64>) {
        self.part = Part::Data(announced);
    }

    /// What comes next; none at the end. What has come of header fields that are not complete counts in
    /// `held`.
    pub(super) async fn next(&mut self, held: &Arc<Held>) -> Result<Option<Piece>, Broken> {
        poll_fn(|cx| self.poll_next(cx, held)).await
    }

    /// As [`Self::next`].
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        held: &Arc<Held>,
    ) -> Poll<Result<Option<Piece>, Broken>> {
        loop {
            while self.first < self.count {
                let piece = &mut self.pieces[self.first];
                let frame = self.frames.next(piece)?;
                if frame.is_none() || piece.is_empty() {
                    *piece = Bytes::new();
                    self.first += 1;
                }
                match frame {
                    Some(frame) if frame.kind == Kind::Data => {
                        self.data(frame.payload.len() as u64)?;
                        return Poll::Ready(Ok(Some(Piece::Data(frame.payload))));
                    }
                    // There are no others here.
                    Some(frame) => {
                        self.incomplete.complete();
                        self.fields()?;
                        return Poll::Ready(Ok(Some(Piece::Fields(frame.payload))));
                    }
                    None => {
                        let kept = self.frames.held();
                        if kept > 0 && !self.incomplete.grow(kept, held) {
                            return Poll::Ready(Err(Broken::TooMuch));
                        }
                    }
                }
            }
            let stream = self.stream.as_mut();
            let Some(stream) = stream.filter(|_| self.unread.is_some()) else {
                return Poll::Ready(Ok(None));
            };
            // The stream remembers who waits; nothing is lost with the future.
            let read = pin!(stream.read_chunks(&mut self.pieces)).poll(cx);
            let read = ready!(read);
            if let Ok(Some(count)) = read {
                (self.first, self.count) = (0, count);
                continue;
            }
            self.unread = None;
            return Poll::Ready(match read {
                Ok(_) => self.end().map(|()| None),
                Err(error) => Err(error.into()),
            });
        }
    }

    fn fields(&mut self) -> Result<(), Broken> {
        match self.part {
            Part::Head => {}
            Part::Data(None | Some(0)) => self.part = Part::Nothing,
            Part::Data(Some(_)) => return Err(Broken::Malformed("less comes than was announced")),
            Part::Nothing => return Err(UNEXPECTED.into()),
        }
        Ok(())
    }

    fn data(&mut self, more: u64) -> Result<(), Broken> {
        match &mut self.part {
            Part::Data(None) => {}
            Part::Data(Some(left)) => {
                let rest = left.checked_sub(more);
                *left = rest.ok_or(Broken::Malformed("more comes than was announced"))?;
            }
            // Data behind header fields that announce more of these.
            Part::Head | Part::Nothing => return Err(UNEXPECTED.into()),
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Broken> {
        self.frames.end()?;
        match self.part {
            Part::Head => Err(Broken::Incomplete),
            Part::Data(Some(1..)) => Err(Broken::Malformed("less comes than was announced")),
            Part::Data(_) | Part::Nothing => Ok(()),
        }
    }

    /// The peer need not say the rest, if there is any.
    pub(super) fn stop(&mut self, code: VarInt) {
        if let (Some(stream), Some(_)) = (&mut self.stream, self.unread.take()) {
            // It fails where the stream has ended, which is all that is asked for.
            stream.stop(code).ok();
        }
    }

    /// The stream, of which no more is to be read.
    pub(super) fn into_stream(mut self) -> RecvStream {
        self.stream.take().expect("it is handed over once")
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(code) = self.unread {
            self.stop(code);
        }
    }
}
