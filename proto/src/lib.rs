//! The wire contract: messages, services and partial views of encoded messages.
