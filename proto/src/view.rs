//! Views that read and patch a few fields of an encoded message without decoding it.
//!
//! A broker needs the name of a lambda and four scalars; the megabyte beside
//! them is none of its business. In proto3 the last value of a singular field
//! wins, so a changed scalar may simply stand behind the message.

mod added;
mod fields;
mod request;
mod response;

pub use fields::Malformed;
pub use request::RequestView;
pub use response::{BrokerLoad, ResponseView};
