//! What holds for any bytes that claim to be a stream of HTTP/3.

use bytes::Bytes;
use edge_transport::http2::Fields;
use edge_transport::quic::http3::frame::{Frame, Frames, Kind};
use edge_transport::quic::http3::qpack::{Alike, Decoder};

/// Bytes of a frame without data, and bytes of fields of one section.
const FRAME: u64 = 8 << 10;
const LIMIT: usize = 4 << 10;
/// What RFC 9114 adds to the size of each field.
const OVERHEAD: usize = 32;

/// Reads `data` as frames, at once and in parts whose lengths depend on it. Panics if they differ, if
/// more is kept than the limits allow, or if a section is decoded otherwise than by itself behind others. The first byte
/// tells what kind of stream it is.
pub(crate) fn check(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let frames = || match kind % 2 {
        0 => Frames::of_request(FRAME),
        _ => Frames::of_control(FRAME),
    };
    let mut seed = data.len();
    let parts = read(frames(), data, |rest| {
        seed = seed.wrapping_mul(31).wrapping_add(usize::from(rest[0]));
        1 + seed % 61
    });
    let whole = read(frames(), data, <[u8]>::len);
    assert_eq!(parts, whole);
}

/// The sections of a stream with the data between them, and the code of the error that it ends with.
fn read(
    mut frames: Frames,
    mut rest: &[u8],
    mut next: impl FnMut(&[u8]) -> usize,
) -> (Vec<(Kind, Vec<u8>)>, Option<u64>) {
    let mut all: Vec<(Kind, Vec<u8>)> = Vec::new();
    let mut alike = Alike::new(LIMIT);
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(next(rest).min(rest.len()));
        rest = behind;
        let mut part = Bytes::copy_from_slice(part);
        loop {
            let Frame { kind, payload } = match frames.next(&mut part) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(fault) => return (all, Some(fault.code())),
            };
            match all.last_mut() {
                Some((Kind::Data, data)) if kind == Kind::Data => data.extend(&payload),
                _ if kind == Kind::Data && payload.is_empty() => {}
                _ => all.push((kind, payload.to_vec())),
            }
            if kind == Kind::Headers {
                decode(&mut alike, &payload);
            }
        }
        assert!(part.is_empty(), "all of it is used");
        assert!(frames.held() as u64 <= FRAME);
    }
    (all, frames.end().err().map(|fault| fault.code()))
}

fn decode(alike: &mut Alike, section: &[u8]) {
    let mut fields = Fields::new(LIMIT);
    let decoded = Decoder::new().decode(section, &mut fields);
    match alike.decode(section) {
        Err(error) => assert_eq!(decoded, Err(error)),
        Ok(same) => {
            assert_eq!(decoded, Ok(()));
            assert!(same.iter().eq(fields.iter()));
            assert_eq!(same.is_malformed(), fields.is_malformed());
        }
    }
    let sizes = fields.iter();
    let sizes = sizes.map(|field| field.name.len() + field.value.len() + OVERHEAD);
    assert!(sizes.sum::<usize>() <= LIMIT);
}
