//! Real functions in runtime processes: what they return, how they fail, and that none is left.

mod containers;
mod languages;
mod outcomes;
mod places;
mod support;
