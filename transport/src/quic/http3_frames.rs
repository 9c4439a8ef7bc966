//! Where the frames of an HTTP/3 stream begin and end (RFC 9114, section 7.1).
//!
//! The library keeps a frame until all of it is there, unless it has data, however large it is said to
//! be, and reads on while it works off what it has. So it is told of one frame after the other, and of
//! none that is too large.

/// The frame that carries messages; the library passes it on as it comes.
const DATA: u64 = 0x00;
/// The one-way stream that consists of frames.
const CONTROL: u64 = 0x00;

/// Follows a stream.
#[derive(Debug)]
pub(super) struct Frames {
    part: Part,
    /// Largest frame without data, in bytes.
    most: u64,
}

/// A frame is larger than anybody has reason to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame is too large")]
pub(super) struct TooLarge;

/// What is next on the stream.
#[derive(Debug)]
enum Part {
    /// What a one-way stream is for.
    Purpose(Number),
    Kind(Number),
    Length {
        kind: u64,
        number: Number,
    },
    /// So many bytes of a frame.
    Payload(u64),
    /// No frames.
    Other,
}

/// An integer of variable length (RFC 9000, section 16), as far as it has come.
#[derive(Debug, Default)]
struct Number {
    value: u64,
    /// Bytes that are missing; none: the first one.
    missing: Option<u32>,
}

impl Number {
    /// The number, once it is complete.
    fn add(&mut self, byte: u8) -> Option<u64> {
        let missing = match self.missing {
            None => {
                self.value = u64::from(byte & 0x3f);
                (1 << (byte >> 6)) - 1
            }
            Some(missing) => {
                self.value = self.value << 8 | u64::from(byte);
                missing - 1
            }
        };
        self.missing = Some(missing);
        (missing == 0).then_some(self.value)
    }
}

impl Frames {
    /// Of a stream for a request, with frames of at most `most` bytes beside data.
    pub(super) fn of_request(most: u64) -> Self {
        Self {
            part: Part::Kind(Number::default()),
            most,
        }
    }

    /// Of a stream in one direction.
    pub(super) fn of_one_way(most: u64) -> Self {
        Self {
            part: Part::Purpose(Number::default()),
            most,
        }
    }

    /// How many of the `bytes` that come next go together: they end with a frame, or where its data
    /// begins.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> Result<usize, TooLarge> {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.part {
                Part::Other => return Ok(bytes.len()),
                Part::Payload(left) => {
                    let rest = bytes.len() - at;
                    let here = usize::try_from(*left).map_or(rest, |left| left.min(rest));
                    *left -= here as u64;
                    at += here;
                    if *left == 0 {
                        self.part = Part::Kind(Number::default());
                        return Ok(at);
                    }
                }
                Part::Purpose(number) => {
                    if let Some(purpose) = number.add(bytes[at]) {
                        self.part = match purpose {
                            CONTROL => Part::Kind(Number::default()),
                            _ => Part::Other,
                        };
                    }
                    at += 1;
                }
                Part::Kind(number) => {
                    if let Some(kind) = number.add(bytes[at]) {
                        let number = Number::default();
                        self.part = Part::Length { kind, number };
                    }
                    at += 1;
                }
                Part::Length { kind, number } => {
                    let length = number.add(bytes[at]);
                    let has_data = *kind == DATA;
                    at += 1;
                    if let Some(length) = length {
                        if !has_data && length > self.most {
                            return Err(TooLarge);
                        }
                        self.part = match length {
                            0 => Part::Kind(Number::default()),
                            length => Part::Payload(length),
                        };
                        if has_data || length == 0 {
                            return Ok(at);
                        }
                    }
                }
            }
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the pieces of `bytes`, of which so many come at once.
    fn pieces(frames: &mut Frames, bytes: &[u8], at_once: usize) -> Result<Vec<usize>, TooLarge> {
        let mut pieces = Vec::new();
        for mut part in bytes.chunks(at_once) {
            while !part.is_empty() {
                let length = frames.piece(part)?;
                assert!(length > 0, "it goes on");
                pieces.push(length);
                part = &part[length..];
            }
        }
        Ok(pieces)
    }

    #[test]
    fn pieces_end_with_a_frame_or_where_its_data_begins() {
        // HEADERS of 3 bytes, DATA of 5 with a length in two bytes, an empty frame that nobody knows,
        // DATA of 1, HEADERS of 1.
        let bytes = [
            1, 3, 9, 9, 9, 0, 0x40, 5, 7, 7, 7, 7, 7, 0x21, 0, 0, 1, 7, 1, 1, 9,
        ];
        let mut frames = Frames::of_request(3);
        assert_eq!(
            pieces(&mut frames, &bytes, bytes.len()),
            Ok(vec![5, 3, 5, 2, 2, 1, 3])
        );
        for at_once in 1..bytes.len() {
            let mut frames = Frames::of_request(3);
            let pieces = pieces(&mut frames, &bytes, at_once).unwrap();
            assert_eq!(pieces.iter().sum::<usize>(), bytes.len(), "{at_once}");
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_refused_by_its_head() {
        let huge = [0xc0, 0, 1, 0, 0, 0, 0, 0];
        for kind in [&[1][..], &[0x21], &[0x40, 0x40]] {
            let head = [kind, &huge].concat();
            for at_once in 1..=head.len() {
                let refused = pieces(&mut Frames::of_request(100), &head, at_once);
                assert_eq!(refused, Err(TooLarge), "{kind:?}");
                let control = [&[0], &head[..]].concat();
                let refused = pieces(&mut Frames::of_one_way(100), &control, at_once);
                assert_eq!(refused, Err(TooLarge), "{kind:?}");
            }
        }
        let just = [1, 0x40, 100];
        assert!(pieces(&mut Frames::of_request(100), &just, 3).is_ok());
        assert!(pieces(&mut Frames::of_request(99), &just, 3).is_err());
    }

    #[test]
    fn data_may_be_as_large_as_it_likes_and_other_streams_have_no_frames() {
        let data = [&[0][..], &[0xff; 8], &[7; 50]].concat();
        let mut frames = Frames::of_request(10);
        assert_eq!(pieces(&mut frames, &data, 100), Ok(vec![9, 50]));
        let encoder = [&[2][..], &[0xff; 50]].concat();
        let mut frames = Frames::of_one_way(10);
        assert_eq!(pieces(&mut frames, &encoder, 100), Ok(vec![51]));
    }
}
