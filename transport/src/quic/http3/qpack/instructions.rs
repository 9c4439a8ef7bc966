//! What a peer may say of tables where there are none (RFC 9204, sections 4.3 and 4.4).

/// What an encoder may say: that its table has room for nothing.
const CAPACITY_0: u8 = 0x20;

/// Whether these bytes of an encoder's stream say that it keeps no table.
pub(in crate::quic::http3) fn keeps_no_table(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == CAPACITY_0)
}

/// Follows a decoder's stream, on which it may say that it gives up reading streams. It does not
/// confirm what it was told, as it was told nothing.
#[derive(Debug, Default)]
pub(in crate::quic::http3) struct Cancellations {
    /// Bytes of a number that have come, if it is not complete.
    of_number: usize,
}

/// A number of 62 bits has no more bytes than these behind its first one.
const LONGEST: usize = 9;

impl Cancellations {
    /// Whether these bytes, which come next, are of such words.
    pub(in crate::quic::http3) fn read(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.add(*byte))
    }

    fn add(&mut self, byte: u8) -> bool {
        match (self.of_number, byte) {
            (0, 0x40..0x7f) => true,
            (0, 0x7f) => {
                self.of_number = 1;
                true
            }
            (0, _) => false,
            (_, 0..0x80) => {
                self.of_number = 0;
                true
            }
            (length, _) => {
                self.of_number += 1;
                length < LONGEST
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_may_say_that_it_keeps_nothing_and_no_more() {
        assert!(keeps_no_table(&[]));
        assert!(keeps_no_table(&[0x20, 0x20]));
        // Another capacity, an insertion with a name by number, one without, a duplicate.
        for refused in [
            &[0x21][..],
            &[0x3f, 0],
            &[0x20, 0xc0, 0],
            &[0x41, b'a', 0],
            &[0],
        ] {
            assert!(!keeps_no_table(refused), "{refused:?}");
        }
    }

    #[test]
    fn a_decoder_may_give_streams_up_and_confirms_nothing() {
        let read = |bytes: &[u8]| Cancellations::default().read(bytes);
        assert!(read(&[0x40, 0x7e, 0x7f, 0, 0x7f, 0x80, 0x80, 1, 0x41]));
        let mut cancellations = Cancellations::default();
        assert!(
            [0x7f, 0x81, 1, 0x40]
                .iter()
                .all(|byte| cancellations.read(&[*byte]))
        );
        // A section, an insertion, none; a number without end.
        assert!(!read(&[0x80]));
        assert!(!read(&[0x01]));
        assert!(!read(&[0x00]));
        assert!(!read(&[&[0x7f][..], &[0x80; 20]].concat()));
    }
}
