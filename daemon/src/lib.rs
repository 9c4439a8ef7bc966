//! How a process starts, is observed and stops: configuration, logs, metrics, admin endpoint, signals.

pub mod conf_string;
mod nearest;
