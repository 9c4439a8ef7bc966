//! The description of the standard interface, in our own words.

/// The document, which is served as it is.
pub(super) const TEXT: &str = include_str!("../../openapi.json");
