//! How a process starts, is observed and stops: configuration, logs, metrics, admin endpoint, signals.

pub mod admin;
pub mod conf_string;
pub mod duration;
pub mod lifecycle;
mod nearest;
pub mod signals;
