//! HTTP/2 as the lambda plane needs it (RFC 9113), without sockets: bytes in, bytes out.
//!
//! A [`Connection`] is one side of one connection. What arrives goes into
//! [`Connection::receive`], what is to leave is in its output, and time comes in as an argument.
//! It is a complete peer of any other implementation, and made for unary calls: a request or an
//! answer that came as a whole is handed over as one message, its header fields are looked at
//! where they were decoded, and those that are the same each time leave as a byte each. Streams of
//! other methods have their data handed over as it comes.
//!
//! What a peer can make us hold is bounded: by windows, by the number of streams, which count until
//! their last frame has been written, by the limit of header fields, and by budgets for what costs
//! us more than it costs the peer.

pub(crate) mod budget;
mod connection;
mod fields;
mod frame;
pub(crate) mod head;
pub mod hpack;
pub(crate) mod message;
mod output;
mod reason;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

pub use connection::{Config, Connection};
pub(crate) use connection::{Event, Failure, Gone, Incoming, Signs};
pub(crate) use fields::Mark;
pub use fields::{Field, Fields};
pub use frame::{HEAD, Head, Kind, MAX_PAYLOAD, PREFACE};
pub(crate) use output::no_slices;
pub use reason::Reason;
