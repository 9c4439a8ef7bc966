//! What each side allows the other (RFC 9114, section 7.2.4; RFC 9204, section 5).

use super::super::number;
use super::code::{self, Fault};
use super::frame;

const MAX_TABLE_CAPACITY: u64 = 0x01;
const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
const BLOCKED_STREAMS: u64 = 0x07;
/// What a control stream begins with.
const CONTROL: u8 = 0x00;

const CUT_SHORT: Fault = Fault::new(code::FRAME_ERROR, "the settings are cut short");
const OF_HTTP2: Fault = Fault::new(code::SETTINGS_ERROR, "a setting is one of HTTP/2");
const TWICE: Fault = Fault::new(code::SETTINGS_ERROR, "a setting is given twice");

/// The beginning of our control stream: we take `max_field_section` bytes of fields, and remember none.
pub(super) fn ours(max_field_section: u32) -> Vec<u8> {
    let mut settings = Vec::new();
    for (setting, value) in [
        (MAX_TABLE_CAPACITY, 0),
        (BLOCKED_STREAMS, 0),
        (MAX_FIELD_SECTION_SIZE, max_field_section.into()),
    ] {
        number::put(&mut settings, setting);
        number::put(&mut settings, value);
    }
    let mut out = vec![CONTROL];
    frame::put_settings(&mut out, settings.len());
    out.extend(settings);
    out
}

/// What the peer says, of which one thing concerns us: how many bytes of fields it takes. We use no
/// table, whatever it would keep.
pub(super) fn max_field_section(payload: &[u8]) -> Result<Option<u64>, Fault> {
    let mut rest = payload;
    let mut max = None;
    let mut seen = 0_u8;
    while !rest.is_empty() {
        let (Some(setting), Some(value)) = (number::take(&mut rest), number::take(&mut rest))
        else {
            return Err(CUT_SHORT);
        };
        match setting {
            MAX_TABLE_CAPACITY | BLOCKED_STREAMS | MAX_FIELD_SECTION_SIZE => {
                if seen & 1 << setting != 0 {
                    return Err(TWICE);
                }
                seen |= 1 << setting;
            }
            0x02..=0x05 => return Err(OF_HTTP2),
            // Extensions, and what is there for nobody to rely on anything.
            _ => {}
        }
        if setting == MAX_FIELD_SECTION_SIZE {
            max = Some(value);
        }
    }
    Ok(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_read_as_any_others() {
        let ours = ours(16 << 10);
        assert_eq!(ours[..2], [CONTROL, 4]);
        assert_eq!(usize::from(ours[2]), ours.len() - 3);
        assert_eq!(max_field_section(&ours[3..]), Ok(Some(16 << 10)));
    }

    #[test]
    fn what_nobody_knows_is_ignored_and_what_is_wrong_is_told() {
        assert_eq!(max_field_section(&[]), Ok(None));
        let grease = [0x21, 7, 0x40, 0x42, 0, 0x08, 1, 0x33, 1];
        assert_eq!(max_field_section(&grease), Ok(None));
        assert_eq!(
            max_field_section(&[1, 0x50, 0, 7, 0x40, 100, 6, 9]),
            Ok(Some(9))
        );
        for setting in [2, 3, 4, 5] {
            assert_eq!(max_field_section(&[setting, 0]), Err(OF_HTTP2));
        }
        for setting in [1, 6, 7] {
            assert_eq!(max_field_section(&[setting, 0, setting, 0]), Err(TWICE));
        }
        for cut in [&[6][..], &[6, 0x40], &[0x40], &[6, 0, 1]] {
            assert_eq!(max_field_section(cut), Err(CUT_SHORT));
        }
    }
}
