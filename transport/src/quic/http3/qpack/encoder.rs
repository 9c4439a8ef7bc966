//! From fields to field sections. Strings are not compressed, which is quicker for both sides.

use super::table;
use crate::http2::hpack::integer;

/// What a section begins with that refers to no table.
pub(in crate::quic::http3) const PREFIX: [u8; 2] = [0, 0];

/// Adds the field of this number.
pub(in crate::quic::http3) fn indexed(out: &mut Vec<u8>, number: usize) {
    integer::put(out, 0xc0, 6, number);
}

/// Adds a field with the name of that of this number.
pub(in crate::quic::http3) fn with_name(out: &mut Vec<u8>, number: usize, value: &[u8]) {
    integer::put(out, 0x50, 4, number);
    string(out, value);
}

/// Adds a field whose name has no number.
pub(in crate::quic::http3) fn literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    literal_name(out, name);
    string(out, value);
}

/// Begins a field whose name has no number, and which is completed by a [`string`].
pub(in crate::quic::http3) fn literal_name(out: &mut Vec<u8>, name: &[u8]) {
    integer::put(out, 0x20, 3, name.len());
    out.extend_from_slice(name);
}

/// Adds any field, in as few bytes as it takes.
pub(in crate::quic::http3) fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if let Some(number) = table::number_of(name, value) {
        indexed(out, number);
    } else if let Some(number) = table::number_of_name(name) {
        with_name(out, number, value);
    } else {
        literal(out, name, value);
    }
}

/// Completes a field.
pub(in crate::quic::http3) fn string(out: &mut Vec<u8>, text: &[u8]) {
    integer::put(out, 0, 7, text.len());
    out.extend_from_slice(text);
}
