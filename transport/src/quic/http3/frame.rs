//! Frames of a stream (RFC 9114, section 7), however it is cut into pieces.
//!
//! Data is handed over as it comes, everything else as a whole, within a limit; what nobody knows is
//! left out. A frame that may not stand where it does is refused by its head.

use bytes::{Buf as _, Bytes};

use super::super::number::{self, Number};
use super::code::{self, Fault};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of a message.
    Data,
    /// Header fields, before or behind a message.
    Headers,
    /// A push is not wanted.
    CancelPush,
    /// What the sender is able and willing to take.
    Settings,
    /// Refused: we never allow it.
    PushPromise,
    /// Requests from some on are not taken.
    GoAway,
    /// Pushes that are allowed.
    MaxPushId,
    /// Something that only HTTP/2 has.
    OfHttp2,
    /// Left out, as extensions have to be.
    Unknown,
}

const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;
const SETTINGS: u64 = 0x04;
const GOAWAY: u64 = 0x07;

impl Kind {
    fn of(number: u64) -> Self {
        match number {
            DATA => Self::Data,
            HEADERS => Self::Headers,
            0x03 => Self::CancelPush,
            SETTINGS => Self::Settings,
            0x05 => Self::PushPromise,
            GOAWAY => Self::GoAway,
            0x0d => Self::MaxPushId,
            0x02 | 0x06 | 0x08 | 0x09 => Self::OfHttp2,
            _ => Self::Unknown,
        }
    }
}

/// A frame, or a part of its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is; never unknown.
    pub kind: Kind,
    /// What is in it.
    pub payload: Bytes,
}

/// Reads the frames of one stream.
#[derive(Debug)]
pub struct Frames {
    part: Part,
    of: Of,
    /// The frame has come that has to be the first one.
    has_begun: bool,
    /// What has come of a frame without data.
    kept: Vec<u8>,
    /// Largest frame without data, in bytes.
    most: u64,
}

/// What consists of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Request,
    Control,
}

/// What is next on the stream.
#[derive(Debug)]
enum Part {
    Head,
    /// A head that comes in pieces.
    Kind(Number),
    Length(Kind, Number),
    /// So many bytes of a frame.
    Payload(Kind, u64),
}

const UNEXPECTED: Fault = Fault::new(code::FRAME_UNEXPECTED, "a frame is not allowed there");
const TOO_LARGE: Fault = Fault::new(code::EXCESSIVE_LOAD, "a frame is too large");
const CUT_SHORT: Fault = Fault::new(code::FRAME_ERROR, "a stream ends within a frame");
const NO_SETTINGS: Fault = Fault::new(code::MISSING_SETTINGS, "there are no settings");

impl Frames {
    /// Of the stream of a request, with frames of at most `most` bytes beside data.
    pub fn of_request(most: u64) -> Self {
        Self::new(Of::Request, most)
    }

    /// Of a control stream, behind its kind.
    pub fn of_control(most: u64) -> Self {
        Self::new(Of::Control, most)
    }

    fn new(of: Of, most: u64) -> Self {
        Self {
            part: Part::Head,
            of,
            has_begun: false,
            kept: Vec::new(),
            most,
        }
    }

    /// Takes the next frame off the front of `bytes`; none: all of them are used, and more are needed.
    ///
    /// # Errors
    /// If a frame is not allowed where it stands, or too large.
    pub fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Frame>, Fault> {
        loop {
            match &mut self.part {
                Part::Payload(kind, left) => {
                    let kind = *kind;
                    let here = usize::try_from(*left).map_or(bytes.len(), |l| l.min(bytes.len()));
                    if here == 0 && *left > 0 {
                        return Ok(None);
                    }
                    *left -= here as u64;
                    let is_over = *left == 0;
                    if is_over {
                        self.part = Part::Head;
                    }
                    if let Some(payload) = self.payload(kind, bytes, here, is_over) {
                        return Ok(Some(Frame { kind, payload }));
                    }
                }
                Part::Head => {
                    let mut rest = &bytes[..];
                    match (number::take(&mut rest), number::take(&mut rest)) {
                        (Some(kind), Some(length)) => {
                            bytes.advance(bytes.len() - rest.len());
                            let kind = self.allowed(Kind::of(kind))?;
                            self.begin(kind, length)?;
                        }
                        _ if bytes.is_empty() => return Ok(None),
                        _ => self.part = Part::Kind(Number::default()),
                    }
                }
                Part::Kind(number) => {
                    let Some(byte) = first(bytes) else {
                        return Ok(None);
                    };
                    if let Some(kind) = number.add(byte) {
                        let kind = self.allowed(Kind::of(kind))?;
                        self.part = Part::Length(kind, Number::default());
                    }
                }
                Part::Length(kind, number) => {
                    let Some(byte) = first(bytes) else {
                        return Ok(None);
                    };
                    if let Some(length) = number.add(byte) {
                        let kind = *kind;
                        self.begin(kind, length)?;
                    }
                }
            }
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// If that was within a frame.
    pub fn end(&self) -> Result<(), Fault> {
        match self.part {
            Part::Head => Ok(()),
            _ => Err(CUT_SHORT),
        }
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.kept.len()
    }

    fn allowed(&mut self, kind: Kind) -> Result<Kind, Fault> {
        let is_first = !self.has_begun;
        match (self.of, kind) {
            (Of::Request, Kind::Headers) => self.has_begun = true,
            (Of::Request, Kind::Data) if !is_first => {}
            (Of::Request, Kind::Unknown) => {}
            (Of::Control, Kind::Settings) if is_first => self.has_begun = true,
            (Of::Control, _) if is_first => return Err(NO_SETTINGS),
            (Of::Control, Kind::CancelPush | Kind::GoAway | Kind::MaxPushId | Kind::Unknown) => {}
            _ => return Err(UNEXPECTED),
        }
        Ok(kind)
    }

    fn begin(&mut self, kind: Kind, length: u64) -> Result<(), Fault> {
        if kind != Kind::Data && length > self.most {
            return Err(TOO_LARGE);
        }
        self.part = Part::Payload(kind, length);
        Ok(())
    }

    /// What is to be handed over of the next `here` bytes, with which a frame may be over.
    fn payload(
        &mut self,
        kind: Kind,
        bytes: &mut Bytes,
        here: usize,
        is_over: bool,
    ) -> Option<Bytes> {
        if kind == Kind::Unknown {
            bytes.advance(here);
            return None;
        }
        if kind == Kind::Data || is_over && self.kept.is_empty() {
            return Some(match here == bytes.len() {
                true => std::mem::take(bytes),
                false => bytes.split_to(here),
            });
        }
        self.kept.extend_from_slice(&bytes[..here]);
        bytes.advance(here);
        is_over.then(|| std::mem::take(&mut self.kept).into())
    }
}

fn first(bytes: &mut Bytes) -> Option<u8> {
    bytes.has_remaining().then(|| bytes.get_u8())
}

/// Appends the head of a frame of header fields.
pub(super) fn put_headers(out: &mut Vec<u8>, length: usize) {
    put(out, HEADERS, length);
}

/// Appends the head of a frame of data.
pub(super) fn put_data(out: &mut Vec<u8>, length: usize) {
    put(out, DATA, length);
}

/// Appends the head of a frame of settings.
pub(super) fn put_settings(out: &mut Vec<u8>, length: usize) {
    put(out, SETTINGS, length);
}

/// A frame without meaning (RFC 9114, section 7.2.8), which the peer has to acknowledge all the same.
pub(super) const RESERVED: [u8; 2] = [0x21, 0];

/// A frame that says that requests from this one on are not taken.
pub(super) fn go_away(id: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, GOAWAY, number::size(id));
    number::put(&mut out, id);
    out
}

/// Bytes of the head of a frame whose kind has one.
pub(super) const fn head_size(length: usize) -> usize {
    1 + number::size(length as u64)
}

fn put(out: &mut Vec<u8>, kind: u64, length: usize) {
    number::put(out, kind);
    number::put(out, length as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The frames of `bytes`, of which so many come at once; data is put together.
    fn read(mut frames: Frames, bytes: &[u8], at_once: usize) -> Result<Vec<Frame>, Fault> {
        let mut read: Vec<Frame> = Vec::new();
        let mut of_data = Vec::new();
        for part in bytes.chunks(at_once) {
            let mut part = Bytes::copy_from_slice(part);
            while let Some(frame) = frames.next(&mut part)? {
                if frame.kind == Kind::Data {
                    of_data.extend_from_slice(&frame.payload);
                } else {
                    read.push(frame);
                }
            }
            assert!(part.is_empty());
        }
        frames.end()?;
        if !of_data.is_empty() {
            let payload = of_data.into();
            read.push(Frame {
                kind: Kind::Data,
                payload,
            });
        }
        Ok(read)
    }

    fn frame(kind: Kind, payload: &'static [u8]) -> Frame {
        let payload = Bytes::from_static(payload);
        Frame { kind, payload }
    }

    #[test]
    fn frames_are_the_same_however_they_come() {
        // HEADERS of 3 bytes, DATA of 5 with a length in two bytes, one that nobody knows and an empty
        // one, DATA of none and of 1, HEADERS of 1.
        let bytes = [
            1, 3, 9, 8, 7, 0, 0x40, 5, 1, 2, 3, 4, 5, 0x21, 2, 7, 7, 0x40, 0x42, 0, 0, 0, 0, 1, 6,
            1, 1, 9,
        ];
        for at_once in 1..=bytes.len() {
            let read = read(Frames::of_request(3), &bytes, at_once).unwrap();
            let expected = [
                frame(Kind::Headers, &[9, 8, 7]),
                frame(Kind::Headers, &[9]),
                frame(Kind::Data, &[1, 2, 3, 4, 5, 6]),
            ];
            assert_eq!(read, expected, "{at_once}");
        }
    }

    #[test]
    fn data_is_handed_over_as_it_comes_and_without_a_copy() {
        let mut frames = Frames::of_request(10);
        let mut bytes = Bytes::from_static(&[1, 0, 0, 0x44, 0, 1, 2, 3]);
        let at = bytes[5..].as_ptr();
        assert_eq!(frames.next(&mut bytes), Ok(Some(frame(Kind::Headers, &[]))));
        let data = frames.next(&mut bytes).unwrap().unwrap();
        assert_eq!((data.payload.as_ptr(), data.payload.len()), (at, 3));
        assert_eq!(frames.next(&mut bytes), Ok(None));
        assert_eq!(frames.end(), Err(CUT_SHORT));
    }

    #[test]
    fn a_frame_that_is_too_large_is_refused_by_its_head() {
        let huge = [0xc0, 0, 1, 0, 0, 0, 0, 0];
        for kind in [&[1][..], &[0x21], &[0x40, 0x42]] {
            let head = [kind, &huge].concat();
            for at_once in 1..=head.len() {
                let refused = read(Frames::of_request(100), &head, at_once);
                assert_eq!(refused, Err(TOO_LARGE), "{kind:?}");
            }
        }
        let control = [&[4, 0, 0x21][..], &huge].concat();
        assert_eq!(read(Frames::of_control(100), &control, 50), Err(TOO_LARGE));
        let just = [&[1, 0x40, 100][..], &[0; 100]].concat();
        assert!(read(Frames::of_request(100), &just, 3).is_ok());
        assert_eq!(read(Frames::of_request(99), &just, 3), Err(TOO_LARGE));
    }

    #[test]
    fn data_may_be_as_large_as_it_likes() {
        let mut frames = Frames::of_request(10);
        let mut bytes = Bytes::from([&[1, 0, 0][..], &[0xff; 8], &[7; 50]].concat());
        frames.next(&mut bytes).unwrap();
        let data = frames.next(&mut bytes).unwrap().unwrap();
        assert_eq!(data.payload.len(), 50);
    }

    #[test]
    fn frames_that_may_not_stand_where_they_do_are_refused_by_their_head() {
        // CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID, those of HTTP/2.
        for kind in [3, 4, 5, 7, 0x0d, 2, 6, 8, 9] {
            for before in [&[][..], &[1, 0]] {
                let bytes = [before, &[kind, 5]].concat();
                for at_once in 1..=bytes.len() {
                    let refused = read(Frames::of_request(9), &bytes, at_once);
                    assert_eq!(refused, Err(UNEXPECTED), "{kind}");
                }
            }
        }
        let data_first = read(Frames::of_request(9), &[0x21, 0, 0, 9], 1);
        assert_eq!(data_first, Err(UNEXPECTED));
        // DATA, HEADERS, SETTINGS again, PUSH_PROMISE, those of HTTP/2.
        for kind in [0, 1, 4, 5, 2, 6, 8, 9] {
            let refused = read(Frames::of_control(9), &[4, 0, kind, 5], 9);
            assert_eq!(refused, Err(UNEXPECTED), "{kind}");
        }
        for kind in [0, 3, 7, 0x21] {
            let refused = read(Frames::of_control(9), &[kind, 0], 9);
            assert_eq!(refused, Err(NO_SETTINGS), "{kind}");
        }
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_is_told() {
        for bytes in [
            &[1][..],
            &[0x40],
            &[1, 0x40],
            &[1, 1],
            &[1, 0, 0, 1],
            &[0x21, 1],
        ] {
            assert_eq!(
                read(Frames::of_request(9), bytes, 9),
                Err(CUT_SHORT),
                "{bytes:?}"
            );
        }
        assert_eq!(
            read(Frames::of_request(9), &[1, 0, 0x21, 0], 9)
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn what_we_write_is_read() {
        let mut out = Vec::new();
        put_headers(&mut out, 3);
        out.extend([1, 2, 3]);
        put_data(&mut out, 100);
        assert_eq!(out.len(), head_size(3) + 3 + head_size(100));
        out.extend([7; 100]);
        let read_back = read(Frames::of_request(9), &out, 50).unwrap();
        assert_eq!(read_back[0], frame(Kind::Headers, &[1, 2, 3]));
        assert_eq!(read_back[1].payload.len(), 100);
        let away = [&[4, 0][..], &go_away(400)].concat();
        let read_back = read(Frames::of_control(9), &away, 50).unwrap();
        assert_eq!(read_back[1], frame(Kind::GoAway, &[0x41, 0x90]));
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_frames_however_they_come(
            bytes in prop::collection::vec(prop_oneof![0u8..10, any::<u8>()], 0..200),
            at_once in 1usize..20,
            is_control: bool,
        ) {
            let frames = || match is_control {
                true => Frames::of_control(50),
                false => Frames::of_request(50),
            };
            prop_assert_eq!(
                read(frames(), &bytes, bytes.len().max(1)),
                read(frames(), &bytes, at_once)
            );
        }
    }
}
