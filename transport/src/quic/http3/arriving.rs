//! The only message of a unary call, as it arrives over HTTP/3.

use bytes::Bytes;
use tonic::Status;

use super::super::held::{Booked, Held};
use crate::http2::message::Message;

/// Messages up to this size are not accounted for where they come at once.
const SMALL: usize = 2 << 10;

/// A message that is on its way.
#[derive(Debug)]
pub(super) struct Arriving<'a> {
    message: Message,
    booked: Booked<'a>,
    most: usize,
}

impl<'a> Arriving<'a> {
    /// A message of at most `most` bytes, which counts in `held`.
    pub(super) fn new(held: &'a Held, most: usize) -> Self {
        Self {
            message: Message::default(),
            booked: Booked::nothing(held),
            most,
        }
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// If that is too much, or no part of one message.
    pub(super) fn add(&mut self, data: &[u8]) -> Result<(), Status> {
        let is_first = matches!(self.message, Message::None);
        if is_first && data.len() <= SMALL {
            self.message.add(data, self.most)?;
            return match self.message {
                Message::Whole(_) => Ok(()),
                _ => self.book(data.len()),
            };
        }
        self.book(data.len())?;
        self.message.add(data, self.most)
    }

    fn book(&mut self, more: usize) -> Result<(), Status> {
        match self.booked.more(more) {
            true => Ok(()),
            false => Err(Status::resource_exhausted(
                "too much of other messages is held for this connection",
            )),
        }
    }

    /// The message, with what is to be kept until it is answered.
    ///
    /// # Errors
    /// If the stream ended without one.
    pub(super) fn end(self) -> Result<Option<(Bytes, Booked<'a>)>, Status> {
        let message = self.message.end()?;
        Ok(message.map(|message| (message, self.booked.come())))
    }
}
