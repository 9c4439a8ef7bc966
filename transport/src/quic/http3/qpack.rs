//! Compression of header fields (RFC 9204) without a dynamic table: neither side has one, so that a field
//! section can be read by itself.

mod alike;
mod decoder;
mod encoder;
mod instructions;
mod table;
#[cfg(test)]
mod tests;

pub use alike::Alike;
pub use decoder::{Decoder, Malformed};
pub(super) use encoder::{PREFIX, field, indexed, literal, literal_name, string, with_name};
pub(super) use instructions::{Cancellations, keeps_no_table};
pub(super) use table::number;
