//! The controller: who serves what, told to the brokers.
#![allow(dead_code)]
mod ledger;
mod names;
mod registry;
mod wishes;
