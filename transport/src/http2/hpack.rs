//! Header compression (RFC 7541): a complete decoder, and an encoder for what is sent again and again.

pub(crate) mod decoder;
mod encoder;
pub(crate) mod huffman;
pub(crate) mod integer;
mod names;
mod table;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Malformed};
pub(super) use encoder::{Encoder, Template};
pub use names::Name;
pub(crate) use names::{is_valid, is_valid_value};
pub(crate) use table::{Known, OVERHEAD};
