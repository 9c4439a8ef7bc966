//! Client library and load generators.
